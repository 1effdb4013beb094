package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// full is a declaration with everything that a credential is made of.
func full() *v1alpha1.ApiTokenSpec {
	return &v1alpha1.ApiTokenSpec{
		ProviderRef: v1alpha1.ProviderReference{Kind: v1alpha1.KindClusterTokenProvider, Name: "store"},
		Scopes:      []v1alpha1.Scope{"objectstorage:object-read-only", "billing:read-only"},
		Buckets:     []v1alpha1.Bucket{"datasets", "models"},
		Restrictions: v1alpha1.Restrictions{
			AllowedIPs:  []v1alpha1.IPRange{"203.0.113.0/24", "2001:db8::7"},
			DeniedIPs:   []v1alpha1.IPRange{"203.0.113.9"},
			Subaccounts: []string{"one", "two"},
		},
		ExpiresIn: lasting(720 * time.Hour),
	}
}

// The values a release wrote must be computed by every later one: another value
// would issue a new credential for every ApiToken of every cluster at once.
func TestFingerprintNeverChanges(t *testing.T) {
	hardEnd := full()
	hardEnd.ExpiresIn, hardEnd.ExpiresAt = nil, written(now)
	cases := map[string]struct {
		spec *v1alpha1.ApiTokenSpec
		want string
	}{
		"everything": {full(), "cea6322d72e75605a2004d344e993f5a"},
		"hard end":   {hardEnd, "35f6dab0d2bebd5922fee5a4f5087ffe"},
		"smallest": {&v1alpha1.ApiTokenSpec{
			Scopes: []v1alpha1.Scope{"objectstorage:object-read-only"}, Buckets: []v1alpha1.Bucket{"*"}}, "b2154d3eb1a6f4fdff55e8737135e4d7"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := plan.Fingerprint(tc.spec); got != tc.want {
				t.Errorf("fingerprint %s, want %s as released: an upgrade would reissue every credential", got, tc.want)
			}
		})
	}
}

func TestFingerprintChangesOnlyWithTheGrant(t *testing.T) {
	type edit func(*v1alpha1.ApiTokenSpec)
	cases := map[string]struct {
		reason string
		edit   edit
		same   bool
	}{
		"nothing":          {"one spec, one fingerprint", func(*v1alpha1.ApiTokenSpec) {}, true},
		"order of scopes":  {"scopes are a set", func(s *v1alpha1.ApiTokenSpec) { s.Scopes[0], s.Scopes[1] = s.Scopes[1], s.Scopes[0] }, true},
		"order of buckets": {"buckets are a set", func(s *v1alpha1.ApiTokenSpec) { s.Buckets[0], s.Buckets[1] = s.Buckets[1], s.Buckets[0] }, true},
		"order of IPs": {"IPs are a set", func(s *v1alpha1.ApiTokenSpec) {
			s.Restrictions.AllowedIPs = []v1alpha1.IPRange{"2001:db8::7", "203.0.113.0/24"}
		}, true},
		"order of subaccounts": {"subaccounts are a set", func(s *v1alpha1.ApiTokenSpec) { s.Restrictions.Subaccounts = []string{"two", "one"} }, true},
		"scope twice":          {"a set holds it once", func(s *v1alpha1.ApiTokenSpec) { s.Scopes = append(s.Scopes, s.Scopes[0]) }, true},
		"bucket twice":         {"a set holds it once", func(s *v1alpha1.ApiTokenSpec) { s.Buckets = append(s.Buckets, s.Buckets[1]) }, true},
		"address as a range":   {"an address is a range of one", func(s *v1alpha1.ApiTokenSpec) { s.Restrictions.DeniedIPs[0] = "203.0.113.9/32" }, true},
		"host bits":            {"host bits mean nothing", func(s *v1alpha1.ApiTokenSpec) { s.Restrictions.AllowedIPs[0] = "203.0.113.77/24" }, true},
		"IPv6 written out":     {"one address in two spellings", func(s *v1alpha1.ApiTokenSpec) { s.Restrictions.AllowedIPs[1] = "2001:0DB8:0:0:0:0:0:7" }, true},
		"IPv6 as a range":      {"an address is a range of one", func(s *v1alpha1.ApiTokenSpec) { s.Restrictions.AllowedIPs[1] = "2001:db8::7/128" }, true},
		"IPv4 in IPv6":         {"one address in two spellings", func(s *v1alpha1.ApiTokenSpec) { s.Restrictions.DeniedIPs[0] = "::ffff:203.0.113.9" }, true},
		"one range twice": {"two spellings are one member of the set", func(s *v1alpha1.ApiTokenSpec) {
			s.Restrictions.AllowedIPs = append(s.Restrictions.AllowedIPs, "203.0.113.5/24")
		}, true},
		"lifetime respelled":   {"30 days in minutes", func(s *v1alpha1.ApiTokenSpec) { s.ExpiresIn = lasting(43200 * time.Minute) }, true},
		"description":          {"a note for people", func(s *v1alpha1.ApiTokenSpec) { s.Description = "nightly" }, true},
		"labels of the Secret": {"no credential is made of them", func(s *v1alpha1.ApiTokenSpec) { s.Secret.Labels = map[string]string{"a": "b"} }, true},
		"annotations":          {"no credential is made of them", func(s *v1alpha1.ApiTokenSpec) { s.Secret.Annotations = map[string]string{"a": "b"} }, true},
		"rotation": {"it says when, not what", func(s *v1alpha1.ApiTokenSpec) {
			s.Rotation = v1alpha1.Rotation{Before: lasting(time.Hour), Generation: 4}
		}, true},
		"suspend, deletion": {"no credential is made of them", func(s *v1alpha1.ApiTokenSpec) { s.Suspend, s.DeletionPolicy = true, v1alpha1.DeletionRetain }, true},
		"empty lists": {"absent and empty are one", func(s *v1alpha1.ApiTokenSpec) {
			s.Restrictions.DeniedIPs = append([]v1alpha1.IPRange{}, s.Restrictions.DeniedIPs...)
		}, true},
		"scope added":           {"more access", func(s *v1alpha1.ApiTokenSpec) { s.Scopes = append(s.Scopes, "account:apikeys:read") }, false},
		"scope removed":         {"less access", func(s *v1alpha1.ApiTokenSpec) { s.Scopes = s.Scopes[:1] }, false},
		"scope in another case": {"scopes are the provider's strings", func(s *v1alpha1.ApiTokenSpec) { s.Scopes[1] = "Billing:read-only" }, false},
		"bucket changed":        {"other data", func(s *v1alpha1.ApiTokenSpec) { s.Buckets[1] = "models2" }, false},
		"range widened":         {"more addresses", func(s *v1alpha1.ApiTokenSpec) { s.Restrictions.AllowedIPs[0] = "203.0.113.0/23" }, false},
		"IP no longer denied":   {"more addresses", func(s *v1alpha1.ApiTokenSpec) { s.Restrictions.DeniedIPs = nil }, false},
		"IPs swapped over": {"allowed and denied are different lists", func(s *v1alpha1.ApiTokenSpec) {
			r := &s.Restrictions
			r.AllowedIPs, r.DeniedIPs = r.DeniedIPs, r.AllowedIPs
		}, false},
		"subaccount added": {"more access", func(s *v1alpha1.ApiTokenSpec) {
			s.Restrictions.Subaccounts = append(s.Restrictions.Subaccounts, "three")
		}, false},
		"lifetime changed":  {"another lifetime", func(s *v1alpha1.ApiTokenSpec) { s.ExpiresIn = lasting(721 * time.Hour) }, false},
		"lifetime left out": {"the default is another lifetime", func(s *v1alpha1.ApiTokenSpec) { s.ExpiresIn = nil }, false},
		"hard end instead":  {"another lifetime", func(s *v1alpha1.ApiTokenSpec) { s.ExpiresIn, s.ExpiresAt = nil, written(now.Add(720*time.Hour)) }, false},
		"bucket turned subaccount": {"lists do not run into each other", func(s *v1alpha1.ApiTokenSpec) {
			s.Buckets, s.Restrictions.Subaccounts = s.Buckets[:1], append(s.Restrictions.Subaccounts, "models")
		}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			spec := full()
			tc.edit(spec)
			if same := plan.Fingerprint(spec) == plan.Fingerprint(full()); same != tc.same {
				t.Errorf("%s: same fingerprint %t, want %t", tc.reason, same, tc.same)
			}
		})
	}
}

func TestFingerprintIgnoresExplicitDefaults(t *testing.T) {
	explicit, absent := full(), full()
	explicit.ExpiresIn, absent.ExpiresIn = lasting(2160*time.Hour), nil
	if plan.Fingerprint(explicit) != plan.Fingerprint(absent) {
		t.Error("writing the default lifetime down issues a new credential")
	}
	utc, elsewhere := full(), full()
	utc.ExpiresIn, elsewhere.ExpiresIn = nil, nil
	for name, text := range map[string]string{
		"in another time zone": now.In(time.FixedZone("", 2*60*60)).Format(time.RFC3339), "with a part of a second": now.Format("2006-01-02T15:04:05") + ".5Z",
	} {
		other := v1alpha1.Timestamp(text)
		utc.ExpiresAt, elsewhere.ExpiresAt = written(now), &other
		if plan.Fingerprint(utc) != plan.Fingerprint(elsewhere) {
			t.Errorf("writing the hard end %s issues a new credential", name)
		}
	}
}

func TestFingerprintLeavesTheSpecAlone(t *testing.T) {
	spec := full()
	plan.Fingerprint(spec)
	if diff := cmp.Diff(full(), spec); diff != "" {
		t.Errorf("GrantOf or Fingerprint changed the spec, -want +got:\n%s", diff)
	}
}

func TestGrantIsSortedWithoutRepetitions(t *testing.T) {
	spec := full()
	spec.Restrictions.AllowedIPs = append(spec.Restrictions.AllowedIPs, "203.0.113.7/24", "not an address")
	want := provider.Grant{
		Scopes:      []string{"billing:read-only", "objectstorage:object-read-only"},
		Buckets:     []string{"datasets", "models"},
		AllowedIPs:  []string{"2001:db8::7", "203.0.113.0/24", "not an address"},
		DeniedIPs:   []string{"203.0.113.9"},
		Subaccounts: []string{"one", "two"},
	}
	if diff := cmp.Diff(want, plan.GrantOf(spec)); diff != "" {
		t.Errorf("a driver gets sorted sets with each range once, as it was declared; -want +got:\n%s", diff)
	}
}

// TestGrantOfKeepsTheSpelling: an address stays an address, and the same range declared
// in several spellings is one, whichever comes first.
func TestGrantOfKeepsTheSpelling(t *testing.T) {
	for _, declared := range [][]v1alpha1.IPRange{
		{"203.0.113.7", "198.51.100.0/24", "203.0.113.7/32", "2001:DB8::1"},
		{"203.0.113.7/32", "2001:DB8::1", "203.0.113.7", "198.51.100.0/24"},
	} {
		spec := full()
		spec.Restrictions.AllowedIPs = declared
		want := []string{"198.51.100.0/24", "2001:DB8::1", "203.0.113.7"}
		if diff := cmp.Diff(want, plan.GrantOf(spec).AllowedIPs); diff != "" {
			t.Errorf("%v: -want +got:\n%s", declared, diff)
		}
	}
}
