package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// message is one rendered request.
type message struct {
	call   *call
	path   string
	query  url.Values
	header http.Header
	body   json.RawMessage
}

// render executes the templates of a request. Parameters with an empty value are not sent.
func (c *call) render(common []header, data map[string]any) (message, error) {
	out := message{call: c, query: url.Values{}, header: http.Header{}}
	var err error
	if out.path, err = c.path.render(data); err != nil {
		return message{}, err
	}
	for _, name := range slices.Sorted(maps.Keys(c.query)) {
		value, err := c.query[name].render(data)
		if err != nil {
			return message{}, err
		}
		if value != "" {
			out.query.Set(name, value)
		}
	}
	for _, h := range slices.Concat(common, c.headers) {
		value, err := h.render(data)
		if err != nil {
			return message{}, err
		}
		out.header.Set(h.name, value)
	}
	out.body, err = c.json(data)
	return out, err
}

func (h header) render(data map[string]any) (string, error) {
	value, err := h.value.render(data)
	if err != nil {
		return "", err
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return "", provider.Invalid(h.value.field + ": a header is one line of printable characters; look for a line break in the credentials Secret")
	}
	return value, nil
}

// json returns the body, or nil if the request has no body.
func (c *call) json(data map[string]any) (json.RawMessage, error) {
	if c.body == nil {
		return nil, nil
	}
	body, err := c.body.render(data)
	if err != nil {
		return nil, err
	}
	if !json.Valid([]byte(body)) {
		e := provider.Invalid(c.body.field + " does not make JSON; a {{ }} already makes a JSON value, with its quotes")
		e.Err = &fault{"it makes " + body}
		return nil, e
	}
	return json.RawMessage(body), nil
}

// sender sends requests to one account.
type sender struct {
	p   *program
	api *httpapi.API
	// credentials are the minting credentials, as templates see them.
	credentials map[string]string
}

// errAccepted means that a request was answered with one of its accepted statuses, which is
// neither an error nor a success.
var errAccepted = errors.New("an accepted status")

// reader reads an answer with expressions. vars are the variables of the answer, and the
// context counts the cost of the expressions.
type reader func(ctx context.Context, vars map[string]any) error

// send sends a request; what describes it in errors. If the answer is JSON and a success, read
// is called with the variables for expressions; with a nil read, the body is ignored. read
// runs while the answer counts as being decoded, and must not send requests. For a status in
// accept the error is errAccepted.
func (s *sender) send(ctx context.Context, c *call, what string, data map[string]any, read reader, accept ...int) error {
	m, err := s.message(c, data)
	if err != nil {
		return err
	}
	api := *s.api
	api.Prepare = func(req *http.Request, _ []byte) error {
		maps.Copy(req.Header, m.header)
		return nil
	}
	api.Explain = func(a httpapi.Answer, e *provider.Error) { s.explain(ctx, a, e) }
	r := httpapi.Request{What: what, Method: c.method, Path: m.path, Query: m.query, Accept: accept}
	if m.body != nil {
		r.Body = m.body
	}
	var d document
	if read != nil {
		r.Into = &d
	}
	r.Use = func(a httpapi.Answer) error {
		if err := c.succeeded(what, a, read == nil); err != nil || read == nil {
			return err
		}
		return read(reading(ctx), variables(a, d))
	}
	answer, err := api.Do(ctx, r)
	if err == nil && slices.Contains(accept, answer.Status) {
		return errAccepted
	}
	return err
}

// message renders a request with the credentials that it uses.
func (s *sender) message(c *call, data map[string]any) (message, error) {
	if c == s.p.probe {
		return c.render(nil, data) // the probe uses the minted credential, not the minting one
	}
	data[fieldCredentials] = s.credentials
	return c.render(s.p.headers, data)
}

// succeeded returns an error if an answer with a 2xx status is not the success that was
// declared. If the answer is not read, it also reports a body that is not from the API, such
// as an HTML page; otherwise reading it has reported that.
func (c *call) succeeded(what string, a httpapi.Answer, unread bool) error {
	if unread && a.Fault != nil {
		return unclear(what, a.Fault.Sentence(baseURLField))
	}
	if len(c.statuses) > 0 && !slices.Contains(c.statuses, a.Status) {
		return unclear(what, fmt.Sprintf("the provider answered with status %d, which is not in %s.successStatuses", a.Status, c.field))
	}
	return nil
}

// baseURLField is the field that errors name for the server.
const baseURLField = "spec.rest.baseURL"

// unclear returns an error of a request that may have been carried out.
func unclear(what, why string) *provider.Error {
	return &provider.Error{Code: provider.CodeUnknown, Message: "could not " + what + ": " + why}
}

// explain adds the vendor's own code to an error. The error becomes in doubt if error.inDoubt
// is true for the answer or cannot be evaluated.
func (s *sender) explain(ctx context.Context, a httpapi.Answer, e *provider.Error) {
	var d document
	isJSON := a.JSON(&d) // without JSON the body is null
	vars := variables(a, d)
	if s.p.word != nil {
		found, err := s.p.word.word(ctx, vars)
		if word := provider.Word(found); err == nil && word != "" {
			e.Message += " (" + word + ")"
			if code, known := s.p.settings.Error.Codes[word]; known {
				e.Code = provider.Code(code)
			}
		}
	}
	if s.p.inDoubt != nil && e.NotExecuted && a.Status != http.StatusTooManyRequests && a.Status != http.StatusUnauthorized {
		doubt, err := s.p.inDoubt.truth(ctx, vars)
		e.NotExecuted = isJSON && err == nil && !doubt
	}
}
