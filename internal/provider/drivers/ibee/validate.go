package ibee

import (
	"slices"
	"strings"

	"apitoken.dev/operator/internal/provider"
)

// The values of bucket_scope.
const (
	allBuckets      = "all"
	specificBuckets = "specific"
)

// Validate implements provider.Validator.
func (d *Driver) Validate(cfg provider.Config, req provider.MintRequest) error {
	if _, err := settingsOf(cfg); err != nil {
		return err
	}
	if _, refusal := plan(req.Grant); refusal != nil {
		return refusal
	}
	return nil
}

// planned is the credential that a grant requires at the provider.
type planned struct {
	// manual: a platform API token that only a user can make.
	manual bool
	// The fields of an S3 credential.
	permission, bucketScope string
	buckets                 []string
}

// plan returns the credential for a grant, or the reason why it cannot be granted.
func plan(grant provider.Grant) (planned, *provider.Refusal) {
	if r := provider.RefuseNarrowing(New().Capabilities(), grant); r != nil {
		return planned{}, r
	}
	if r := refuseScopes(grant); r != nil {
		return planned{}, r
	}
	if billingOnly(grant) {
		return planned{manual: true}, refuseBilling(grant)
	}
	scope := widest(grant.Scopes)
	if scope == "" {
		return planned{}, refuseScope(strings.Join(grant.Scopes, ", "),
			"a credential of IBEE has one permission, and none covers exactly these: split them into several ApiTokens")
	}
	if r := refuseBuckets(scope, grant.Buckets); r != nil {
		return planned{}, r
	}
	if scope == scopeAdminReadOnly && !slices.Contains(grant.Scopes, scopeObjectReadOnly) {
		return planned{}, refuseScope(scopeAdminReadOnly, "the permission "+permissions[scope].name+" of IBEE also reads the contents of objects: declare "+
			scopeObjectReadOnly+" as well if that is meant, or use another provider")
	}
	out := planned{permission: permissions[scope].name, bucketScope: specificBuckets, buckets: grant.Buckets}
	if grant.Buckets[0] == "*" {
		out.bucketScope, out.buckets = allBuckets, []string{}
	}
	return out, nil
}

// billingOnly reports whether a grant is one for a platform API token.
func billingOnly(grant provider.Grant) bool {
	return len(grant.Scopes) > 0 && !slices.ContainsFunc(grant.Scopes, func(s string) bool { return s != scopeBillingReadOnly })
}

func refuseScope(value, message string) *provider.Refusal {
	return &provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: value, Message: message}
}

func refuseScopes(grant provider.Grant) *provider.Refusal {
	if len(grant.Scopes) == 0 {
		return refuseScope("none", "this provider grants "+strings.Join(grantable(), ", "))
	}
	if slices.Contains(grant.Scopes, scopeObjectWriteOnly) {
		return refuseScope(scopeObjectWriteOnly,
			"IBEE has no permission to write without reading: declare "+scopeObjectReadWrite+" if reading is meant as well, or use another provider")
	}
	if r := provider.RefuseScopes(grantable(), grant); r != nil {
		return r
	}
	if slices.Contains(grant.Scopes, scopeBillingReadOnly) && !billingOnly(grant) {
		return refuseScope(scopeBillingReadOnly,
			"a platform API token grants it, which a user creates, and an S3 credential grants the objectstorage scopes: declare it in a separate ApiToken")
	}
	return nil
}

// refuseBilling returns a Refusal if a platform API token cannot have the declared grant.
func refuseBilling(grant provider.Grant) *provider.Refusal {
	switch {
	case len(grant.Buckets) > 0:
		return &provider.Refusal{
			Reason: provider.RefusedBucket, Field: "spec.buckets", Value: strings.Join(grant.Buckets, ", "),
			Message: scopeBillingReadOnly + " grants no access to buckets: remove spec.buckets",
		}
	case grant.ExpiresAt.IsZero():
		return &provider.Refusal{
			Reason: provider.RefusedLifetime, Field: "spec.expiresIn", Value: "none",
			Message: "a platform API token lives 1 to 365 days: declare expiresIn or expiresAt",
		}
	}
	return nil
}

func refuseBuckets(scope string, buckets []string) *provider.Refusal {
	refuse := func(value, message string) *provider.Refusal {
		return &provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: value, Message: message}
	}
	switch {
	case permissions[scope].admin && !slices.Equal(buckets, []string{"*"}):
		return refuse(strings.Join(buckets, ", "), scope+` works only with buckets: ["*"] at IBEE: declare that if all buckets are meant, or `+
			scopeObjectReadOnly+" or "+scopeObjectReadWrite+" for these buckets")
	case len(buckets) == 0:
		return refuse("none", `declare the buckets by name, or ["*"] for all of them`)
	case len(buckets) > 1 && slices.Contains(buckets, "*"):
		return refuse("*", "* stands for all buckets: declare it alone, or declare names only")
	}
	return provider.RefuseBucketNames(provider.Grant{Buckets: buckets})
}
