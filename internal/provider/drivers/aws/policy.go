package aws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// policyVersion is the version of IAM's policy language.
const policyVersion = "2012-10-17"

// maxPolicy is how many bytes the inline policies of one user may have, white
// space not counted (IAM and STS quotas, "IAM user inline policies").
const maxPolicy = 2048

type document struct {
	Version   string
	Statement []statement
}

type statement struct {
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string][]string
}

// ranges are the address ranges of a grant, in canonical form.
type ranges struct{ allowed, denied []string }

// policy returns the compact JSON of the policy for a validated grant. Every Allow ends
// at the grant's expiry, so the key stops working even if the operator does not run.
func policy(partition string, grant provider.Grant, from ranges) (string, error) {
	everyBucket := slices.Equal(grant.Buckets, []string{"*"})
	what := union(grant.Scopes, everyBucket)
	var resources []string
	for _, bucket := range distinct(slices.Clone(grant.Buckets)) {
		arn := fmt.Sprintf("arn:%s:s3:::%s", partition, bucket)
		if len(what.bucket) > 0 {
			resources = append(resources, arn)
		}
		if len(what.object) > 0 && bucket != "*" { // arn:aws:s3:::* covers the objects too
			resources = append(resources, arn+"/*")
		}
	}
	condition := map[string]map[string][]string{
		"DateLessThan": {"aws:CurrentTime": {expiry(grant).Format(time.RFC3339)}},
	}
	if len(from.allowed) > 0 {
		condition["IpAddress"] = map[string][]string{"aws:SourceIp": from.allowed}
	}
	doc := document{Version: policyVersion, Statement: []statement{{
		Effect: "Allow", Action: distinct(slices.Concat(what.bucket, what.object)),
		Resource: resources, Condition: condition,
	}}}
	if len(from.denied) > 0 {
		doc.Statement = append(doc.Statement, statement{
			Effect: "Deny", Action: []string{anyAction}, Resource: []string{"*"},
			Condition: map[string]map[string][]string{"IpAddress": {"aws:SourceIp": from.denied}},
		})
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return "", fmt.Errorf("encoding a policy: %w", err)
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// expiry is the requested expiry in whole seconds, because IAM dates have no fractions.
func expiry(grant provider.Grant) time.Time { return grant.ExpiresAt.UTC().Truncate(time.Second) }

// canonical returns IP addresses and CIDR ranges as masked CIDR ranges, sorted and without
// duplicates. bad is the first entry that is neither an address nor a range.
func canonical(list []string) (out []string, bad string) {
	for _, text := range list {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil || addr.Zone() != "" {
				return nil, text
			}
			addr = addr.Unmap()
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		if prefix.Addr().Is4In6() {
			return nil, text
		}
		out = append(out, prefix.Masked().String())
	}
	slices.Sort(out)
	return slices.Compact(out), ""
}
