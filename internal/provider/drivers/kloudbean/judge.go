package kloudbean

import (
	"fmt"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/s3probe"
)

// judge returns what is wrong with a key, or nil if it grants exactly the declared
// access.
func (c *client) judge(found s3probe.Finding, grant provider.Grant) *provider.Error {
	if message := c.refusedAsAWhole(found.Failed(), grant); message != "" {
		return provider.Invalid(message)
	}
	wanted := permissions[grant.Scopes[0]]
	want := wanted.want
	again := fmt.Sprintf(": create one with Permission %s, in the bucket %s", wanted.label, grant.Buckets[0])
	excess := "the key may write, but only reading was declared"
	if !want.Read {
		excess = "the key may read, but only writing was declared"
	}
	for _, check := range []struct {
		needed, allowed bool
		got             s3probe.Answer
		access          string
	}{
		{true, want.Read, found.List, "list the bucket"},
		{true, want.Write, found.Put, "write"},
		{want.Write, want.Read, found.Get, "read"},
		{want.Delete, true, found.Delete, "delete"},
	} {
		switch {
		case !check.needed:
		case check.allowed && check.got != s3probe.Allowed:
			return provider.Invalid("the key may not " + check.access + again + addressHint(grant) + left(found))
		case !check.allowed && check.got != s3probe.Denied:
			return provider.Invalid(excess + again + left(found))
		}
	}
	return nil
}

// refusedAsAWhole returns the meaning of an answer that is not about one kind of access.
func (c *client) refusedAsAWhole(answer s3probe.Answer, grant provider.Grant) string {
	return map[s3probe.Answer]string{
		s3probe.UnknownKey: "the server does not know the submitted " + KeyID +
			": copy both keys again from the details of the token, which must still exist",
		s3probe.WrongSecret: "the submitted " + KeySecret + " does not belong to the " + KeyID +
			": copy both keys again from the details of one token",
		s3probe.NoBucket: fmt.Sprintf("there is no bucket %s at %s: correct spec.buckets, or spec.kloudbean.s3Endpoint of the provider, and submit the key again",
			grant.Buckets[0], c.settings.S3Endpoint),
	}[answer]
}

// addressHint explains why a correct key can be denied: the requests that check it come
// from the operator.
func addressHint(grant provider.Grant) string {
	const comes, then = ". The check comes from the operator, so its own address ", "; correct that, and submit the key again"
	switch {
	case len(grant.AllowedIPs) > 0 && len(grant.DeniedIPs) > 0:
		return comes + "must be among spec.restrictions.allowedIPs and not among deniedIPs" + then
	case len(grant.AllowedIPs) > 0:
		return comes + "must be among spec.restrictions.allowedIPs" + then
	case len(grant.DeniedIPs) > 0:
		return comes + "must not be among spec.restrictions.deniedIPs" + then
	default:
		return ", and with both fields for IP addresses empty"
	}
}

// left reports an object that the check could not delete.
func left(found s3probe.Finding) string {
	if found.Left == "" {
		return ""
	}
	return ". The check wrote the object " + found.Left + " and could not delete it: delete it yourself"
}
