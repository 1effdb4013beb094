package ibee

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/simulate/ibeesim"
)

func TestEveryDocumentedFormOfAnErrorIsDecoded(t *testing.T) {
	denied := problem{told: true, code: "billing_denied", reason: "insufficient_balance"}
	scope := problem{told: true, code: "insufficient_scope", requiredScope: "billing.read"}
	cases := map[string]problem{
		`{"error":"billing_denied","billing_reason":"insufficient_balance","billing_sku_code":"OBJECTST-STD"}`: denied,
		`{"error":"insufficient_scope","required_scope":"billing.read"}`:                                       scope,
		`{"error":{"code":"billing_denied","reason":"insufficient_balance"}}`:                                  denied,
		`{"error":{"code":"insufficient_scope","required_scope":"billing.read","message":"text"}}`:             scope,
		`{"detail":{"code":"billing_denied","reason":"insufficient_balance"}}`:                                 denied,
		`{"detail":{"error_code":"billing_denied","reason":"insufficient_balance"}}`:                           denied,
		`{"detail":{"error":"insufficient_scope","required_scope":"billing.read"}}`:                            scope,
		`{"code":"billing_denied","reason":"insufficient_balance"}`:                                            denied,
		`{"code":"insufficient_scope","required_scope":"billing.read"}`:                                        scope,
		`{"detail":"Not found"}`:                         {told: true},
		`{"detail":[{"loc":["body"],"msg":"required"}]}`: {told: true},
		`{"detail":{"message":"text"}}`:                  {told: true},
		`{"error":{"message":"text"}}`:                   {told: true},
		`{"error_code":1010,"error_name":"banned"}`:      {},
		`{"message":"text"}`:                             {},
		`{"error":7}`:                                    {},
		`["detail"]`:                                     {},
		`<html>`:                                         {},
		``:                                               {},
		`{"error":"","code":"billing_denied","reason":""}`: {told: true, code: "billing_denied"},
	}
	for body, want := range cases {
		if diff := cmp.Diff(want, problemOf([]byte(body)), cmp.AllowUnexported(problem{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

// The API answers the request that creates a credential with an error.
func TestAnswersToMintAreClassified(t *testing.T) {
	cases := map[string]struct {
		status int
		body   string
		code   provider.Code
		doubt  bool
		says   string
	}{
		"no workspace": {400, `{"error":"invalid_workspace_id"}`, provider.CodeInvalid, false, "(invalid_workspace_id); check spec.ibee.workspaceID"},
		"not accepted": {401, `{"error":"unauthorized"}`, provider.CodeUnauthenticated, false, "put it into the credentials Secret"},
		"revoked token": {
			403, `{"error":"key_revoked"}`, provider.CodeUnauthenticated, false, "(key_revoked); the token no longer works: create a new one in the portal",
		},
		"expired token":  {403, `{"detail":{"code":"key_expired"}}`, provider.CodeUnauthenticated, false, "(key_expired); the token no longer works"},
		"disabled token": {403, `{"error":{"code":"key_disabled"}}`, provider.CodeUnauthenticated, false, "(key_disabled); the token no longer works"},
		"inactive token": {403, `{"code":"key_inactive"}`, provider.CodeUnauthenticated, false, "(key_inactive); the token no longer works"},
		"not enough": {
			403, `{"error":"insufficient_scope","required_scope":"object-storage.write"}`, provider.CodePermissionDenied, false,
			"(insufficient_scope, object-storage.write); the token needs Object Storage with Admin Read & Write",
		},
		"another workspace": {403, `{"error":"workspace_not_allowed"}`, provider.CodePermissionDenied, false, "check spec.ibee.workspaceID"},
		"restricted":        {403, `{"error":"organization_restricted"}`, provider.CodeAccountBlocked, false, "the owner of the organization must lift it"},
		"another API":       {403, `{"error":"unknown_route"}`, provider.CodeInvalid, false, "check spec.ibee.endpoint"},
		"bill": {
			402, `{"error":"billing_denied","billing_reason":"insufficient_balance"}`, provider.CodeAccountBlocked, false,
			"(billing_denied, insufficient_balance); pay or correct this in the portal, under Billing",
		},
		"bill, in words":      {402, `{"detail":"pay"}`, provider.CodeAccountBlocked, false, "settle it in the portal, under Billing"},
		"suspended":           {423, `{"detail":{"code":"organization_suspended"}}`, provider.CodeAccountBlocked, false, "(organization_suspended); the owner"},
		"suspended, in words": {423, `{"detail":"suspended"}`, provider.CodeAccountBlocked, false, "the owner of the organization"},
		"not found":           {404, `{"detail":"Not Found"}`, provider.CodeInvalid, false, "did not find what was requested"},
		"conflict":            {409, `{"code":"conflict"}`, provider.CodeInvalid, true, "(conflict)"},
		"too large":           {413, `{"code":"request_body_too_large"}`, provider.CodeInvalid, false, "too large"},
		"not valid":           {422, `{"detail":[{"loc":["body","name"],"msg":"` + rawText + `"}]}`, provider.CodeInvalid, false, "rejected the request"},
		"too many":            {429, `{"error":"rate_limited"}`, provider.CodeRateLimited, false, "(rate_limited)"},
		"too many, a page":    {429, `<html>` + rawText, provider.CodeRateLimited, false, "fewer requests"},
		"broken":              {500, `{"error":"internal_error"}`, provider.CodeUnavailable, true, "(internal_error)"},
		"no billing decision": {502, `{"error":"billing_admission_error"}`, provider.CodeUnavailable, true, "(billing_admission_error)"},
		"down":                {503, `{"error":"organization_lifecycle_unavailable"}`, provider.CodeUnavailable, true, "(organization_lifecycle_unavailable)"},
		"late":                {504, ``, provider.CodeUnavailable, true, "the server failed"},
		"code of a rejection with another status": {500, `{"error":"key_revoked"}`, provider.CodeUnavailable, true, "(key_revoked)"},
		"firewall": {
			403, `{"error_code":1010,"error_name":"browser_signature_banned"}`, provider.CodePermissionDenied, true, "not in the form of the IBEE API",
		},
		"page of a proxy":  {403, `<html>` + rawText, provider.CodePermissionDenied, true, "correct spec.ibee.endpoint"},
		"page not found":   {404, `404 page not found`, provider.CodeInvalid, true, "not in the form of the IBEE API"},
		"redirect":         {307, ``, provider.CodeInvalid, true, "redirects are not followed"},
		"text for a code":  {403, `{"error":"go to ` + rawText + `"}`, provider.CodePermissionDenied, false, "may not do this"},
		"unheard of":       {418, `{"error":"teapot"}`, provider.CodeUnknown, true, "(teapot)"},
		"text in a reason": {402, `{"error":"billing_denied","billing_reason":"call ` + rawText + `"}`, provider.CodeAccountBlocked, false, "(billing_denied); pay"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := clientOf(t, answering(t, tc.status, http.Header{"Retry-After": {"7"}}, tc.body))
			_, err := c.Mint(t.Context(), request(t, readOnly("datasets")))
			got := provider.AsError(err)
			if got.Code != tc.code || provider.InDoubt(err) != tc.doubt {
				t.Errorf("got %s, in doubt %t; want %s, %t (%v)", got.Code, provider.InDoubt(err), tc.code, tc.doubt, err)
			}
			if !strings.Contains(got.Message, tc.says) || strings.Contains(got.Message, rawText) {
				t.Errorf("message %q, want one with %q and nothing raw", got.Message, tc.says)
			}
			if got.RetryAfter != 7*time.Second {
				t.Errorf("wait %s, want 7s", got.RetryAfter)
			}
		})
	}
}

// The driver sees it before anything is minted.
func TestConnectReportsABlockedAccount(t *testing.T) {
	for status, body := range map[int]string{
		http.StatusPaymentRequired: `{"error":"billing_denied","billing_reason":"insufficient_balance"}`,
		http.StatusLocked:          `{"error":"organization_suspended"}`,
	} {
		_, _, err := New().Connect(t.Context(), answering(t, status, nil, body))
		if got := provider.AsError(err).Code; got != provider.CodeAccountBlocked {
			t.Errorf("status %d: got %s (%v), want %s", status, got, err, provider.CodeAccountBlocked)
		}
	}
}

func TestBlockedAccountIsReportedInEveryErrorForm(t *testing.T) {
	for form := 1; form <= 4; form++ {
		b := newBackend(t)
		b.Envelope = form
		client := connect(t, b.config())
		b.BillingDenied = "insufficient_balance"
		_, err := client.Mint(t.Context(), request(t, readOnly("datasets")))
		if e := provider.AsError(err); e.Code != provider.CodeAccountBlocked || !e.NotExecuted || !strings.Contains(e.Message, "(billing_denied, insufficient_balance)") {
			t.Errorf("form %d: got %v", form, err)
		}
		b.Suspended = true
		_, _, err = New().Connect(t.Context(), b.config())
		if e := provider.AsError(err); e.Code != provider.CodeAccountBlocked || !strings.Contains(e.Message, "(organization_suspended)") {
			t.Errorf("form %d: got %v", form, err)
		}
		if got := b.Credentials(); len(got) != 0 {
			t.Errorf("form %d: made %+v", form, got)
		}
	}
}

// The secrets are in every part of an error that the provider can choose.
func TestErrorsShowNoSecret(t *testing.T) {
	for _, canary := range []string{minterToken, "code-" + minterToken, "CANARY secret text"} {
		for _, form := range []string{
			`{"error":%[1]q,"billing_reason":%[1]q,"required_scope":%[1]q,"message":%[1]q}`,
			`{"error":{"code":%[1]q,"reason":%[1]q,"required_scope":%[1]q,"message":%[1]q}}`,
			`{"detail":{"error_code":%[1]q,"reason":%[1]q,"message":%[1]q}}`,
			`{"detail":%[1]q}`, `{"code":%[1]q,"reason":%[1]q}`, `%[1]s`,
		} {
			for _, status := range []int{200, 302, 400, 401, 402, 403, 404, 409, 422, 423, 429, 500, 502} {
				cfg := answering(t, status, http.Header{"Location": {"https://example.com/" + canary}}, fmt.Sprintf(form, canary))
				c := clientOf(t, cfg)
				req := request(t, readOnly("datasets"))
				_, _, connectErr := New().Connect(t.Context(), cfg)
				_, mintErr := c.Mint(t.Context(), req)
				_, findErr := c.Find(t.Context(), provider.Ref{Name: req.Name, ID: "AKIA1"})
				_, probeErr := c.Accepts(t.Context(), map[string]provider.Value{KeyToken: provider.NewValue(minterToken)}, readBilling())
				for what, err := range map[string]error{
					"Connect": connectErr, "Mint": mintErr, "Find": findErr, "Accepts": probeErr,
					"Revoke": c.Revoke(t.Context(), provider.Ref{Name: req.Name, ID: "AKIA1"}),
				} {
					if err != nil && strings.Contains(fmt.Sprintf("%v %+v", err, err), "CANARY") {
						t.Errorf("%s with status %d and %s: %v", what, status, form, err)
					}
				}
			}
		}
	}
}

func TestFirewallRejectionNamesWhatToCheck(t *testing.T) {
	b := newBackend(t)
	cfg := b.config()
	cfg.UserAgent = "Go-http-client/1.1"
	_, _, err := New().Connect(t.Context(), cfg)
	if e := provider.AsError(err); e.Code != provider.CodePermissionDenied || !strings.Contains(e.Message, "what stands between it and the operator") {
		t.Errorf("got %v", err)
	}
}

func TestErrorNamesTheMissingRightOfTheToken(t *testing.T) {
	b := newBackend(t)
	b.AddToken("ibee_prod_key_CANARY-reader", ibeesim.StorageRead)
	cfg := b.config()
	cfg.Credentials = map[string]provider.Value{KeyToken: provider.NewValue("ibee_prod_key_CANARY-reader")}
	_, err := connect(t, cfg).Mint(t.Context(), request(t, readOnly("datasets")))
	if e := provider.AsError(err); e.Code != provider.CodePermissionDenied || !e.NotExecuted || !strings.Contains(e.Message, ibeesim.StorageWrite) {
		t.Errorf("got %v", err)
	}
}
