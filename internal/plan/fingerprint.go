package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// Fingerprint identifies what a credential was issued for: scopes, buckets,
// restrictions and lifetime, each as a set and in one spelling. Two specs with
// one fingerprint need no new credential.
func Fingerprint(spec *v1alpha1.ApiTokenSpec) string {
	g := GrantOf(spec)
	spelled := func(ips []string) []string { return set(ips, canonicalIP) }
	lifetime := Lifetime(spec).String()
	if end, err := spec.HardEnd(); err != nil {
		lifetime = err.Error() // no credential was issued for it
	} else if !end.IsZero() {
		lifetime = end.Format(time.RFC3339)
	}
	raw, err := json.Marshal([]any{g.Scopes, g.Buckets, spelled(g.AllowedIPs), spelled(g.DeniedIPs), g.Subaccounts, lifetime})
	if err != nil {
		return "" // strings always marshal
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

// Fixed identifies what a credential was issued for, the fields left out that
// its provider can change in place. It is empty when there are no such fields.
func Fixed(spec *v1alpha1.ApiTokenSpec, updates []provider.Field) string {
	if len(updates) == 0 {
		return ""
	}
	fixed := spec.DeepCopy()
	for _, field := range updates {
		switch field {
		case provider.FieldScopes:
			fixed.Scopes = nil
		case provider.FieldBuckets:
			fixed.Buckets = nil
		case provider.FieldAllowedIPs:
			fixed.Restrictions.AllowedIPs = nil
		case provider.FieldDeniedIPs:
			fixed.Restrictions.DeniedIPs = nil
		case provider.FieldSubaccounts:
			fixed.Restrictions.Subaccounts = nil
		case provider.FieldExpiry:
			fixed.ExpiresIn, fixed.ExpiresAt = nil, nil
		}
	}
	return Fingerprint(fixed)
}

// GrantOf is the declared access as sorted sets. IPs stay as they were declared: a form
// shows them to a person, and a vendor may know only addresses or only ranges. Of
// several spellings of one range it has one.
func GrantOf(spec *v1alpha1.ApiTokenSpec) provider.Grant {
	return provider.Grant{
		Scopes:      set(spec.Scopes, nil),
		Buckets:     set(spec.Buckets, nil),
		AllowedIPs:  ranges(spec.Restrictions.AllowedIPs),
		DeniedIPs:   ranges(spec.Restrictions.DeniedIPs),
		Subaccounts: set(spec.Restrictions.Subaccounts, nil),
	}
}

// set sorts values and drops repeated ones.
func set[S ~string](values []S, canonical func(string) string) []string {
	out := make([]string, 0, len(values))
	for _, v := range values {
		s := string(v)
		if canonical != nil {
			s = canonical(s)
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ranges returns each range once, as it was declared, in the order of their canonical forms.
func ranges(declared []v1alpha1.IPRange) []string {
	out := set(declared, nil)
	slices.SortStableFunc(out, func(a, b string) int { return strings.Compare(canonicalIP(a), canonicalIP(b)) })
	return slices.CompactFunc(out, func(a, b string) bool { return canonicalIP(a) == canonicalIP(b) })
}

// canonicalIP spells an address or a range in one way: an address as a range of
// its own, host bits cleared. What is neither stays as it is.
func canonicalIP(s string) string {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked().String()
	}
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()).String()
	}
	return s
}
