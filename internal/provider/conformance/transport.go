package conformance

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Transport is a way to a provider over HTTP that can be made to fail. It serves
// the drivers that use the HTTP client of their Config: put it there, and its
// Faults into the Harness.
type Transport struct {
	// Base carries the requests; nil: http.DefaultTransport.
	Base http.RoundTripper
	// Rejection and TooMany are answers of this provider for an explicit
	// rejection, whose body holds RawText, and for too many requests.
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

// errBroken is what a broken connection says; no driver may repeat it.
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

// Faults returns the switches of this transport.
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

// after lets so many requests through before the fault begins.
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

// lose carries the request and throws the answer away.
func (t *Transport) lose(req *http.Request) (*http.Response, error) {
	resp, err := t.base().RoundTrip(req)
	if err != nil {
		return nil, err
	}
	_, readErr := io.Copy(io.Discard, resp.Body)
	return nil, errors.Join(errBroken, readErr, resp.Body.Close())
}

// drop never sends the request.
func drop(*http.Request) (*http.Response, error) { return nil, errBroken }

func (t *Transport) answer(a Answer) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) { return a.response(req), nil }
}
