package simulate_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/simulate"
)

// server counts the requests that had their effect, and reads no body.
type server struct {
	simulate.Switches
	*httptest.Server
	effects atomic.Int32
	effect  chan struct{} // one for each
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{effect: make(chan struct{}, 10)}
	s.Rejection = conformance.Answer{Status: http.StatusForbidden, Header: http.Header{"X-Test": {"yes"}}, Body: "no"}
	s.TooMany = conformance.Answer{Status: http.StatusTooManyRequests}
	s.Server = httptest.NewServer(s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.effects.Add(1)
		s.effect <- struct{}{}
		w.WriteHeader(http.StatusCreated)
	})))
	t.Cleanup(s.Close)
	return s
}

// post returns the status and body of the answer; 0 without an answer.
func (s *server) post(ctx context.Context, t *testing.T) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, strings.NewReader(strings.Repeat("x", 1<<16)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestFaultsAnswerAsTheyPromise(t *testing.T) {
	cases := map[string]struct {
		set     func(conformance.Faults) func()
		status  int
		body    string
		effects int32
	}{
		"lost answer":  {func(f conformance.Faults) func() { return f.LoseAnswers(0) }, 0, "", 1},
		"interrupted":  {func(f conformance.Faults) func() { return f.Interrupt(0) }, 0, "", 0},
		"rejected":     {func(f conformance.Faults) func() { return f.Reject() }, http.StatusForbidden, "no", 0},
		"rate limit":   {func(f conformance.Faults) func() { return f.RateLimit() }, http.StatusTooManyRequests, "", 0},
		"server error": {func(f conformance.Faults) func() { return f.FailAfterCommit(0) }, http.StatusBadGateway, conformance.RawText, 1},
		"page":         {func(f conformance.Faults) func() { return f.HTML(0) }, http.StatusOK, conformance.Page.Body, 1},
		"next one":     {func(f conformance.Faults) func() { return f.LoseAnswers(1) }, http.StatusCreated, "", 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			restore := tc.set(s.Faults())
			status, body := s.post(t.Context(), t)
			if status != tc.status || body != tc.body || s.effects.Load() != tc.effects {
				t.Errorf("got status %d, body %q, %d effects; want %d, %q, %d", status, body, s.effects.Load(), tc.status, tc.body, tc.effects)
			}
			restore()
			if status, _ := s.post(t.Context(), t); status != http.StatusCreated {
				t.Errorf("after the fault: status %d", status)
			}
		})
	}
}

// TestWaitingRequestEndsWithClientAndFault: a request that waits ends when its client gives up and when
// the fault ends, although its body was not read. Otherwise the server would never close.
func TestWaitingRequestEndsWithClientAndFault(t *testing.T) {
	cases := map[string]struct {
		set     func(conformance.Faults) func()
		effects int32
	}{
		"hanging": {func(f conformance.Faults) func() { _, restore := f.Hang(); return restore }, 0},
		"slow":    {func(f conformance.Faults) func() { return f.Slow(0) }, 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			restore := tc.set(s.Faults())
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if status, _ := s.post(ctx, t); status != 0 {
				t.Errorf("answered with status %d", status)
			}
			ended := make(chan int)
			go func() { status, _ := s.post(t.Context(), t); ended <- status }()
			for range 2 * tc.effects {
				<-s.effect
			}
			restore()
			status := <-ended
			if tc.effects > 0 && status != 0 {
				t.Errorf("a slow request was answered with status %d", status)
			}
		})
	}
}

func TestSkewIsRestored(t *testing.T) {
	var s simulate.Switches
	restore := s.Faults().Skew(time.Hour)
	if s.Skew() != time.Hour {
		t.Errorf("Skew: got %s, want an hour", s.Skew())
	}
	restore()
	if s.Skew() != 0 {
		t.Errorf("Skew after it was restored: got %s", s.Skew())
	}
}
