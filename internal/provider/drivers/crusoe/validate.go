package crusoe

import (
	"slices"
	"strings"

	"apitoken.dev/operator/internal/provider"
)

// scopeAll is the scope of every key.
const scopeAll = "objectstorage:admin-read-write"

// covered are the scopes that scopeAll includes, and scopeAll itself.
var covered = []string{
	"objectstorage:admin-read-only",
	scopeAll,
	"objectstorage:object-read-only",
	"objectstorage:object-read-write",
	"objectstorage:object-write-only",
}

func grantable() []string { return []string{scopeAll} }

// Validate implements provider.Validator.
func (d *Driver) Validate(cfg provider.Config, req provider.MintRequest) error {
	if _, err := settingsOf(cfg); err != nil {
		return err
	}
	if r := d.refuse(req.Grant); r != nil {
		return r
	}
	return nil
}

// refuse returns the reason why a grant cannot be granted, or nil.
func (d *Driver) refuse(grant provider.Grant) *provider.Refusal {
	if !slices.Contains(grant.Scopes, scopeAll) {
		return &provider.Refusal{
			Reason: provider.RefusedScope, Field: "spec.scopes", Value: orNone(grant.Scopes),
			Message: "Crusoe keys cannot be scoped, each key has its user's full object-storage access: " +
				"declare " + scopeAll + " if that is meant, or use another provider",
		}
	}
	if r := provider.RefuseScopes(covered, grant); r != nil {
		return r
	}
	if len(grant.Buckets) == 0 {
		return &provider.Refusal{
			Reason: provider.RefusedBucket, Field: "spec.buckets", Value: orNone(nil),
			Message: `every key of this provider grants access to all buckets of its user: declare ["*"]`,
		}
	}
	if r := provider.RefuseNarrowing(d.Capabilities(), grant); r != nil {
		return r
	}
	return provider.RefuseNoExpiry(grant)
}

func orNone(values []string) string {
	if len(values) == 0 {
		return "none"
	}
	return strings.Join(values, ", ")
}
