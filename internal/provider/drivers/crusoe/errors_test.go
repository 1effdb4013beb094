package crusoe

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
)

// rejectedCreation answers every POST with this response.
func rejectedCreation(status int, body string, header ...string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		respond(w, status, body)
		return true
	}
}

// The server answers the creation of a key with an error.
func TestAnswersToMintAreClassified(t *testing.T) {
	const text = `"message":"rpc code = X desc = ` + rawText + `"`
	cases := map[string]struct {
		status int
		body   string
		header []string
		want   provider.Error // Message: what it must contain
	}{
		"bad request":       {status: 400, body: `{"code":"400",` + text + `}`, want: provider.Error{Code: provider.CodeInvalid, NotExecuted: true, Message: "rejected the request as invalid"}},
		"newer body":        {status: 400, body: `{"code":"bad_request","error_id":"` + rawText + `","reason":"r",` + text + `}`, want: provider.Error{Code: provider.CodeInvalid, NotExecuted: true, Message: "(bad_request)"}},
		"only a reason":     {status: 400, body: `{"code":"400","reason":"alias_taken",` + text + `}`, want: provider.Error{Code: provider.CodeInvalid, NotExecuted: true, Message: "(alias_taken)"}},
		"code that is text": {status: 400, body: `{"code":"go to ` + rawText + `","message":""}`, want: provider.Error{Code: provider.CodeInvalid, NotExecuted: true, Message: "as invalid"}},
		"bad credential":    {status: 401, body: `{"code":"401","message":"bad_credential"}`, want: provider.Error{Code: provider.CodeUnauthenticated, NotExecuted: true, Message: "the clock of this node"}},
		"newer credential":  {status: 401, body: `{"code":"bad_credential",` + text + `}`, want: provider.Error{Code: provider.CodeUnauthenticated, NotExecuted: true, Message: "(bad_credential); check accessKeyID and secretKey in the credentials Secret, and the clock"}},
		"unauthorized":      {status: 403, body: `{"code":"403","message":"unauthorized"}`, want: provider.Error{Code: provider.CodePermissionDenied, NotExecuted: true, Message: "check spec.crusoe.organizationID"}},
		"not found":         {status: 404, body: `{"code":"404","message":"not_found"}`, want: provider.Error{Code: provider.CodeInvalid, NotExecuted: true, Message: "check spec.crusoe.organizationID"}},
		"conflict":          {status: 409, body: `{"code":"409",` + text + `}`, want: provider.Error{Code: provider.CodeInvalid, Message: "conflicts with something that exists"}},
		"unprocessable":     {status: 422, body: `{"code":"422",` + text + `}`, want: provider.Error{Code: provider.CodeInvalid, NotExecuted: true, Message: "as invalid"}},
		"too many": {
			status: 429, body: `{"code":"429",` + text + `}`, header: []string{"Retry-After", "7"},
			want: provider.Error{Code: provider.CodeRateLimited, NotExecuted: true, RetryAfter: 7 * time.Second, Message: "fewer requests"},
		},
		"internal":              {status: 500, body: `{"code":"500","message":"internal_error"}`, want: provider.Error{Code: provider.CodeUnavailable, Message: "the server failed"}},
		"unavailable":           {status: 503, body: rawText, want: provider.Error{Code: provider.CodeUnavailable, Message: "the server failed"}},
		"page of a firewall":    {status: 403, body: "<html>" + rawText, want: provider.Error{Code: provider.CodePermissionDenied, Message: "as an API"}},
		"JSON of something":     {status: 400, body: `{"error":"` + rawText + `"}`, want: provider.Error{Code: provider.CodeInvalid, Message: "not the API's own"}},
		"JSON of another shape": {status: 400, body: `{"code":400,"message":"` + rawText + `"}`, want: provider.Error{Code: provider.CodeInvalid, Message: "not the API's own"}},
		"redirect":              {status: 307, header: []string{"Location", "/elsewhere"}, want: provider.Error{Code: provider.CodeInvalid, Message: "redirects are not followed"}},
		"a teapot":              {status: 418, body: `{"code":"418",` + text + `}`, want: provider.Error{Code: provider.CodeUnknown, Message: "does not know this status"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			c := a.connect(t)
			a.answer(rejectedCreation(tc.status, tc.body, tc.header...))
			_, err := c.Mint(t.Context(), request(t, "training"))
			got := *provider.AsError(err)
			if !strings.Contains(got.Message, tc.want.Message) || strings.Contains(got.Message, rawText) {
				t.Errorf("message %q, want one with %q and nothing raw", got.Message, tc.want.Message)
			}
			got.Message, got.Err = tc.want.Message, nil
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// The status for a third key is not documented, so the driver counts the listed keys.
func TestRefusedKeyOfAFullUserIsAQuotaError(t *testing.T) {
	const body = `{"code":"x","message":"` + rawText + `"}`
	cases := map[string]struct {
		status, keys int
		want         provider.Code
		doubt        bool
	}{
		"bad request":        {status: 400, keys: 2, want: provider.CodeQuota},
		"forbidden":          {status: 403, keys: 2, want: provider.CodeQuota},
		"conflict":           {status: 409, keys: 2, want: provider.CodeQuota, doubt: true},
		"unprocessable":      {status: 422, keys: 2, want: provider.CodeQuota},
		"too many":           {status: 429, keys: 2, want: provider.CodeQuota},
		"not authenticated":  {status: 401, keys: 2, want: provider.CodeUnauthenticated},
		"internal":           {status: 500, keys: 2, want: provider.CodeUnavailable, doubt: true},
		"room for one":       {status: 400, keys: 1, want: provider.CodeInvalid},
		"room for two":       {status: 403, keys: 0, want: provider.CodePermissionDenied},
		"a limit of another": {status: 429, keys: 1, want: provider.CodeRateLimited},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			a.ListsAll = true
			c := a.connect(t)
			for range tc.keys {
				mustMake(t, a, userID, "")
			}
			for range 2 { // they take no slot of ours
				mustMake(t, a, otherUserID, "")
			}
			a.answer(rejectedCreation(tc.status, body))
			_, err := c.Mint(t.Context(), request(t, "training"))
			e := provider.AsError(err)
			if e.Code != tc.want || provider.InDoubt(err) != tc.doubt || strings.Contains(e.Message, rawText) {
				t.Errorf("got %v, in doubt %t; want %s, %t", err, provider.InDoubt(err), tc.want, tc.doubt)
			}
			if tc.want == provider.CodeQuota && !strings.Contains(e.Message, "its user has 2 keys, and Crusoe Cloud allows 2") {
				t.Errorf("message %q", e.Message)
			}
		})
	}
}

func mustMake(t *testing.T, a *account, user, alias string) string {
	t.Helper()
	key, err := a.Make(t.Context(), user, organization, alias, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return key.AccessKeyID
}

func TestThirdKeyIsAQuotaError(t *testing.T) {
	a := newAccount(t)
	c := a.connect(t)
	mustMake(t, a, userID, "another client")
	if _, err := c.Mint(t.Context(), request(t, "first")); err != nil {
		t.Fatal(err)
	}
	_, err := c.Mint(t.Context(), request(t, "second"))
	if e := provider.AsError(err); e.Code != provider.CodeQuota || !e.NotExecuted {
		t.Errorf("got %v", err)
	}
}

// A proxy sent the request twice, and the second copy was rejected.
func TestRefusedCopyOfACreationIsInDoubt(t *testing.T) {
	a := newAccount(t)
	c := a.connect(t)
	req := request(t, "training")
	a.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		mustMake(t, a, userID, req.Name)
		mustMake(t, a, userID, "")
		respond(w, http.StatusBadRequest, `{"code":"400","message":"bad_request"}`)
		return true
	})
	if _, err := c.Mint(t.Context(), req); !provider.InDoubt(err) {
		t.Errorf("got %v, want an error in doubt", err)
	}
}

func TestCreationIsSentOnce(t *testing.T) {
	for _, status := range []int{307, 400, 401, 409, 429, 500, 502, 503} {
		a := newAccount(t)
		c := a.connect(t)
		sent := 0
		a.answer(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost {
				return false
			}
			sent++
			w.Header().Set("Location", r.URL.Path)
			respond(w, status, `{"code":"x","message":"y"}`)
			return true
		})
		if _, err := c.Mint(t.Context(), request(t, "training")); err == nil || sent != 1 {
			t.Errorf("status %d: sent %d times, error %v", status, sent, err)
		}
	}
}
