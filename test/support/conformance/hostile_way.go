package conformance

import (
	"bytes"
	"io"
	"net/http"
	"sync"
)

// way is an HTTP connection to a provider that a lie can take over.
type way struct {
	base http.RoundTripper

	mu sync.Mutex
	// left requests pass before lie answers; hits counts its answers.
	left, hits int
	lie        lie
}

// lie answers a request in place of the provider. ask sends the request and returns the
// provider's answer; n counts the answers of this lie from 0.
type lie func(req *http.Request, n int, ask func() (*http.Response, []byte, error)) (*http.Response, error)

// hostileConfig returns a configuration that uses a way.
func hostileConfig(h Harness) (Harness, *way) {
	w := &way{base: http.DefaultTransport}
	if h.Config.HTTP != nil && h.Config.HTTP.Transport != nil {
		w.base = h.Config.HTTP.Transport
	}
	h.Config.HTTP = &http.Client{Transport: w}
	return h, w
}

// take passes n requests and answers all later ones with the lie until release, which
// returns how many it answered.
func (w *way) take(after int, l lie) (release func() int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left, w.hits, w.lie = after, 0, l
	return func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.lie = nil
		return w.hits
	}
}

// RoundTrip implements http.RoundTripper.
func (w *way) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	l, n := w.lie, w.hits
	if l != nil && w.left > 0 {
		w.left--
		l = nil
	}
	if l != nil {
		w.hits++
	}
	w.mu.Unlock()
	if l == nil {
		return w.base.RoundTrip(req)
	}
	asked := false
	out, err := l(req, n, func() (*http.Response, []byte, error) { asked = true; return w.ask(req) })
	if !asked && req.Body != nil {
		_ = req.Body.Close() // a RoundTripper must close it, even if unread
	}
	return out, err
}

// ask sends a request and returns the answer with its body.
func (w *way) ask(req *http.Request) (*http.Response, []byte, error) {
	resp, err := w.base.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// respond returns an answer with a body that can be endless.
func respond(req *http.Request, status int, header http.Header, body io.Reader) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Header: header, Request: req,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(body), ContentLength: -1,
	}
}

// always answers every request with one status and body.
func always(status int, kind, body string) lie {
	return func(req *http.Request, _ int, _ func() (*http.Response, []byte, error)) (*http.Response, error) {
		header := http.Header{}
		if kind != "" {
			header.Set("Content-Type", kind)
		}
		return respond(req, status, header, bytes.NewReader([]byte(body))), nil
	}
}

// changed sends every request and changes the body of a successful answer.
func changed(change func(body []byte, n int) []byte) lie {
	return func(req *http.Request, n int, ask func() (*http.Response, []byte, error)) (*http.Response, error) {
		resp, body, err := ask()
		if err != nil {
			return nil, err
		}
		header := resp.Header.Clone()
		header.Del("Content-Length")
		if resp.StatusCode < 300 && len(body) > 0 {
			body = change(body, n)
		}
		return respond(req, resp.StatusCode, header, bytes.NewReader(body)), nil
	}
}

// endless answers with a body that repeats a text forever.
func endless(status int, begin, repeat string) lie {
	return func(req *http.Request, _ int, _ func() (*http.Response, []byte, error)) (*http.Response, error) {
		body := io.MultiReader(bytes.NewReader([]byte(begin)), &repeater{text: []byte(repeat)})
		return respond(req, status, http.Header{"Content-Type": {"application/json"}}, body), nil
	}
}

// repeater is an endless reader.
type repeater struct {
	text []byte
	at   int
}

func (r *repeater) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.text[r.at]
		r.at = (r.at + 1) % len(r.text)
	}
	return len(p), nil
}
