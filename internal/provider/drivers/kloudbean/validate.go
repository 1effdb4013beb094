package kloudbean

import (
	"fmt"
	"net/netip"
	"strings"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/s3probe"
)

// The scopes that a key of KloudBean can have, see docs/providers/kloudbean.md.
const (
	scopeReadOnly  = "objectstorage:object-read-only"
	scopeWriteOnly = "objectstorage:object-write-only"
	scopeReadWrite = "objectstorage:object-read-write"
)

// permission is the label of a scope in the panel, and the access of a key with it.
type permission struct {
	label string
	want  s3probe.Want
}

// permissions by scope, with the labels of the panel
// (support.kloudbean.com/docs/s3-object-storage/generating-access-api-keys). A key
// has exactly one of them, which cannot be changed. docs/providers/kloudbean.md lists
// them; a test compares the two.
var permissions = map[string]permission{
	scopeReadOnly:  {label: "Read only", want: s3probe.Want{Read: true}},
	scopeWriteOnly: {label: "Write only", want: s3probe.Want{Write: true}},
	scopeReadWrite: {label: "Read & Write", want: s3probe.Want{Read: true, Write: true, Delete: true}},
}

// Validate implements provider.Validator.
func (d *Driver) Validate(cfg provider.Config, req provider.MintRequest) error {
	if _, err := settingsOf(cfg); err != nil {
		return err
	}
	if r := refuse(d.Capabilities(), req.Grant); r != nil {
		return r
	}
	return nil
}

// refuse returns why access cannot be granted, or nil.
func refuse(caps provider.Capabilities, grant provider.Grant) *provider.Refusal {
	if r := refuseScopes(caps.Scopes, grant); r != nil {
		return r
	}
	if r := refuseBuckets(grant.Buckets); r != nil {
		return r
	}
	if r := provider.RefuseNarrowing(caps, grant); r != nil {
		return r
	}
	if r := refuseAddresses("allowedIPs", grant.AllowedIPs); r != nil {
		return r
	}
	return refuseAddresses("deniedIPs", grant.DeniedIPs)
}

func refuseScopes(grantable []string, grant provider.Grant) *provider.Refusal {
	if r := provider.RefuseScopes(grantable, grant); r != nil {
		return r
	}
	value := strings.Join(grant.Scopes, ", ")
	switch len(grant.Scopes) {
	case 1:
		return nil
	case 0:
		value = "none"
	}
	return &provider.Refusal{
		Reason: provider.RefusedScope, Field: "spec.scopes", Value: value,
		Message: "a key of KloudBean has exactly one permission: declare one of " + strings.Join(grantable, ", ") +
			"; to read and to write with one key is " + scopeReadWrite,
	}
}

func refuseBuckets(buckets []string) *provider.Refusal {
	refuse := func(reason provider.RefusalReason, value, message string) *provider.Refusal {
		return &provider.Refusal{Reason: reason, Field: "spec.buckets", Value: value, Message: message}
	}
	const way = "a KloudBean key grants access to the one bucket that it is created in: "
	switch {
	case len(buckets) == 0:
		return refuse(provider.RefusedBucket, "none", way+"declare its name")
	case len(buckets) > 1:
		return refuse(provider.RefusedBuckets, fmt.Sprintf("%d buckets", len(buckets)), way+"declare one bucket, and an ApiToken for each of the others")
	case buckets[0] == "*":
		return refuse(provider.RefusedBucket, "*", way+"declare its name, and an ApiToken for each bucket")
	}
	return provider.RefuseBucketNames(provider.Grant{Buckets: buckets})
}

// refuseAddresses refuses texts that are neither an address nor a range.
func refuseAddresses(field string, list []string) *provider.Refusal {
	for _, s := range list {
		addr, err := netip.ParseAddr(s)
		if err == nil && addr.Zone() == "" {
			continue
		}
		if _, err := netip.ParsePrefix(s); err == nil {
			continue
		}
		return &provider.Refusal{
			Reason: provider.RefusedNarrow, Field: "spec.restrictions." + field, Value: s,
			Message: "declare an IP address such as 203.0.113.7, or a range such as 203.0.113.0/24 or 2001:db8::/32",
		}
	}
	return nil
}
