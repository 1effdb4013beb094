// Package simulate has the common part of the simulators of providers: switches that make
// their HTTP servers fail as real servers do.
package simulate

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"apitoken.dev/operator/test/support/conformance"
)

// Switches inject faults in front of a simulator. The zero value passes every request on.
type Switches struct {
	// Rejection and TooMany are this provider's answers for an explicit rejection, whose body
	// contains conformance.RawText, and for too many requests.
	Rejection, TooMany conformance.Answer

	mu   sync.Mutex
	mode mode
	skew time.Duration
}

// mode answers a request in place of the simulator. It can call next, for the effect.
type mode func(w http.ResponseWriter, r *http.Request, next http.Handler)

// Wrap returns the simulator with the switches in front of it.
func (s *Switches) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		m := s.mode
		s.mu.Unlock()
		if m == nil {
			next.ServeHTTP(w, r)
			return
		}
		m(w, r, next)
	})
}

// Skew is how far the simulator's clock is ahead.
func (s *Switches) Skew() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.skew
}

// Faults returns the switches in the form that the conformance suite uses.
func (s *Switches) Faults() conformance.Faults {
	return conformance.Faults{
		LoseAnswers:     func(after int) func() { return s.set(s.after(after, lose)) },
		Interrupt:       func(after int) func() { return s.set(s.after(after, drop)) },
		Reject:          func() func() { return s.set(answer(s.Rejection)) },
		RateLimit:       func() func() { return s.set(answer(s.TooMany)) },
		FailAfterCommit: func(after int) func() { return s.set(s.after(after, committed(conformance.ServerError))) },
		HTML:            func(after int) func() { return s.set(s.after(after, committed(conformance.Page))) },
		Slow:            s.slow,
		Hang:            s.hang,
		Skew:            s.setSkew,
	}
}

func (s *Switches) set(m mode) (restore func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = m
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.mode = nil
	}
}

func (s *Switches) setSkew(d time.Duration) (restore func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew = d
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.skew = 0
	}
}

// after passes n requests before the fault begins.
func (*Switches) after(n int, fault mode) mode {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		mu.Lock()
		through := n > 0
		n--
		mu.Unlock()
		if through {
			next.ServeHTTP(w, r)
			return
		}
		fault(w, r, next)
	}
}

func (s *Switches) hang() (<-chan struct{}, func()) {
	waiting := make(chan struct{})
	var once sync.Once
	return waiting, s.until(func(_ http.ResponseWriter, r *http.Request, _ http.Handler, over <-chan struct{}) {
		once.Do(func() { close(waiting) })
		wait(r, over)
	}, 0)
}

// slow carries the requests out and answers after the client has gone.
func (s *Switches) slow(after int) func() {
	return s.until(func(_ http.ResponseWriter, r *http.Request, next http.Handler, over <-chan struct{}) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		wait(r, over)
	}, after)
}

// until sets a fault that learns when it ends, so that no request waits longer than the fault.
func (s *Switches) until(
	fault func(w http.ResponseWriter, r *http.Request, next http.Handler, over <-chan struct{}), after int,
) (restore func()) {
	over := make(chan struct{})
	off := s.set(s.after(after, func(w http.ResponseWriter, r *http.Request, next http.Handler) { fault(w, r, next, over) }))
	return sync.OnceFunc(func() {
		off()
		close(over)
	})
}

// wait returns, without an answer, when the client has gone or the fault has ended. A server
// notices that a client is gone only after it has read the body.
func wait(r *http.Request, over <-chan struct{}) {
	_, _ = io.Copy(io.Discard, r.Body) // a handler may have read and closed it
	select {
	case <-r.Context().Done():
	case <-over:
	}
	panic(http.ErrAbortHandler)
}

// lose carries the request out and breaks the connection.
func lose(_ http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// drop breaks the connection before the request takes effect.
func drop(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// committed carries the request out and sends another answer.
func committed(a conformance.Answer) mode {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		write(w, a)
	}
}

func answer(a conformance.Answer) mode {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { write(w, a) }
}

func write(w http.ResponseWriter, a conformance.Answer) {
	for key, values := range a.Header {
		w.Header()[key] = values
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write([]byte(a.Body)) // the client may be gone
}
