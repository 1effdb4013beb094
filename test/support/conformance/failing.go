package conformance

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
)

var failing = []Requirement{
	{
		Name: "RejectionLeavesNothing", Test: rejection,
		Sentence: "A Mint that was explicitly rejected MUST NOT be in doubt, and nothing MUST exist under its name.",
		Applies:  byAPI,
		Needs:    func(h Harness) bool { return h.Faults.Reject != nil },
	},
	{
		Name: "RateLimitIsReported", Test: rateLimit,
		Sentence: "A Mint that the provider rejects for too many requests MUST fail with CodeRateLimited, not in doubt, with the delay that the provider asked for.",
		Applies:  byAPI,
		Needs:    func(h Harness) bool { return h.Faults.RateLimit != nil },
	},
	{
		Name: "RemainsAreFoundAndRevoked", Test: remains,
		Sentence: "A Mint that stopped between its steps MUST be in doubt, and its remains MUST be found by name and revoked.",
		Applies:  byAPI,
		Needs:    func(h Harness) bool { return h.Faults.Interrupt != nil },
	},
	{
		Name: "FailedRevokeIsNotDone", Test: failedRevoke,
		Sentence: "A Revoke that was rejected MUST return an error, and a later one MUST still work.",
		Applies:  byAPI,
		Needs:    func(h Harness) bool { return h.Faults.Reject != nil },
	},
	{
		Name: "CancelledCallsEnd", Test: cancelled,
		Sentence: "Every call MUST fail when its context has ended, and be in doubt.",
		Applies:  byAPI,
	},
	{
		Name: "HangingCallsEndWithTheirContext", Test: hanging,
		Sentence: "Every call to a provider that does not answer MUST end with its context, and be in doubt.",
		Applies:  byAPI,
		Needs:    func(h Harness) bool { return h.Faults.Hang != nil },
	},
}

func rejection(t *testing.T, h Harness) {
	w := open(t, h)
	req, _, err := w.mintDuring(h.Faults.Reject)
	if err == nil || provider.InDoubt(err) {
		t.Errorf("error %v is in doubt", err)
	}
	if found := w.find(req.Name); len(found) != 0 {
		t.Errorf("found %+v under a rejected name", found)
	}
}

func rateLimit(t *testing.T, h Harness) {
	_, _, err := open(t, h).mintDuring(h.Faults.RateLimit)
	e := provider.AsError(err)
	if e.Code != provider.CodeRateLimited || !e.NotExecuted || e.RetryAfter != time.Second {
		t.Errorf("got code %s, not executed %t, wait %s (%v)", e.Code, e.NotExecuted, e.RetryAfter, err)
	}
}

// remains interrupts a Mint after each number of requests until one completes.
func remains(t *testing.T, h Harness) {
	w := open(t, h)
	for step := range mostSteps {
		req, _, err := w.mintDuring(func() func() { return h.Faults.Interrupt(step) })
		if err == nil && step > 0 {
			return
		}
		when := fmt.Sprintf("stopped after %d requests", step)
		if !provider.InDoubt(err) {
			t.Errorf("%s: error %v is not in doubt", when, err)
		}
		found := w.find(req.Name)
		if step > 0 && len(found) == 0 {
			t.Errorf("%s: the remains are not found", when)
		}
		if len(live(found)) != 0 {
			t.Errorf("%s: %+v is live", when, found)
		}
		if len(w.list(w.owner("first"))) != len(found) {
			t.Errorf("%s: List does not yield what Find returns", when)
		}
		w.wantRevocable(req.Name, when)
	}
	t.Errorf("Mint was not complete after %d requests", mostSteps)
}

func failedRevoke(t *testing.T, h Harness) {
	w := open(t, h)
	minted := w.mint(w.request(w.owner("first")))
	restore := h.Faults.Reject()
	err := w.client.Revoke(w.ctx, provider.Ref{Name: minted.Credential.Name})
	restore()
	if err == nil {
		t.Error("a rejected Revoke returned nil")
	}
	checkMessage(t, h, err)
	if got := live(w.find(minted.Credential.Name)); len(got) != 1 {
		t.Errorf("%d live are found after a rejected Revoke, want 1", len(got))
	}
	w.revoke(provider.Ref{Name: minted.Credential.Name})
}

// verbs returns every call of a client as a function of its context.
func verbs(w *world, req provider.MintRequest) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Mint": func(ctx context.Context) error { _, err := w.client.Mint(ctx, req); return err },
		"Find": func(ctx context.Context) error {
			_, err := w.client.Find(ctx, provider.Ref{Name: req.Name})
			return err
		},
		"List": func(ctx context.Context) error {
			for _, err := range w.client.List(ctx, req.Owner) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"Revoke": func(ctx context.Context) error { return w.client.Revoke(ctx, provider.Ref{Name: req.Name}) },
		"Connect": func(ctx context.Context) error {
			_, _, err := w.driver.Connect(ctx, w.config)
			return err
		},
	}
}

func cancelled(t *testing.T, h Harness) {
	w := openWith(t, h, h.Driver) // package bounded would end the calls
	req := w.request(w.owner("first"))
	w.tidy(req.Name)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for verb, call := range verbs(w, req) {
		err := call(ctx)
		if !provider.InDoubt(err) {
			t.Errorf("%s with an ended context: error %v is not in doubt", verb, err)
		}
		checkMessage(t, h, err)
	}
}

func hanging(t *testing.T, h Harness) {
	w := openWith(t, h, h.Driver)
	req := w.request(w.owner("first"))
	w.tidy(req.Name)
	for verb, call := range verbs(w, req) {
		waiting, restore := h.Faults.Hang()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- call(ctx) }()
		var err error
		select {
		case <-waiting:
			cancel()
			err = <-ended
		case err = <-ended: // it sent no request
			cancel()
		}
		restore()
		if !provider.InDoubt(err) {
			t.Errorf("%s without an answer: error %v is not in doubt", verb, err)
		}
		checkMessage(t, h, err)
	}
}

// checkMessage fails if an error contains a minting credential or the provider's own
// text.
func checkMessage(t *testing.T, h Harness, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), provider.AsError(err).Message} {
		if strings.Contains(text, RawText) {
			t.Errorf("the error repeats the provider's text: %s", text)
		}
		for _, credentials := range []map[string]provider.Value{h.Config.Credentials, h.Wrong} {
			for key, value := range credentials {
				if !value.Empty() && strings.Contains(text, value.Reveal()) {
					t.Errorf("the error shows the minting credential %s", key)
				}
			}
		}
	}
	if provider.AsError(err).Message == "" {
		t.Errorf("the error %v has no message", err)
	}
}
