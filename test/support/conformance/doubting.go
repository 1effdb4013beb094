package conformance

import (
	"context"
	"fmt"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
)

var doubting = []Requirement{
	{
		Name: "LostAnswerIsInDoubt", Test: unclearMint(func(f Faults) steps { return f.LoseAnswers }),
		Sentence: "A Mint whose answer was lost MUST be in doubt, and everything it made MUST be found and revoked by its name.",
		Applies:  byAPI,
		Needs:    func(h Harness) bool { return h.Faults.LoseAnswers != nil },
	},
	{
		Name: "ServerErrorIsInDoubt", Test: unclearMint(func(f Faults) steps { return f.FailAfterCommit }),
		Sentence: "A Mint answered with a server error MUST be in doubt, and everything it made MUST be found and revoked by its name.",
		Applies:  byAPI,
		Needs:    func(h Harness) bool { return h.Faults.FailAfterCommit != nil },
	},
	{
		Name: "PageIsInDoubt", Test: unclearMint(func(f Faults) steps { return f.HTML }),
		Sentence: "A Mint answered with the status 200 and an HTML page MUST be in doubt, and everything it made MUST be found and revoked by its name.",
		Applies:  byAPI,
		Needs:    func(h Harness) bool { return h.Faults.HTML != nil },
	},
	{
		Name: "SlowAnswerIsInDoubt", Test: slowMint,
		Sentence: "A Mint whose deadline passed before its answer MUST be in doubt, and nothing MUST be left once its name was revoked.",
		Applies:  byAPI,
		Needs:    func(h Harness) bool { return h.Faults.Slow != nil },
	},
	{
		Name: "ServerErrorIsNotRevoked", Test: unclearRevoke(func(f Faults) steps { return f.FailAfterCommit }),
		Sentence: "A Revoke answered with a server error MUST return an error, and a second Revoke MUST work.",
		Applies:  byAPI,
		Needs:    func(h Harness) bool { return h.Faults.FailAfterCommit != nil },
	},
	{
		Name: "PageIsNotRevoked", Test: unclearRevoke(func(f Faults) steps { return f.HTML }),
		Sentence: "A Revoke answered with the status 200 and an HTML page MUST return an error, and a second Revoke MUST work.",
		Applies:  byAPI,
		Needs:    func(h Harness) bool { return h.Faults.HTML != nil },
	},
	{
		Name: "WrongClockGrantsNoMore", Test: wrongClock,
		Sentence: "While the provider's clock is wrong by an hour, a Mint MUST NOT return an expiry later than asked, " +
			"and one that fails MUST leave nothing: at once if it is not in doubt, else once its name was revoked.",
		Applies: byAPI,
		Needs:   func(h Harness) bool { return h.Faults.Skew != nil },
	},
}

// mostSteps is more than the number of requests of any driver's Mint or Revoke.
const mostSteps = 10

// steps starts a fault after the given number of requests.
type steps = func(after int) (restore func())

// unclearMint starts the fault at the first request of a Mint, then at the second, and
// so on, until a Mint completes.
func unclearMint(pick func(Faults) steps) func(*testing.T, Harness) {
	return func(t *testing.T, h Harness) {
		w := open(t, h)
		for step := range mostSteps {
			req, _, err := w.mintDuring(func() func() { return pick(h.Faults)(step) })
			if err == nil && step > 0 {
				return
			}
			when := fmt.Sprintf("no clear answer after %d requests", step)
			if !provider.InDoubt(err) {
				t.Errorf("%s: error %v is not in doubt", when, err)
			}
			if found := w.find(req.Name); len(found) == 0 {
				t.Errorf("%s: the credential is not found by its name", when)
			}
			w.wantRevocable(req.Name, when)
		}
		t.Errorf("Mint was not complete after %d requests", mostSteps)
	}
}

// patience is how long a Mint waits for a slow answer. All requests before the slow one
// must fit into it, or the test does not reach that step.
const patience = time.Second / 2

func slowMint(t *testing.T, h Harness) {
	w := open(t, h)
	for step := range mostSteps {
		req := w.request(w.owner("first"))
		w.tidy(req.Name)
		restore := h.Faults.Slow(step)
		ctx, cancel := context.WithTimeout(w.ctx, patience)
		_, err := w.client.Mint(ctx, req)
		cancel()
		restore()
		if err == nil && step > 0 {
			return
		}
		when := fmt.Sprintf("given up after %d requests", step)
		if !provider.InDoubt(err) {
			t.Errorf("%s: error %v is not in doubt", when, err)
		}
		checkMessage(t, h, err)
		w.wantRevocable(req.Name, when)
	}
	t.Errorf("Mint was not complete after %d requests", mostSteps)
}

// unclearRevoke starts the fault at the first request of a Revoke, then at the second,
// and so on. If no request had a clear answer, Revoke must not return nil.
func unclearRevoke(pick func(Faults) steps) func(*testing.T, Harness) {
	return func(t *testing.T, h Harness) {
		w := open(t, h)
		for step := range mostSteps {
			minted := w.mint(w.request(w.owner("first"))).Credential
			ref := provider.Ref{Name: minted.Name, ID: minted.ID}
			restore := pick(h.Faults)(step)
			err := w.client.Revoke(w.ctx, ref)
			restore()
			checkMessage(t, h, err)
			switch {
			case err != nil:
				w.revoke(ref)
			case step == 0:
				t.Error("Revoke returned nil, but no answer said that it was done")
			}
			if found := w.left(minted.Name); len(found) != 0 {
				t.Errorf("no clear answer after %d requests: found %+v after it was revoked", step, found)
			}
			if err == nil {
				return
			}
		}
		t.Errorf("Revoke was not complete after %d requests", mostSteps)
	}
}

func wrongClock(t *testing.T, h Harness) {
	w := open(t, h)
	for _, ahead := range []time.Duration{time.Hour, -time.Hour} {
		req, minted, err := w.mintDuring(func() func() { return h.Faults.Skew(ahead) })
		when := fmt.Sprintf("a clock %s ahead", ahead)
		found := w.find(req.Name)
		if err == nil && len(found) != 1 {
			t.Errorf("%s: %d are found after a Mint, want 1", when, len(found))
		}
		if err != nil && !provider.InDoubt(err) && len(found) != 0 {
			t.Errorf("%s: Mint was rejected with %v, and left %+v", when, err, found)
		}
		if got := minted.Credential.ExpiresAt; err == nil && got.After(req.Grant.ExpiresAt) {
			t.Errorf("%s: it ends at %s, later than the %s asked for", when, got, req.Grant.ExpiresAt)
		}
		w.wantRevocable(req.Name, when)
	}
}
