package aws

import (
	"fmt"
	"slices"
	"strings"

	"apitoken.dev/operator/internal/provider"
)

// Validate implements provider.Validator.
func (*Driver) Validate(cfg provider.Config, req provider.MintRequest) error {
	settings, err := settingsOf(cfg)
	if err != nil {
		return err
	}
	_, refusal := plan(settings, req.Grant)
	if refusal != nil {
		return refusal
	}
	return nil
}

// plan returns the policy for a grant, or the reason why the grant is refused.
func plan(s settings, grant provider.Grant) (string, *provider.Refusal) {
	if r := refuseScopes(grant); r != nil {
		return "", r
	}
	if r := refuseBuckets(grant); r != nil {
		return "", r
	}
	if r := provider.RefuseNoExpiry(grant); r != nil {
		return "", r
	}
	from, r := refuseRestrictions(grant)
	if r != nil {
		return "", r
	}
	return fit(s.partition(), grant, from)
}

func refuseScopes(grant provider.Grant) *provider.Refusal {
	way := "this provider grants " + strings.Join(grantable(), ", ")
	if len(grant.Scopes) == 0 {
		return &provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "none", Message: way}
	}
	for _, scope := range grant.Scopes {
		if _, ok := scopeTable[scope]; !ok {
			return &provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: scope, Message: way}
		}
	}
	return nil
}

func refuseBuckets(grant provider.Grant) *provider.Refusal {
	refuse := func(value, message string) *provider.Refusal {
		return &provider.Refusal{Reason: provider.RefusedBucket, Field: "spec.buckets", Value: value, Message: message}
	}
	if len(grant.Buckets) == 0 {
		return refuse("none", `declare the buckets by name, or ["*"] for all of them`)
	}
	if len(grant.Buckets) > 1 && slices.Contains(grant.Buckets, "*") {
		return refuse("*", "* stands for all buckets; declare it alone, or declare names only")
	}
	return provider.RefuseBucketNames(grant)
}

func refuseRestrictions(grant provider.Grant) (ranges, *provider.Refusal) {
	refuse := func(field, value, message string) (ranges, *provider.Refusal) {
		return ranges{}, &provider.Refusal{
			Reason: provider.RefusedNarrow, Field: "spec.restrictions." + field, Value: value, Message: message,
		}
	}
	if len(grant.Subaccounts) > 0 {
		return refuse("subaccounts", strings.Join(grant.Subaccounts, ", "),
			"an AWS account has no subaccounts; leave them out, or use a provider for each account")
	}
	const way = "declare an IP address or a range such as 203.0.113.0/24 or 2001:db8::/32"
	allowed, bad := canonical(grant.AllowedIPs)
	if bad != "" {
		return refuse("allowedIPs", bad, way)
	}
	denied, bad := canonical(grant.DeniedIPs)
	if bad != "" {
		return refuse("deniedIPs", bad, way)
	}
	return ranges{allowed: allowed, denied: denied}, nil
}

// fit returns the policy, or a Refusal if it is longer than IAM allows.
func fit(partition string, grant provider.Grant, from ranges) (string, *provider.Refusal) {
	size := func(buckets int) (string, int) {
		part := grant
		part.Buckets = grant.Buckets[:buckets]
		doc, err := policy(partition, part, from)
		if err != nil { // strings and slices of them always encode
			return "", maxPolicy + 1
		}
		return doc, len(doc)
	}
	all := len(grant.Buckets)
	doc, bytes := size(all)
	if bytes <= maxPolicy {
		return doc, nil
	}
	fitting := all - 1
	for ; fitting > 0; fitting-- {
		if _, bytes := size(fitting); bytes <= maxPolicy {
			break
		}
	}
	if fitting == 0 {
		return "", &provider.Refusal{
			Reason: provider.RefusedNarrow, Field: "spec.restrictions",
			Value: fmt.Sprintf("%d ranges", len(from.allowed)+len(from.denied)),
			Message: fmt.Sprintf("an IAM user's policy holds %d bytes, and these scopes and ranges leave no room for a bucket; declare fewer or wider ranges",
				maxPolicy),
		}
	}
	return "", &provider.Refusal{
		Reason: provider.RefusedBuckets, Field: "spec.buckets", Value: fmt.Sprintf("%d buckets", all),
		Message: fmt.Sprintf("an IAM user's policy holds %d bytes and this one would have %d: the first %d of these %d buckets fit; split them over several ApiTokens%s",
			maxPolicy, bytes, fitting, all, orAll(grant)),
	}
}

// orAll suggests all buckets, except for scopes that administer buckets.
func orAll(grant provider.Grant) string {
	if slices.Contains(grant.Scopes, scopeAdminReadWrite) {
		return ""
	}
	return `, or declare ["*"] if all buckets are meant`
}
