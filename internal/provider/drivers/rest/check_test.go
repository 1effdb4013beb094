package rest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

func TestCompileReturnsTheKeysOfValidSettings(t *testing.T) {
	p, err := compile(valid())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"token"}, p.keys); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"token"}, New().For(valid()).(*Driver).CredentialKeys()); diff != "" {
		t.Error(diff)
	}
}

// Each case is refused before any request.
func TestWrongSettingsNameTheirField(t *testing.T) {
	update := func(u v1alpha1.RestUpdate) func(*Settings) { return func(s *Settings) { s.Update = &u } }
	for name, tc := range map[string]struct {
		change      func(*Settings)
		field, says string
	}{
		"no id":                  {func(s *Settings) { s.Credential.ID = "" }, "spec.rest.credential.id", "missing"},
		"no name":                {func(s *Settings) { s.Credential.Name = "" }, "spec.rest.credential.name", "missing"},
		"no items":               {func(s *Settings) { s.List.Items = "" }, "spec.rest.list.items", "missing"},
		"no secret":              {func(s *Settings) { s.Mint.Secret = nil }, "spec.rest.mint.secret", "missing"},
		"a secret from nowhere":  {func(s *Settings) { s.Mint.Secret["token"] = "" }, "spec.rest.mint.secret[token]", "item.token"},
		"an expression":          {func(s *Settings) { s.Credential.Live = "item.(" }, "spec.rest.credential.live", "not an expression"},
		"a template":             {func(s *Settings) { s.Mint.Body = "{{" }, "spec.rest.mint.body", "not a template"},
		"a body that is no JSON": {func(s *Settings) { s.Mint.Body = `{"name": "{{ .name }}", "p": {{ .permissions }}}` }, "spec.rest.mint.body", `does not make JSON; a {{ }} already makes a JSON value, with its quotes: it makes {"name": ""at1-`},
		"a failing template":     {func(s *Settings) { s.Mint.Body = `{"name": {{ .name }}, "p": {{ only .permissions }}}` }, "spec.rest.mint.body", "this one has 2"},
		"a failing index":        {func(s *Settings) { s.Mint.Body = `{"name": {{ .name }}, "p": {{ index .permissions 9 }}}` }, "spec.rest.mint.body", "out of range"},
		"a path":                 {func(s *Settings) { s.List.Path = "keys" }, "spec.rest.list.path", "begin with /"},
		"a path with parameters": {func(s *Settings) { s.List.Path = "/keys?a=b" }, "spec.rest.list.path", "query"},
		"a method":               {func(s *Settings) { s.Mint.Method = "TRACE" }, "spec.rest.mint.method", "GET, POST"},
		"GET to mint": {func(s *Settings) {
			s.Mint.Method, s.Mint.Body, s.Mint.Path = "GET", "", "/{{ .name }}/{{ join `,` .scopes }}"
		}, "spec.rest.mint.method", "can be repeated"},
		"GET with a body":            {func(s *Settings) { s.List.Body = "{}" }, "spec.rest.list.body", "GET has no body"},
		"a status":                   {func(s *Settings) { s.Mint.SuccessStatuses = []int32{302} }, "spec.rest.mint.successStatuses", "200 to 299"},
		"a header of the connection": {func(s *Settings) { s.Headers[0].Name = "host" }, "spec.rest.headers[0].name", `"host" cannot be set`},
		"a header with a blank":      {func(s *Settings) { s.Headers[0].Name = "X Y" }, "spec.rest.headers[0].name", "cannot be set"},
		"no name is sent":            {func(s *Settings) { s.Mint.Body = `{"p": {{ .permissions }}}` }, "spec.rest.mint", "does not send .name"},
		"all get the same":           {func(s *Settings) { s.Mint.Body = `{"name": {{ .name }}}` }, "spec.rest.mint", "same rights"},
		"no key is named":            {func(s *Settings) { s.Revoke.Path = "/keys" }, "spec.rest.revoke", "neither .id nor .name"},
		"a restriction that is lost": {func(s *Settings) { s.Narrows = []v1alpha1.RestField{"allowedIPs"} }, "spec.rest.narrows[0]", "does not send .allowedIPs"},
		"a restriction of no such":   {func(s *Settings) { s.Narrows = []v1alpha1.RestField{"prefixes"} }, "spec.rest.narrows[0]", `"prefixes" is not one of`},
		"an expiry that is lost":     {func(s *Settings) { s.Expiry.EnforcedBy = string(provider.EnforcedByProvider) }, "spec.rest.expiry.enforcedBy", "does not send .expiresAt"},
		"an expiry that is not seen": {func(s *Settings) {
			s.Expiry.EnforcedBy = string(provider.EnforcedByProvider)
			s.Mint.Body = `{"name": {{ .name }}, "p": {{ .permissions }}, "e": {{ unix .expiresAt }}}`
		}, "spec.rest.expiry.enforcedBy", "credential.expiresAt is missing"},
		"names too short":           {func(s *Settings) { s.Limits.Name = 20 }, "spec.rest.limits.name", "48"},
		"a negative limit":          {func(s *Settings) { s.Limits.Live = -1 }, "spec.rest.limits", "negative"},
		"a list without completion": {func(s *Settings) { s.Limits.Listed = 100 }, "spec.rest.limits.listed", "get is missing"},
		"an unknown code":           {func(s *Settings) { s.Error.Codes = map[string]v1alpha1.RestCode{"x": "Bad"} }, "spec.rest.error.codes[x]", `"Bad" is not one of`},
		"a key in both":             {func(s *Settings) { s.Connection = map[string]v1alpha1.RestTemplate{"token": "x"} }, "spec.rest.connection[token]", "mint.secret"},
		"credentials for workloads": {func(s *Settings) { s.Connection = map[string]v1alpha1.RestTemplate{"x": "{{ .credentials.token }}"} }, "spec.rest.connection[x]", "there is no .credentials here"},
		"no account":                {func(s *Settings) { s.Account = &v1alpha1.RestAccount{RestRequest: v1alpha1.RestRequest{Path: "/me"}} }, "spec.rest.account.id", "missing"},
		"a probe of nothing":        {func(s *Settings) { s.Probe = &v1alpha1.RestProbe{RestRequest: v1alpha1.RestRequest{Path: "/me"}} }, "spec.rest.probe", "does not send .secret"},
		"a probe with the minter's": {func(s *Settings) {
			s.Probe = &v1alpha1.RestProbe{RestRequest: v1alpha1.RestRequest{Path: "/{{ .credentials.token }}"}}
		}, "spec.rest.probe.path", "there is no .credentials here"},
		"an update that is not seen":  {update(v1alpha1.RestUpdate{RestRequest: v1alpha1.RestRequest{Path: "/{{ .id }}"}}), "spec.rest.update.applied", "missing"},
		"an update of nothing":        {update(v1alpha1.RestUpdate{RestRequest: v1alpha1.RestRequest{Path: "/{{ .id }}"}, Applied: "true"}), "spec.rest.update.fields", "empty"},
		"an update that is lost":      {update(v1alpha1.RestUpdate{RestRequest: v1alpha1.RestRequest{Path: "/{{ .id }}"}, Applied: "true", Fields: []v1alpha1.RestField{"expiry"}}), "spec.rest.update.fields[0]", "does not send expiry"},
		"an update of an unknown one": {update(v1alpha1.RestUpdate{RestRequest: v1alpha1.RestRequest{Path: "/k"}, Applied: "true", Fields: []v1alpha1.RestField{"scopes"}}), "spec.rest.update", "neither .id nor .name"},
	} {
		t.Run(name, func(t *testing.T) {
			s := valid()
			tc.change(&s)
			_, _, err := New().Connect(t.Context(), provider.Config{Settings: s})
			e := provider.AsError(err)
			if e.Code != provider.CodeInvalid || !e.NotExecuted {
				t.Fatalf("got %v, want an error of the settings", err)
			}
			if !strings.HasPrefix(e.Message, tc.field) || !strings.Contains(e.Message, tc.says) {
				t.Errorf("got %q, want one of %s with %q", e.Message, tc.field, tc.says)
			}
		})
	}
}

func TestConnectRejectsIncompleteConfiguration(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*provider.Config, *Settings)
		code   provider.Code
		says   string
	}{
		"no settings":   {func(c *provider.Config, _ *Settings) { c.Settings = nil }, provider.CodeInvalid, "settings of the rest driver are missing"},
		"no credential": {func(c *provider.Config, _ *Settings) { c.Credentials = nil }, provider.CodeUnauthenticated, "token is missing"},
		"no URL":        {func(_ *provider.Config, s *Settings) { s.BaseURL = "api.example.com" }, provider.CodeInvalid, "spec.rest.baseURL"},
		"two lines": {func(c *provider.Config, _ *Settings) {
			c.Credentials = map[string]provider.Value{"token": provider.NewValue("CANARY\nX-Admin: 1")}
		}, provider.CodeInvalid, "line break"},
	} {
		t.Run(name, func(t *testing.T) {
			s := valid()
			cfg := provider.Config{Credentials: map[string]provider.Value{"token": provider.NewValue("t")}}
			tc.change(&cfg, &s)
			if name != "no settings" {
				cfg.Settings = s
			}
			_, _, err := New().Connect(t.Context(), cfg)
			e := provider.AsError(err)
			if e.Code != tc.code || !e.NotExecuted || !strings.Contains(e.Message, tc.says) || strings.Contains(e.Message, "CANARY") {
				t.Errorf("got %v, want %s with %q", err, tc.code, tc.says)
			}
		})
	}
}

// valid returns a small valid declaration.
func valid() Settings {
	return Settings{
		BaseURL:    "https://api.example.com",
		Headers:    []v1alpha1.RestHeader{{Name: "Authorization", Value: "Bearer {{ .credentials.token }}"}},
		Credential: v1alpha1.RestCredential{ID: "item.id", Name: "item.name"},
		Mint: v1alpha1.RestMint{
			RestRequest: v1alpha1.RestRequest{Path: "/keys", Body: `{"name": {{ .name }}, "permissions": {{ .permissions }}}`},
			Secret:      map[string]v1alpha1.RestExpression{"token": "item.token"},
		},
		List:   v1alpha1.RestList{RestRequest: v1alpha1.RestRequest{Path: "/keys"}, Items: "body.keys"},
		Revoke: v1alpha1.RestRequest{Path: "/keys/{{ .id }}"},
	}
}
