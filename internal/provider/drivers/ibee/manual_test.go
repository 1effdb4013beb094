package ibee

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/simulate/ibeesim"
)

const handMade = "ibee_v4_CANARY-manual"

func submitted(token string) map[string]provider.Value {
	return map[string]provider.Value{KeyToken: provider.NewValue(token)}
}

func TestFormDescribesTheToken(t *testing.T) {
	cfg := provider.Config{Settings: Settings{WorkspaceID: ws}}
	req := request(t, readBilling())
	req.Description = "monthly report"
	got, ok := New().Form(cfg, req)
	want := provider.Form{
		Where: "https://portal.ibee.ai/a/42/api-tokens (Tools, API Tokens), + Create Token",
		Fields: []provider.FormField{
			{Label: "Name", Value: "ml/training until 2026-03-31"},
			{Label: "Description", Value: "for the ApiToken ml/training: monthly report"},
			{Label: "Expires In (days)", Value: "the days from today to 2026-03-31 (UTC), no more, between 1 and 365"},
			{Label: "Billing", Value: "checked, with Read only"},
			{Label: "Object Storage", Value: "not checked"},
		},
		Keys: []string{"token"},
		Revoke: "https://portal.ibee.ai/a/42/api-tokens (Tools, API Tokens), Revoke in the column Actions; " +
			"of several tokens whose name begins with ml/training, the oldest",
	}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("ok %t (-want +got):\n%s", ok, diff)
	}
	req.Owner.Token = strings.Repeat("t", 253)
	got, _ = New().Form(cfg, req)
	if name := got.Fields[0].Value; len(name) != maxPortalName || !strings.HasSuffix(name, " until 2026-03-31") {
		t.Errorf("the name of %d characters: %s", len(name), name)
	}
	for name, scopes := range map[string][]string{
		"none": nil, "object storage": {scopeObjectReadOnly}, "both": {scopeBillingReadOnly, scopeObjectReadOnly},
	} {
		req.Grant.Scopes = scopes
		if _, ok := New().Form(cfg, req); ok {
			t.Errorf("%s: Form is ok", name)
		}
	}
}

// The portal ends platform API tokens after 365 days, and only a user can end them earlier. S3
// credentials have no limit, and the operator revokes them.
func TestPlatformTokensLiveAYearAtMost(t *testing.T) {
	portal := New().CapabilitiesFor(readBilling())
	if portal.MaxLifetime != 365*24*time.Hour || portal.ExpiryEnforcedBy != provider.EnforcedByUser {
		t.Errorf("a platform API token lives %s and is ended by %s", portal.MaxLifetime, portal.ExpiryEnforcedBy)
	}
	for _, scope := range []string{scopeObjectReadOnly, scopeAdminReadWrite} {
		if diff := cmp.Diff(New().Capabilities(), New().CapabilitiesFor(provider.Grant{Scopes: []string{scope}})); diff != "" {
			t.Errorf("%s: -driver +grant:\n%s", scope, diff)
		}
	}
}

func TestSubmittedTokenIsCheckedAndPublished(t *testing.T) {
	b := newBackend(t)
	b.AddToken(handMade, ibeesim.BillingRead)
	client := connect(t, b.config())
	req := request(t, readBilling())
	req.Submitted = submitted(handMade)
	b.Requests()
	minted, err := client.Mint(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"POST /v1/billing/resource-eligibility?workspace_id=42 {}", "GET /v1/object-storage/credentials?workspace_id=42"}
	if diff := cmp.Diff(want, sent(b)); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	id := minted.Credential.ID
	if !regexp.MustCompile(`^portal-[0-9a-f]{12}$`).MatchString(id) || minted.Credential.Name != req.Name || !minted.Credential.ExpiresAt.Equal(time.Time{}) {
		t.Errorf("got %+v", minted.Credential)
	}
	if diff := cmp.Diff(req.Submitted, minted.Secret, cmp.Comparer(provider.Value.Equal)); diff != "" {
		t.Errorf("secret (-want +got):\n%s", diff)
	}
	again := request(t, readBilling())
	again.Submitted = submitted(handMade)
	if second, err := client.Mint(t.Context(), again); err != nil || second.Credential.ID != id {
		t.Errorf("the same token: got %+v and error %v, want the ID %s", second.Credential, err, id)
	}
	if got := b.Credentials(); len(got) != 0 {
		t.Errorf("made %+v", got)
	}
}

func TestSubmittedTokenOfAnAccountThatMayNotBuyIsAccepted(t *testing.T) {
	b := newBackend(t)
	b.BillingDenied = "insufficient_balance"
	b.AddToken(handMade, ibeesim.BillingRead)
	req := request(t, readBilling())
	req.Submitted = submitted(handMade)
	if _, err := connect(t, b.config()).Mint(t.Context(), req); err != nil {
		t.Error(err)
	}
}

func TestUnsuitableSubmittedTokenIsRejected(t *testing.T) {
	tooWide := "ibee_v4_CANARY-too-wide"
	storage := "ibee_v4_CANARY-storage"
	ended := "ibee_v4_CANARY-ended"
	cases := map[string]struct {
		submitted map[string]provider.Value
		grant     provider.Grant
		says      string
	}{
		"nothing":             {nil, readBilling(), "submit it under the key token"},
		"no token":            {map[string]provider.Value{}, readBilling(), "submit it under the key token"},
		"another key":         {map[string]provider.Value{"password": provider.NewValue(handMade)}, readBilling(), "key token"},
		"more keys":           {map[string]provider.Value{KeyToken: provider.NewValue(handMade), KeyID: provider.NewValue("x")}, readBilling(), "key token alone"},
		"a line break":        {submitted(handMade + "\n"), readBilling(), "line break"},
		"no such token":       {submitted("ibee_v4_CANARY-unknown"), readBilling(), "does not work"},
		"a revoked token":     {submitted(ended), readBilling(), "does not work"},
		"a token for storage": {submitted(storage), readBilling(), "cannot read billing"},
		"a token for both":    {submitted(tooWide), readBilling(), "also grants access to object storage"},
		"the minting token":   {submitted(minterToken), readBilling(), "cannot read billing"},
		"S3 credential":       {submitted(handMade), readOnly("datasets"), "created by the operator"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t)
			b.AddToken(handMade, ibeesim.BillingRead)
			b.AddToken(tooWide, ibeesim.BillingRead, ibeesim.StorageRead)
			b.AddToken(storage, ibeesim.StorageRead)
			b.AddToken(ended, ibeesim.BillingRead)
			b.EndToken(ended, "key_expired")
			req := request(t, tc.grant)
			req.Submitted = tc.submitted
			_, err := connect(t, b.config()).Mint(t.Context(), req)
			e := provider.AsError(err)
			if e.Code != provider.CodeInvalid || !e.NotExecuted || !strings.Contains(e.Message, tc.says) || strings.Contains(e.Message, "CANARY") {
				t.Errorf("got %v, want a rejection with %q", err, tc.says)
			}
			if got := b.Credentials(); len(got) != 0 {
				t.Errorf("made %+v", got)
			}
		})
	}
}

func TestSubmittedTokenIsAcceptedOnlyIfTheAPIAnswers(t *testing.T) {
	cases := map[string]map[string]string{
		"a page refuses object storage":   {"POST": `200 {"allowed":true}`, "GET": `403 <html>`},
		"object storage is not there":     {"POST": `200 {"allowed":true}`, "GET": `404 {"detail":"Not Found"}`},
		"the token ended between the two": {"POST": `200 {"allowed":true}`, "GET": `403 {"error":"key_revoked"}`},
		"no decision on billing":          {"POST": `200 {}`, "GET": `403 {"error":"insufficient_scope"}`},
		"a page refuses billing":          {"POST": `403 <html>`},
		"billing is down":                 {"POST": `502 {"error":"bad_gateway"}`},
	}
	for name, answers := range cases {
		t.Run(name, func(t *testing.T) {
			c, _ := scripted(t, answers)
			req := request(t, readBilling())
			req.Submitted = submitted(handMade)
			if minted, err := c.Mint(t.Context(), req); err == nil {
				t.Errorf("got %+v, want an error", minted.Credential)
			}
		})
	}
}

func TestAcceptsIsAnErrorUnlessTheAnswerIsClear(t *testing.T) {
	cases := map[string]struct {
		answer string
		want   bool
		fails  bool
	}{
		"it works":                     {answer: `200 {"allowed":true}`, want: true},
		"it works, without credit":     {answer: `200 {"allowed":false}`, want: true},
		"it was revoked":               {answer: `403 {"error":"key_revoked"}`},
		"it has expired":               {answer: `403 {"detail":{"code":"key_expired"}}`},
		"it cannot read billing":       {answer: `403 {"error":"insufficient_scope"}`, fails: true},
		"another workspace":            {answer: `403 {"error":"workspace_not_allowed"}`, fails: true},
		"a page":                       {answer: `403 <html>`, fails: true},
		"the gateway is down":          {answer: `502 {"error":"bad_gateway"}`, fails: true},
		"nothing that can be read":     {answer: `200 []`, fails: true},
		"a list of something else":     {answer: `200 {"credentials":[]}`, fails: true},
		"the route is not there":       {answer: `404 {"detail":"Not Found"}`, fails: true},
		"the route is not for POST":    {answer: `405 {"detail":"Method Not Allowed"}`, fails: true},
		"something else is in its way": {answer: `409 {"detail":"busy"}`, fails: true},
	}
	for name, tc := range cases {
		c, _ := scripted(t, map[string]string{"POST": tc.answer})
		got, err := c.Accepts(t.Context(), submitted(handMade), readBilling())
		if got != tc.want || (err != nil) != tc.fails {
			t.Errorf("%s: got %t and error %v", name, got, err)
		}
	}
	b := newBackend(t)
	c := clientOf(t, provider.Config{Settings: Settings{WorkspaceID: ws, Endpoint: b.url}, HTTP: http.DefaultClient})
	for name, secret := range map[string]map[string]provider.Value{
		"S3 keys": {KeyID: provider.NewValue("AKIA1"), KeySecret: provider.NewValue("CANARY")}, "nothing": nil, "an empty token": submitted(""),
	} {
		if _, err := c.Accepts(t.Context(), secret, readOnly("datasets")); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got, err := c.Accepts(t.Context(), submitted("ibee_v4_CANARY-unknown"), readBilling()); got || err != nil {
		t.Errorf("no such token: got %t and error %v", got, err)
	}
}

// The API does not show platform API tokens. A reservation without an ID is revoked as usual.
func TestManualCredentialIsRevokedByAUserOnly(t *testing.T) {
	b := newBackend(t)
	client := connect(t, b.config())
	req := request(t, readBilling())
	ref := provider.Ref{Name: req.Name, ID: handID(provider.NewValue(handMade))}
	b.Crowd(ibeesim.Window)
	for _, ref := range []provider.Ref{ref, {ID: ref.ID}} {
		if found, err := client.Find(t.Context(), ref); (err != nil) != (ref.Name == "") || len(found) != 0 {
			t.Errorf("Find(%+v): got %+v and error %v, want nothing", ref, found, err)
		}
		e := provider.AsError(client.Revoke(t.Context(), ref))
		if e.Code != provider.CodeInvalid || !e.NotExecuted || !strings.Contains(e.Message, "only a user can delete") {
			t.Errorf("Revoke(%+v): %v", ref, e)
		}
	}
	if err := client.Revoke(t.Context(), provider.Ref{Name: req.Name, Since: start.Add(time.Hour)}); err != nil {
		t.Errorf("Revoke by name: %v", err)
	}
}
