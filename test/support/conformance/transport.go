package conformance

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Transport is an HTTP transport with faults, for drivers that use the HTTP client of
// their Config. Set it there, and put its Faults into the Harness.
type Transport struct {
	// Base sends the requests; nil means http.DefaultTransport.
	Base http.RoundTripper
	// Rejection and TooMany are this provider's answers for an explicit rejection, whose
	// body contains RawText, and for too many requests.
	Rejection, TooMany Answer

	mu   sync.Mutex
	next func(*http.Request) (*http.Response, error)
}

// Answer is a response of a provider.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

func (a Answer) response(req *http.Request) *http.Response {
	header := a.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		StatusCode: a.Status, Status: http.StatusText(a.Status), Header: header, Request: req,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader(a.Body)), ContentLength: int64(len(a.Body)),
	}
}

// ServerError and Page are the answers of Faults.FailAfterCommit and Faults.HTML: those
// of a proxy in front of a provider.
var (
	ServerError = Answer{Status: http.StatusBadGateway, Body: RawText}
	Page        = Answer{
		Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}},
		Body: "<!doctype html><title>" + RawText + "</title>",
	}
)

// errBroken is the error of a broken connection. No driver may repeat its text.
var errBroken = errors.New("the connection broke: " + RawText)

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.mu.Lock()
	next := t.next
	t.mu.Unlock()
	if next == nil {
		return t.base().RoundTrip(req)
	}
	return next(req)
}

func (t *Transport) base() http.RoundTripper {
	if t.Base == nil {
		return http.DefaultTransport
	}
	return t.Base
}

// Faults returns the faults of this transport.
func (t *Transport) Faults() Faults {
	return Faults{
		//nolint:bodyclose // these make functions that answer; the client closes the bodies
		LoseAnswers: func(after int) func() { return t.set(t.after(after, t.lose)) },
		//nolint:bodyclose // as above
		Interrupt: func(after int) func() { return t.set(t.after(after, drop)) },
		//nolint:bodyclose // as above
		Reject: func() func() { return t.set(t.answer(t.Rejection)) },
		//nolint:bodyclose // as above
		RateLimit: func() func() { return t.set(t.answer(t.TooMany)) },
		//nolint:bodyclose // as above
		FailAfterCommit: func(after int) func() { return t.set(t.after(after, t.committed(ServerError))) },
		//nolint:bodyclose // as above
		HTML: func(after int) func() { return t.set(t.after(after, t.committed(Page))) },
		//nolint:bodyclose // as above
		Slow: func(after int) func() { return t.set(t.after(after, t.slow)) },
		Hang: func() (<-chan struct{}, func()) {
			waiting := make(chan struct{})
			var once sync.Once
			return waiting, t.set(func(req *http.Request) (*http.Response, error) {
				once.Do(func() { close(waiting) })
				<-req.Context().Done()
				return nil, req.Context().Err()
			})
		},
	}
}

func (t *Transport) set(next func(*http.Request) (*http.Response, error)) (restore func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = next
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.next = nil
	}
}

// after passes n requests before the fault starts.
func (t *Transport) after(n int, fault func(*http.Request) (*http.Response, error)) func(*http.Request) (*http.Response, error) {
	var mu sync.Mutex
	return func(req *http.Request) (*http.Response, error) {
		mu.Lock()
		through := n > 0
		n--
		mu.Unlock()
		if through {
			return t.base().RoundTrip(req)
		}
		return fault(req)
	}
}

// carry sends the request and discards the answer.
func (t *Transport) carry(req *http.Request) error {
	resp, err := t.base().RoundTrip(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

func (t *Transport) lose(req *http.Request) (*http.Response, error) {
	return nil, errors.Join(errBroken, t.carry(req))
}

// slow sends the request, and answers after the client has given up.
func (t *Transport) slow(req *http.Request) (*http.Response, error) {
	if err := t.carry(req); err != nil {
		return nil, err
	}
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// committed sends the request and returns another answer.
func (t *Transport) committed(a Answer) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		if err := t.carry(req); err != nil {
			return nil, err
		}
		return a.response(req), nil
	}
}

// drop never sends the request.
func drop(*http.Request) (*http.Response, error) { return nil, errBroken }

func (t *Transport) answer(a Answer) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) { return a.response(req), nil }
}
