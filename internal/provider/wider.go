package provider

import (
	"net/netip"
	"slices"
	"strings"
)

// Wider reports whether a provider shows more access for a credential than was declared.
// It does not compare expiries: see Credential.ExpiresAt.
func Wider(declared, shown Grant) bool {
	everywhere := len(declared.Buckets) == 0 || slices.Contains(declared.Buckets, "*")
	return beyond(withReading(declared.Scopes), shown.Scopes) ||
		!everywhere && beyond(declared.Buckets, shown.Buckets) ||
		loosened(prefixes(declared.AllowedIPs), prefixes(shown.AllowedIPs)) ||
		loosened(lower(declared.Subaccounts), lower(shown.Subaccounts))
}

// withReading adds what a scope covers by its name: reading and writing is reading too.
func withReading(scopes []string) []string {
	out := slices.Clone(scopes)
	for _, s := range scopes {
		if of, ok := strings.CutSuffix(s, "-read-write"); ok {
			out = append(out, of+"-read-only")
		}
	}
	return out
}

// loosened reports whether a restriction was lifted, or admits more. An empty list
// is no restriction.
func loosened(declared, shown []string) bool {
	return len(declared) > 0 && (len(shown) == 0 || beyond(declared, shown))
}

// beyond reports whether a shown value was not declared.
func beyond(declared, shown []string) bool {
	return slices.ContainsFunc(shown, func(s string) bool { return !slices.Contains(declared, s) })
}

// lower returns ids in lower case: providers show them in either.
func lower(list []string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, strings.ToLower(s))
	}
	return out
}

// prefixes returns addresses and ranges in one spelling, and leaves other texts unchanged.
func prefixes(list []string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		if a, err := netip.ParseAddr(s); err == nil {
			s = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()).String()
		} else if p, err := netip.ParsePrefix(s); err == nil {
			s = p.Masked().String()
		}
		out = append(out, s)
	}
	return out
}
