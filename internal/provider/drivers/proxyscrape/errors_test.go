package proxyscrape

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

const (
	jsonError = `{"success":false,"message":"` + rawText + ` CANARY"}`
	htmlError = "<!doctype html><title>" + rawText + " CANARY</title>"
)

// The cases are all documented or observed responses, and those of proxies. Only an explicit rejection is
// not in doubt.
func TestAnswersToMintAreClassified(t *testing.T) {
	const html = "text/html; charset=utf-8"
	cases := map[string]struct {
		answer      reaction
		code        provider.Code
		notExecuted bool
		says        string
	}{
		"400":                  {reaction{status: 400, body: jsonError}, provider.CodeInvalid, true, "status 400"},
		"401":                  {reaction{status: 401, body: `{"status":"unauthorized","info":"` + rawText + `"}`}, provider.CodeUnauthenticated, true, "key token"},
		"401 of a bill":        {reaction{status: 401, body: `{"status":"unauthorized","info":"Your subscription is expired."}`}, provider.CodeAccountBlocked, true, "renew"},
		"401 as text":          {reaction{status: 401, kind: "text/plain", body: rawText}, provider.CodeUnauthenticated, true, "key token"},
		"402":                  {reaction{status: 402, body: jsonError}, provider.CodeAccountBlocked, true, "bill"},
		"403":                  {reaction{status: 403, body: jsonError}, provider.CodePermissionDenied, true, "account:apikeys:create, and every permission"},
		"403 of a proxy":       {reaction{status: 403, kind: html, body: htmlError}, provider.CodePermissionDenied, true, "allowed IPs"},
		"404":                  {reaction{status: 404, kind: html, body: htmlError}, provider.CodeInvalid, true, "status 404"},
		"409":                  {reaction{status: 409, body: jsonError}, provider.CodeInvalid, false, "status 409"},
		"408":                  {reaction{status: 408, body: jsonError}, provider.CodeUnavailable, false, "status 408"},
		"418":                  {reaction{status: 418, body: jsonError}, provider.CodeUnknown, false, "status 418"},
		"422":                  {reaction{status: 422, body: jsonError}, provider.CodeInvalid, true, "status 422"},
		"429":                  {reaction{status: 429, kind: "text/plain", body: "error code: 1015"}, provider.CodeRateLimited, true, "fewer"},
		"500":                  {reaction{status: 500, body: jsonError}, provider.CodeUnavailable, false, "status 500"},
		"502":                  {reaction{status: 502, kind: html, body: htmlError}, provider.CodeUnavailable, false, "status 502"},
		"503":                  {reaction{status: 503, body: jsonError}, provider.CodeUnavailable, false, "status 503"},
		"a redirect":           {reaction{status: 307, header: map[string]string{"Location": "/elsewhere"}}, provider.CodeInvalid, false, "redirects"},
		"200 with a page":      {reaction{status: 200, kind: html, body: htmlError}, provider.CodeUnavailable, false, "web page (status 200)"},
		"200 with text":        {reaction{status: 200, kind: "text/plain", body: "error code: 1015"}, provider.CodeUnavailable, false, "not with JSON"},
		"200 with nothing":     {reaction{status: 200}, provider.CodeUnavailable, false, "documentation"},
		"204":                  {reaction{status: 204}, provider.CodeUnavailable, false, "documentation"},
		"200 that breaks off":  {reaction{status: 200, body: `{"success":true,"data":{"id":"`}, provider.CodeUnavailable, false, "documentation"},
		"200 that is too long": {reaction{status: 200, body: `"` + strings.Repeat("x", httpapi.MaxBody) + `"`}, provider.CodeUnknown, false, "more than 1 MiB"},
		"200 of a failure":     {reaction{status: 200, body: jsonError}, provider.CodeUnknown, false, "failed"},
		"200 of another kind":  {reaction{status: 200, body: `{"status":"unauthorized","info":"` + rawText + `"}`}, provider.CodeUnknown, false, "without an id"},
		"200 of null":          {reaction{status: 200, body: `null`}, provider.CodeUnknown, false, "without an id"},
		"200 without data":     {reaction{status: 200, body: `{"success":true}`}, provider.CodeUnknown, false, "without an id"},
		"200 with a list":      {reaction{status: 200, body: `[]`}, provider.CodeUnavailable, false, "documentation"},
		"200 of a wrong time":  {reaction{status: 200, body: `{"success":true,"data":{"expires_at":"soon"}}`}, provider.CodeUnavailable, false, "documentation"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStub(t)
			s.answers["POST "] = tc.answer
			_, err := s.client.Mint(t.Context(), request(t))
			checkError(t, err, tc.code, tc.notExecuted, tc.says)
			if got := s.asked.Load(); got != 1 {
				t.Errorf("it was sent %d times", got)
			}
		})
	}
}

// The response is a 429, with and without Retry-After.
func TestRetryAfterIsTakenFromTheAnswer(t *testing.T) {
	for wish, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "soon": 0} {
		s := newStub(t)
		s.answers["POST "] = reaction{status: 429, kind: "text/plain", body: "error code: 1015", header: map[string]string{"Retry-After": wish}}
		_, err := s.client.Mint(t.Context(), request(t))
		if got := provider.AsError(err).RetryAfter; got != want {
			t.Errorf("Retry-After %q: got %s, want %s", wish, got, want)
		}
	}
}

// The returned key differs from the request in one field, wider or narrower.
func TestMintedKeyMustBeAsDeclared(t *testing.T) {
	set := func(field string, value any) func(map[string]any) {
		return func(data map[string]any) { data[field] = value }
	}
	cases := map[string]struct {
		change func(map[string]any)
		says   string // empty: it is what was asked for
	}{
		"the same":               {change: nil},
		"in another spelling":    {change: set("allowed_ips", []string{"203.0.113.0/24", "203.0.113.0/24"})},
		"another name":           {set("name", rawText), "in name"},
		"no name":                {set("name", nil), "in name"},
		"more permissions":       {set("permissions", []string{"residential:read", "residential:write"}), "in permissions"},
		"other permissions":      {set("permissions", []string{rawText}), "in permissions"},
		"no permissions":         {set("permissions", nil), "in permissions"},
		"more addresses":         {set("allowed_ips", []string{"203.0.113.0/24", "198.51.100.1"}), "in allowed_ips"},
		"all addresses":          {set("allowed_ips", []string{}), "in allowed_ips"},
		"no address":             {set("allowed_ips", []string{rawText}), "in allowed_ips"},
		"one subaccount":         {set("allowed_subaccounts", []string{firstSubaccount}), "in allowed_subaccounts"},
		"a later end":            {set("expires_at", start.Add(25*time.Hour).Unix()), "in expires_at"},
		"an earlier end":         {set("expires_at", start.Add(time.Hour).Unix()), "in expires_at"},
		"no end":                 {set("expires_at", nil), "in expires_at"},
		"an end in milliseconds": {set("expires_at", start.Add(24*time.Hour).UnixMilli()), "in expires_at"},
		"no token":               {set("token", ""), "without a token"},
		"no id":                  {set("id", ""), "without an id"},
		"several fields":         {func(d map[string]any) { d["permissions"], d["allowed_ips"] = nil, nil }, "in permissions, allowed_ips"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStub(t)
			req := request(t)
			s.answers["POST "] = reaction{status: http.StatusCreated, body: keyJSON(t, req, tc.change)}
			minted, err := s.client.Mint(t.Context(), req)
			if tc.says == "" {
				if err != nil || minted.Secret[KeyToken].Reveal() != "CANARY-minted-token" {
					t.Errorf("got %+v, %v", minted, err)
				}
				return
			}
			checkError(t, err, provider.CodeUnknown, false, tc.says)
		})
	}
}

// None of these responses means that there are no keys.
func TestUnclearListsAreErrors(t *testing.T) {
	cases := map[string]reaction{
		"null":            {status: 200, body: `null`},
		"no data":         {status: 200, body: `{"success":true}`},
		"null as data":    {status: 200, body: `{"success":true,"data":null}`},
		"a failure":       {status: 200, body: jsonError},
		"another wrapper": {status: 200, body: `{"success":true,"data":{"api_keys":[]}}`},
		"an object":       {status: 200, body: `{"status":"unauthorized"}`},
		"keys without id": {status: 200, body: `[{"name":"` + rawText + `"}]`},
		"without names":   {status: 200, body: `{"success":true,"data":[{"id":"x","label":"` + rawText + `"}]}`},
		"a page":          {status: 200, kind: "text/html", body: htmlError},
		"no content":      {status: 204},
		"not found":       {status: 404, kind: "text/html", body: htmlError},
		"forbidden":       {status: 403, body: jsonError},
	}
	for name, answer := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStub(t)
			minted := mint(t, s.client)
			s.answers["GET "] = answer
			s.answers["GET /{id}"] = reaction{status: 404, body: jsonError}
			ref := provider.Ref{Name: minted.Credential.Name, ID: minted.Credential.ID}
			found, findErr := s.client.Find(t.Context(), ref)
			_, _, connectErr := New().Connect(t.Context(), s.config)
			errs := map[string]error{"Find": findErr, "Revoke": s.client.Revoke(t.Context(), ref), "Connect": connectErr}
			for c, err := range s.client.List(t.Context(), provider.Owner{Cluster: cluster}) {
				if errs["List"] = err; err == nil {
					t.Errorf("List yields %+v", c)
				}
			}
			if len(errs) != 4 || len(found) != 0 {
				t.Errorf("List yields nothing, or Find returns %+v", found)
			}
			for verb, err := range errs {
				if err == nil {
					t.Errorf("%s: no error", verb)
					continue
				}
				e := provider.AsError(err)
				checkError(t, err, e.Code, e.NotExecuted, "list the API keys")
			}
			if !s.Accepts(minted.Secret[KeyToken].Reveal(), office, start) {
				t.Error("the key is gone")
			}
		})
	}
}

// Revoke returns nil only if the key is certainly gone.
func TestAnswersToRevokeAreClassified(t *testing.T) {
	cases := map[string]struct {
		answer reaction
		code   provider.Code // empty: it is gone
	}{
		"documented":       {reaction{status: 200, body: `{"success":true,"message":"API key revoked successfully","data":{"id":"x","revoked_at":1}}`}, ""},
		"accepted":         {reaction{status: 202, body: `{"success":true}`}, ""},
		"no content":       {reaction{status: 204}, ""},
		"not found":        {reaction{status: 404, body: jsonError}, ""},
		"gone":             {reaction{status: 410, kind: "text/html", body: htmlError}, ""},
		"a failure":        {reaction{status: 200, body: jsonError}, provider.CodeUnknown},
		"without success":  {reaction{status: 200, body: `{}`}, provider.CodeUnknown},
		"an old error":     {reaction{status: 200, body: `{"status":"unauthorized"}`}, provider.CodeUnknown},
		"a page":           {reaction{status: 200, kind: "text/html", body: htmlError}, provider.CodeUnavailable},
		"nothing":          {reaction{status: 200}, provider.CodeUnavailable},
		"unauthorized":     {reaction{status: 401, body: jsonError}, provider.CodeUnauthenticated},
		"forbidden":        {reaction{status: 403, body: jsonError}, provider.CodePermissionDenied},
		"too many":         {reaction{status: 429, kind: "text/plain", body: "error code: 1015"}, provider.CodeRateLimited},
		"a server's error": {reaction{status: 500, body: jsonError}, provider.CodeUnavailable},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStub(t)
			minted := mint(t, s.client)
			s.answers["DELETE /{id}"] = tc.answer
			err := s.client.Revoke(t.Context(), provider.Ref{Name: minted.Credential.Name})
			if tc.code == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			checkError(t, err, tc.code, provider.AsError(err).NotExecuted, "delete the API key")
		})
	}
}

// The response to a read of one key does not contain the key.
func TestUnclearKeysAreErrors(t *testing.T) {
	for name, answer := range map[string]reaction{
		"another key":  {status: 200, body: `{"success":true,"data":{"id":"` + secondSubaccount + `","name":"` + rawText + `"}}`},
		"no name":      {status: 200, body: `{"success":true,"data":{"id":"` + firstSubaccount + `"}}`},
		"a failure":    {status: 200, body: jsonError},
		"a page":       {status: 200, kind: "text/html", body: htmlError},
		"unauthorized": {status: 401, body: jsonError},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStub(t)
			s.answers["GET /{id}"] = answer
			ref := provider.Ref{Name: request(t).Name, ID: firstSubaccount}
			found, err := s.client.Find(t.Context(), ref)
			for _, err := range []error{err, s.client.Revoke(t.Context(), ref)} {
				checkError(t, err, provider.AsError(err).Code, provider.AsError(err).NotExecuted, "read the API key")
			}
			if len(found) != 0 {
				t.Errorf("found %+v", found)
			}
		})
	}
}
