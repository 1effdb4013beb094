package provider

import (
	"slices"
	"strings"
)

// LimitsAddresses reports whether a grant is restricted to addresses. The data plane can then
// reject the operator's own address.
func (g Grant) LimitsAddresses() bool { return len(g.AllowedIPs)+len(g.DeniedIPs) > 0 }

// RefuseNarrowing returns a Refusal for the first restriction of a grant that a provider
// with these Capabilities cannot enforce, or nil.
func RefuseNarrowing(caps Capabilities, grant Grant) *Refusal {
	refuse := func(field string, values []string) *Refusal {
		return &Refusal{
			Reason: RefusedNarrow, Field: "spec.restrictions." + field, Value: strings.Join(values, ", "),
			Message: "this provider cannot enforce it, and it is never ignored: remove it, or use another provider",
		}
	}
	for _, limit := range []struct {
		field  Field
		values []string
	}{
		{FieldAllowedIPs, grant.AllowedIPs}, {FieldDeniedIPs, grant.DeniedIPs}, {FieldSubaccounts, grant.Subaccounts},
	} {
		if len(limit.values) > 0 && !slices.Contains(caps.Narrows, limit.field) {
			return refuse(string(limit.field), limit.values)
		}
	}
	named := len(grant.Buckets) > 0 && !slices.Equal(grant.Buckets, []string{"*"})
	if named && !slices.Contains(caps.Narrows, FieldBuckets) {
		return &Refusal{
			Reason: RefusedBucket, Field: "spec.buckets", Value: strings.Join(grant.Buckets, ", "),
			Message: `every credential of this provider grants access to all buckets of its account: ` +
				`declare ["*"] if that is meant, or use an account or provider for these buckets alone`,
		}
	}
	return nil
}

// RefuseScopes returns a Refusal for the first scope that is not among those
// that can be granted, or nil.
func RefuseScopes(grantable []string, grant Grant) *Refusal {
	for _, scope := range grant.Scopes {
		if !slices.Contains(grantable, scope) {
			return &Refusal{
				Reason: RefusedScope, Field: "spec.scopes", Value: scope,
				Message: "this provider grants " + strings.Join(grantable, ", "),
			}
		}
	}
	return nil
}
