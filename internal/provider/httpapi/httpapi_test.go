package httpapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
	"apitoken.dev/operator/test/support/badserver"
)

// canary is text of a provider that no error may repeat.
const canary = "CANARY-raw-text"

func newAPI(t *testing.T, h http.HandlerFunc) *httpapi.API {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	api, err := httpapi.New("spec.x.endpoint", s.URL+"/v1/", provider.Config{HTTP: s.Client(), UserAgent: "apitoken-operator/test"})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func TestRequestSendsJSONAndReadsTheResponse(t *testing.T) {
	var got *http.Request
	var body string
	api := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got, body = r, string(raw)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, `{"id":"7"}`)
	})
	api.Prepare = func(req *http.Request, body []byte) error {
		req.Header.Set("X-Signed", req.URL.Path+"?"+req.URL.RawQuery+" "+string(body))
		return nil
	}
	var into struct{ ID string }
	_, err := api.Do(t.Context(), httpapi.Request{
		What: "make a key", Method: http.MethodPost, Path: "/keys/" + url.PathEscape("a/b"),
		Query: url.Values{"b": {"2"}, "a": {"1 2"}}, Body: map[string]string{"name": "n"}, Into: &into,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"POST", "/v1/keys/a%2Fb?a=1+2&b=2", `{"name":"n"}`, "application/json", "apitoken-operator/test", `/v1/keys/a/b?a=1+2&b=2 {"name":"n"}`, "7"}
	saw := []string{got.Method, got.RequestURI, body, got.Header.Get("Content-Type"), got.UserAgent(), got.Header.Get("X-Signed"), into.ID}
	if diff := cmp.Diff(want, saw); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := api.Do(t.Context(), httpapi.Request{What: "list", Method: http.MethodGet, Path: "/keys"}); err != nil {
		t.Fatal(err)
	}
	if body != "" || got.Header.Get("Content-Type") != "" || got.ContentLength != 0 {
		t.Errorf("a request without a body has %q, %q, %d bytes", body, got.Header.Get("Content-Type"), got.ContentLength)
	}
}

func TestStatusDecidesWhetherARequestMayHaveBeenExecuted(t *testing.T) {
	cases := map[int]struct {
		code     provider.Code
		executed bool // it may have been
	}{
		301: {provider.CodeInvalid, true},
		400: {provider.CodeInvalid, false},
		401: {provider.CodeUnauthenticated, false},
		402: {provider.CodeAccountBlocked, false},
		403: {provider.CodePermissionDenied, false},
		404: {provider.CodeInvalid, false},
		405: {provider.CodeInvalid, false},
		408: {provider.CodeUnavailable, true},
		409: {provider.CodeInvalid, true},
		410: {provider.CodeInvalid, false},
		413: {provider.CodeInvalid, false},
		418: {provider.CodeUnknown, true},
		422: {provider.CodeInvalid, false},
		423: {provider.CodeAccountBlocked, false},
		429: {provider.CodeRateLimited, false},
		500: {provider.CodeUnavailable, true},
		502: {provider.CodeUnavailable, true},
		503: {provider.CodeUnavailable, true},
		504: {provider.CodeUnavailable, true},
	}
	for status, c := range cases {
		api := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://example.com/")
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, canary)
		})
		answer, err := api.Do(t.Context(), httpapi.Request{What: "make a key", Method: http.MethodPost, Path: "/keys", Body: struct{}{}})
		e := provider.AsError(err)
		if e.Code != c.code || provider.InDoubt(err) != c.executed || e.RetryAfter != 7*time.Second || answer.Status != status {
			t.Errorf("status %d: %v, in doubt %t, retry after %s", status, err, provider.InDoubt(err), e.RetryAfter)
		}
		if !strings.Contains(e.Message, "could not make a key") || strings.Contains(err.Error(), canary) {
			t.Errorf("status %d says %s", status, err)
		}
	}
}

// The status is 2xx, so the request may have been carried out.
func TestUnreadableAnswerIsInDoubt(t *testing.T) {
	cases := map[string]struct{ kind, body string }{
		"a page":   {"text/html", "<!doctype html>" + canary},
		"no JSON":  {"application/json", canary},
		"cut off":  {"application/json", `{"id":"`},
		"too long": {"application/json", `{"id":"` + strings.Repeat("x", httpapi.MaxBody) + `"}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			api := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				_, _ = io.WriteString(w, c.body)
			})
			var into struct{ ID string }
			_, err := api.Do(t.Context(), httpapi.Request{What: "make a key", Method: http.MethodPost, Path: "/keys", Into: &into})
			if !provider.InDoubt(err) || strings.Contains(err.Error(), canary) {
				t.Errorf("got %v, in doubt %t", err, provider.InDoubt(err))
			}
		})
	}
}

func TestAcceptedStatusIsNoError(t *testing.T) {
	api := newAPI(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	answer, err := api.Do(t.Context(), httpapi.Request{What: "delete", Method: http.MethodDelete, Path: "/x", Accept: []int{http.StatusNotFound}})
	if err != nil || answer.Status != http.StatusNotFound {
		t.Errorf("status %d, error %v", answer.Status, err)
	}
}

// A request is sent once, to one server.
func TestRedirectOfAPostIsNotFollowed(t *testing.T) {
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	t.Cleanup(other.Close)
	n := 0
	api := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	_, err := api.Do(t.Context(), httpapi.Request{What: "make a key", Method: http.MethodPost, Path: "/keys", Body: struct{}{}})
	if n != 1 || elsewhere != 0 || !provider.InDoubt(err) {
		t.Errorf("%d requests here, %d elsewhere, error %v", n, elsewhere, err)
	}
}

func TestMissingAnswerIsInDoubt(t *testing.T) {
	api := newAPI(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := api.Do(t.Context(), httpapi.Request{What: "make a key", Method: http.MethodPost, Path: "/keys"})
	if e := provider.AsError(err); e.Code != provider.CodeUnavailable || !provider.InDoubt(err) {
		t.Errorf("a broken connection: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = api.Do(ctx, httpapi.Request{What: "make a key", Method: http.MethodPost, Path: "/keys"})
	if !provider.InDoubt(err) || !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}

// TestFaultsStayInDoubt: why there is no answer says nothing about what a request that
// was sent has done.
func TestFaultsStayInDoubt(t *testing.T) {
	for name, server := range map[string]badserver.Server{
		"refused": badserver.Refusing(t), "closed": badserver.Closing(t), "unknown CA": badserver.UntrustedCA(t), "plain HTTP": badserver.Plain(t),
		"no HTTP": badserver.Mumbling(t), "page": badserver.Page(t, http.StatusOK), "redirect": badserver.Redirecting(t),
	} {
		api, err := httpapi.New("spec.x.endpoint", server.URL, provider.Config{HTTP: &http.Client{}})
		if err != nil {
			t.Fatal(err)
		}
		var into struct{ ID string }
		_, err = api.Do(t.Context(), httpapi.Request{What: "make a key", Method: http.MethodPost, Path: "/keys", Body: struct{}{}, Into: &into})
		e := provider.AsError(err)
		if !provider.InDoubt(err) || provider.FaultIn(err) == nil || !strings.HasPrefix(e.Message, "could not make a key: ") || strings.Contains(e.Message, badserver.Canary) {
			t.Errorf("%s: %v, in doubt %t", name, err, provider.InDoubt(err))
		}
	}
}

func TestUnsentRequestIsNotInDoubt(t *testing.T) {
	n := 0
	api := newAPI(t, func(http.ResponseWriter, *http.Request) { n++ })
	refused := provider.Invalid("no key to sign with")
	cases := map[string]struct {
		request httpapi.Request
		prepare func(*http.Request, []byte) error
	}{
		"a body that is not JSON": {httpapi.Request{Method: http.MethodPost, Body: func() {}}, nil},
		"an invalid method":       {httpapi.Request{Method: "A B"}, nil},
		"no signature":            {httpapi.Request{Method: http.MethodPost}, func(*http.Request, []byte) error { return refused }},
		"another error": {httpapi.Request{Method: http.MethodPost}, func(*http.Request, []byte) error {
			return errors.New(canary)
		}},
	}
	for name, c := range cases {
		api.Prepare = c.prepare
		_, err := api.Do(t.Context(), c.request)
		if err == nil || provider.InDoubt(err) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestDriverExplainsErrors(t *testing.T) {
	api := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusPaymentRequired)
		_, _ = io.WriteString(w, `{"reason":"insufficient_balance"}`)
	})
	api.Explain = func(a httpapi.Answer, e *provider.Error) {
		var body struct{ Reason string }
		if a.JSON(&body) {
			e.Message += " (" + provider.Word(body.Reason) + ")"
		}
	}
	_, err := api.Do(t.Context(), httpapi.Request{What: "make a key", Method: http.MethodPost})
	if e := provider.AsError(err); e.Code != provider.CodeAccountBlocked || !strings.Contains(e.Message, "insufficient_balance") {
		t.Errorf("got %v", err)
	}
}

func TestInvalidEndpointsAreRejected(t *testing.T) {
	for _, endpoint := range []string{"", "example.com", "ftp://example.com", "https://", "https://user@example.com", "https://example.com?a=b", "https://example.com#a", ":"} {
		if _, err := httpapi.New("spec.x.endpoint", endpoint, provider.Config{}); err == nil || !strings.Contains(err.Error(), "spec.x.endpoint") {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}

func TestRetryAfterReadsSecondsAndDates(t *testing.T) {
	date := func(value, now string) http.Header { return http.Header{"Retry-After": {value}, "Date": {now}} }
	cases := map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"none":           {http.Header{}, 0},
		"seconds":        {http.Header{"Retry-After": {"30"}}, 30 * time.Second},
		"more than all":  {http.Header{"Retry-After": {"99999"}}, time.Hour},
		"negative":       {http.Header{"Retry-After": {"-5"}}, 0},
		"words":          {http.Header{"Retry-After": {"soon"}}, 0},
		"a date":         {date("Thu, 01 Jan 2026 00:01:00 GMT", "Thu, 01 Jan 2026 00:00:00 GMT"), time.Minute},
		"a past date":    {date("Thu, 01 Jan 2026 00:00:00 GMT", "Thu, 01 Jan 2026 00:01:00 GMT"), 0},
		"without a date": {http.Header{"Retry-After": {"Thu, 01 Jan 2026 00:01:00 GMT"}}, 0},
	}
	for name, c := range cases {
		if got := httpapi.RetryAfter(c.header); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// By default net/http repeats a request without a body if it has an Idempotency-Key header and the
// connection closed without an answer.
func TestRequestWithAnIdempotencyKeyIsSentOnce(t *testing.T) {
	var posts atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts.Add(1)
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(server.Close)
	api, err := httpapi.New("endpoint", server.URL, provider.Config{HTTP: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	api.Prepare = func(r *http.Request, _ []byte) error {
		r.Header.Set("Idempotency-Key", "one")
		return nil
	}
	if _, err := api.Do(t.Context(), httpapi.Request{What: "look", Method: http.MethodGet, Path: "/"}); err != nil {
		t.Fatal(err) // the connection is kept
	}
	if _, err := api.Do(t.Context(), httpapi.Request{What: "create", Method: http.MethodPost, Path: "/"}); err == nil || posts.Load() != 1 {
		t.Errorf("it was sent %d times: %v", posts.Load(), err)
	}
}
