package provider_test

import (
	"strings"
	"testing"

	"apitoken.dev/operator/internal/provider"
)

func TestRestrictionsThatCannotBeEnforcedAreRefused(t *testing.T) {
	all := provider.Capabilities{Narrows: []provider.Field{
		provider.FieldBuckets, provider.FieldAllowedIPs, provider.FieldDeniedIPs, provider.FieldSubaccounts,
	}}
	cases := map[string]struct {
		grant provider.Grant
		field string
	}{
		"nothing":          {provider.Grant{}, ""},
		"every bucket":     {provider.Grant{Buckets: []string{"*"}}, ""},
		"a bucket":         {provider.Grant{Buckets: []string{"datasets"}}, "spec.buckets"},
		"allowed IPs":      {provider.Grant{AllowedIPs: []string{"10.0.0.0/8"}}, "spec.restrictions.allowedIPs"},
		"denied IPs":       {provider.Grant{DeniedIPs: []string{"10.0.0.0/8"}}, "spec.restrictions.deniedIPs"},
		"subaccounts":      {provider.Grant{Subaccounts: []string{"s"}}, "spec.restrictions.subaccounts"},
		"the first counts": {provider.Grant{DeniedIPs: []string{"10.0.0.0/8"}, Buckets: []string{"b"}}, "spec.restrictions.deniedIPs"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := provider.RefuseNarrowing(provider.Capabilities{}, c.grant)
			switch {
			case c.field == "" && r != nil:
				t.Errorf("refused: %v", r)
			case c.field != "" && (r == nil || r.Field != c.field || r.Value == "" || r.Message == ""):
				t.Errorf("got %+v, want a refusal of %s", r, c.field)
			}
			if r := provider.RefuseNarrowing(all, c.grant); r != nil {
				t.Errorf("refused by a provider that narrows everything: %v", r)
			}
		})
	}
}

func TestScopesThatCannotBeGrantedAreRefused(t *testing.T) {
	grantable := []string{"a:read", "a:write"}
	if r := provider.RefuseScopes(grantable, provider.Grant{Scopes: []string{"a:write", "a:read"}}); r != nil {
		t.Errorf("refused: %v", r)
	}
	r := provider.RefuseScopes(grantable, provider.Grant{Scopes: []string{"a:read", "b:read"}})
	if r == nil || r.Reason != provider.RefusedScope || r.Value != "b:read" || !strings.Contains(r.Message, "a:read, a:write") {
		t.Errorf("got %+v", r)
	}
}

func TestWordShowsOnlyShortCodes(t *testing.T) {
	for _, s := range []string{"insufficient_balance", "billing.denied", "E-42", strings.Repeat("x", 64)} {
		if provider.Word(s) != s {
			t.Errorf("%q is a word", s)
		}
	}
	for _, s := range []string{"", "two words", "<b>", "a\nb", "é", strings.Repeat("x", 65)} {
		if got := provider.Word(s); got != "" {
			t.Errorf("%q is shown as %q", s, got)
		}
	}
}
