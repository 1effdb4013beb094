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

// Fingerprint identifies what a credential is issued for: scopes, buckets, restrictions and
// lifetime, each as a set in canonical spelling. A change of the spec that keeps the
// fingerprint needs no new credential.
func Fingerprint(spec *v1alpha1.ApiTokenSpec) string {
	g := GrantOf(spec)
	spelled := func(ips []string) []string { return set(ips, canonicalIP) }
	lifetime := Lifetime(spec).String()
	if end, err := spec.HardEnd(); err != nil {
		lifetime = err.Error() // no credential is issued for it
	} else if !end.IsZero() {
		lifetime = end.Format(time.RFC3339)
	}
	raw, err := json.Marshal([]any{g.Scopes, g.Buckets, spelled(g.AllowedIPs), spelled(g.DeniedIPs), g.Subaccounts, lifetime})
	if err != nil {
		return "" // unreachable: strings always marshal
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

// Fixed is the fingerprint without the fields that the provider can change in place. It is
// empty when there are no such fields.
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

// GrantOf is the declared access as sorted sets. IPs keep their declared spelling, because
// users read them in forms, and some vendors accept only addresses or only ranges. If a range
// is declared in several spellings, one is kept.
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

// canonicalIP returns the canonical spelling of an address or a range: as a range, with the
// host bits cleared. Any other string is returned unchanged.
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
