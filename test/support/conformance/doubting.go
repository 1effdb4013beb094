package conformance

import (
	"context"
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
			req := w.request(w.owner("first"))
			w.tidy(req.Name)
			restore := pick(h.Faults)(step)
			_, err := w.client.Mint(w.ctx, req)
			restore()
			if err == nil && step > 0 {
				return
			}
			if !provider.InDoubt(err) {
				t.Errorf("no clear answer after %d requests: error %v is not in doubt", step, err)
			}
			checkMessage(t, h, err)
			if found := w.find(req.Name); len(found) == 0 {
				t.Errorf("no clear answer after %d requests: the credential is not found by its name", step)
			}
			w.revoke(provider.Ref{Name: req.Name})
			if found := w.left(req.Name); len(found) != 0 {
				t.Errorf("no clear answer after %d requests: found %+v after it was revoked", step, found)
			}
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
		if !provider.InDoubt(err) {
			t.Errorf("given up after %d requests: error %v is not in doubt", step, err)
		}
		checkMessage(t, h, err)
		w.revoke(provider.Ref{Name: req.Name})
		if found := w.left(req.Name); len(found) != 0 {
			t.Errorf("given up after %d requests: found %+v after it was revoked", step, found)
		}
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
		req := w.request(w.owner("first"))
		w.tidy(req.Name)
		restore := h.Faults.Skew(ahead)
		minted, err := w.client.Mint(w.ctx, req)
		restore()
		checkMessage(t, h, err)
		found := w.find(req.Name)
		if err == nil && len(found) != 1 {
			t.Errorf("a clock %s ahead: %d are found after a Mint, want 1", ahead, len(found))
		}
		if err != nil && !provider.InDoubt(err) && len(found) != 0 {
			t.Errorf("a clock %s ahead: Mint was rejected with %v, and left %+v", ahead, err, found)
		}
		if got := minted.Credential.ExpiresAt; err == nil && got.After(req.Grant.ExpiresAt) {
			t.Errorf("a clock %s ahead: it ends at %s, later than the %s asked for", ahead, got, req.Grant.ExpiresAt)
		}
		w.revoke(provider.Ref{Name: req.Name})
		if left := w.left(req.Name); len(left) != 0 {
			t.Errorf("a clock %s ahead: found %+v after it was revoked", ahead, left)
		}
	}
}
