// Package httpapi sends the requests of drivers whose provider has a JSON API
// over HTTP: each once, with a limit on its time and on the size of the answer,
// following no redirect. A failure becomes a *provider.Error in the operator's words.
package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
)

const (
	// Timeout ends a request that has no deadline of its own.
	Timeout = bounded.RequestTime
	// MaxBody is the longest body of an answer, in bytes.
	MaxBody = bounded.MaxBody
)

// API is one HTTP API. It is safe for concurrent use.
type API struct {
	// Field names Base in errors.
	Field string
	// Base is what the path of every request is appended to.
	Base *url.URL
	// HTTP carries the requests. It follows no redirect and limits the answers.
	HTTP *http.Client
	// UserAgent of every request.
	UserAgent string
	// Prepare, if set, changes every request before it is sent: it sets the
	// credentials or signs it. The body is what will be sent.
	Prepare func(req *http.Request, body []byte) error
	// Explain, if set, refines the error of a rejected request. It gets the error that
	// was made from the status, and changes it.
	Explain func(a Answer, e *provider.Error)
}

// Request is one request.
type Request struct {
	// What it does, for error messages, such as "create the key".
	What string
	// Method and Path, which is appended to the base unchanged; its parts must be
	// escaped with url.PathEscape.
	Method, Path string
	Query        url.Values
	// Body is sent as JSON; nil: no body.
	Body any
	// Into takes the JSON of an answer with a 2xx status; nil: the body is ignored.
	Into any
	// Use, if set, gets an answer with a 2xx status after it was decoded. What it does
	// counts as decoding, of which few happen at once, so it must send no request.
	Use func(Answer) error
	// Accept are other statuses that are not errors; their bodies are ignored.
	Accept []int
}

// Answer is the answer of a provider.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// Fault is the reason why this is not an answer of an API; nil if it may be one.
	Fault *provider.Fault
}

// JSON decodes the body into v and reports whether it could.
func (a Answer) JSON(v any) bool { return json.Unmarshal(a.Body, v) == nil }

// New returns the API at an endpoint. The field names the endpoint in errors.
func New(field, endpoint string, cfg provider.Config) (*API, error) {
	base, err := provider.Endpoint(field, endpoint)
	if err != nil {
		return nil, err
	}
	return &API{Field: field, Base: base, HTTP: bounded.HTTP(cfg.HTTP), UserAgent: cfg.UserAgent}, nil
}

// Do sends a request once. An error is a *provider.Error; it is in doubt unless
// the request was never sent or the provider rejected it by its status.
func (a *API) Do(ctx context.Context, r Request) (Answer, error) {
	req, err := a.request(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	resp, err := a.HTTP.Do(req)
	if err != nil {
		return Answer{}, a.noAnswer(r, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, a.noAnswer(r, err)
	}
	out := Answer{Status: resp.StatusCode, Header: resp.Header, Body: body, Fault: bounded.FaultOf(resp)}
	for _, accepted := range r.Accept {
		if out.Status == accepted {
			return out, nil
		}
	}
	if out.Status < 200 || out.Status > 299 {
		return out, a.statusError(r, out)
	}
	if err := a.read(r, out); err != nil || r.Use == nil {
		return out, err
	}
	return out, r.Use(out)
}

func (a *API) request(ctx context.Context, r Request) (*http.Request, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = json.Marshal(r.Body); err != nil {
			return nil, notSent(r, err)
		}
	}
	target := a.Base.Scheme + "://" + a.Base.Host + a.Base.EscapedPath() + r.Path
	if len(r.Query) > 0 {
		target += "?" + r.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target, bytes.NewReader(body))
	if err != nil {
		return nil, notSent(r, err)
	}
	if body == nil {
		req.Body, req.GetBody = http.NoBody, nil
		if r.Method != http.MethodGet {
			// A transport sends a request with an empty body and an Idempotency-Key header, or
			// over HTTP/2, again when the connection ends without an answer.
			req.Body = io.NopCloser(bytes.NewReader(nil))
		}
	} else {
		// Without GetBody no transport sends the body a second time.
		req.GetBody = nil
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	if a.UserAgent != "" {
		req.Header.Set("User-Agent", a.UserAgent)
	}
	if a.Prepare != nil {
		if err := a.Prepare(req, body); err != nil {
			return nil, notSent(r, err)
		}
	}
	return req, nil
}

// read decodes an answer. If it is too long, or not JSON, the request is in doubt.
func (a *API) read(r Request, answer Answer) error {
	if r.Into == nil {
		return nil
	}
	if answer.Fault != nil {
		return provider.Unreached("could not "+r.What, a.Field, answer.Fault)
	}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	unclear := func(why string) error {
		return &provider.Error{
			Code:    provider.CodeUnavailable,
			Message: fmt.Sprintf("could not %s: the provider answered with status %d, but %s: check that %s names this API", r.What, answer.Status, why, a.Field),
		}
	}
	switch {
	case kind != "" && kind != "application/json" && !strings.HasSuffix(kind, "+json"):
		return unclear("not with JSON")
	case !answer.JSON(r.Into):
		return unclear("not with the JSON that its documentation describes")
	}
	return nil
}

func notSent(r Request, err error) *provider.Error {
	var e *provider.Error
	if errors.As(err, &e) {
		return e
	}
	return &provider.Error{Code: provider.CodeInvalid, NotExecuted: true, Err: err, Message: "could not " + r.What + ": the request could not be made"}
}

func (a *API) noAnswer(r Request, err error) *provider.Error {
	var e *provider.Error
	if errors.As(err, &e) { // a limit was reached
		return e
	}
	if f := provider.FaultIn(err); f != nil {
		out := provider.Unreached("could not "+r.What, a.Field, f)
		out.Err = err
		return out
	}
	why := "the provider did not answer"
	if errors.Is(err, context.Canceled) {
		why = "it was canceled"
	}
	return &provider.Error{Code: provider.CodeUnavailable, Err: err, Message: fmt.Sprintf("could not %s: %s", r.What, why)}
}
