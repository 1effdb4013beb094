package proxyscrape

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"apitoken.dev/operator/internal/provider"
)

// subaccount is the shape of a subaccount's id: a UUID (docs.proxyscrape.com/api-reference/create-api-key).
var subaccount = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// portable are the prefixes of scopes that other kinds of provider grant.
var portable = []string{"objectstorage:", "billing:"}

// access is the access of a key, in the form that is sent and compared.
type access struct {
	permissions, subaccounts, ips []string
	// expires is in Unix seconds.
	expires int64
}

// Validate implements provider.Validator. Only Connect
// knows what the account can grant.
func (d *Driver) Validate(cfg provider.Config, req provider.MintRequest) error {
	if _, err := open(cfg); err != nil {
		return err
	}
	if _, refusal := plan(req.Grant); refusal != nil {
		return refusal
	}
	return nil
}

// plan returns the access of a grant, or why it cannot be granted.
func plan(grant provider.Grant) (access, *provider.Refusal) {
	for _, refuse := range []func(provider.Grant) *provider.Refusal{refuseScopes, refuseBuckets, provider.RefuseNoExpiry, refuseRestrictions} {
		if r := refuse(grant); r != nil {
			return access{}, r
		}
	}
	ips := make([]string, 0, len(grant.AllowedIPs))
	for _, text := range grant.AllowedIPs {
		ip, ok := canonical(text)
		if !ok {
			return access{}, &provider.Refusal{
				Reason: provider.RefusedNarrow, Field: "spec.restrictions.allowedIPs", Value: text,
				Message: "declare an IP address or a range such as 203.0.113.0/24 or 2001:db8::/32",
			}
		}
		ips = append(ips, ip)
	}
	return access{
		permissions: set(grant.Scopes, nil),
		subaccounts: set(grant.Subaccounts, strings.ToLower),
		ips:         set(ips, nil),
		expires:     grant.ExpiresAt.Unix(), // rounds down: never later than asked
	}, nil
}

func refuseScopes(grant provider.Grant) *provider.Refusal {
	const way = "declare permissions of ProxyScrape, such as residential:read; status.grantableScopes of the provider lists what its account may grant"
	refuse := func(value, message string) *provider.Refusal {
		return &provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: value, Message: message}
	}
	if len(grant.Scopes) == 0 {
		return refuse("none", way)
	}
	for _, scope := range grant.Scopes {
		switch {
		case slices.ContainsFunc(portable, func(prefix string) bool { return strings.HasPrefix(scope, prefix) }):
			return refuse(scope, "ProxyScrape has neither object storage nor a billing API; "+way)
		case !isPermission(scope):
			return refuse(scope, "a permission is written product:permission; "+way)
		}
	}
	return nil
}

func refuseBuckets(grant provider.Grant) *provider.Refusal {
	if len(grant.Buckets) == 0 {
		return nil
	}
	return &provider.Refusal{
		Reason: provider.RefusedBucket, Field: "spec.buckets", Value: strings.Join(grant.Buckets, ", "),
		Message: "ProxyScrape has no buckets; remove them",
	}
}

func refuseRestrictions(grant provider.Grant) *provider.Refusal {
	if r := provider.RefuseNarrowing(New().Capabilities(), grant); r != nil {
		return r
	}
	for _, id := range grant.Subaccounts {
		if !subaccount.MatchString(id) {
			return &provider.Refusal{
				Reason: provider.RefusedNarrow, Field: "spec.restrictions.subaccounts", Value: id,
				Message: "a subaccount is named by its UUID; copy it from the dashboard, such as 3c90c3cc-0d44-4b50-8888-8dd25736052a",
			}
		}
	}
	return nil
}

// canonical returns an address or a range in the one form that means the same to
// every server; ok is false if the text is neither. A single address has no prefix length.
func canonical(text string) (form string, ok bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.Unmap().String(), addr.Zone() == ""
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix.Addr().Is4In6() {
		return "", false
	}
	if prefix.IsSingleIP() {
		return prefix.Addr().String(), true
	}
	return prefix.Masked().String(), true
}

// set returns a list sorted and without duplicates. Unless to is nil, it converts each element
// first.
func set(list []string, to func(string) string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		if to != nil {
			s = to(s)
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// differs returns the fields in which a key differs from the request, in either
// direction.
func (a access) differs(name string, shown key) []string {
	readIP := func(text string) string {
		if form, ok := canonical(text); ok {
			return form
		}
		return text
	}
	var out []string
	for _, field := range []struct {
		name string
		same bool
	}{
		{"name", shown.Name != nil && *shown.Name == name},
		{"permissions", slices.Equal(a.permissions, set(shown.Permissions, nil))},
		{fieldSubaccounts, slices.Equal(a.subaccounts, subaccountsOf(shown))},
		{"allowed_ips", slices.Equal(a.ips, set(shown.IPs, readIP))},
		{"expires_at", !shown.ExpiresAt.IsZero() && shown.ExpiresAt.Unix() == a.expires},
	} {
		if !field.same {
			out = append(out, field.name)
		}
	}
	return out
}
