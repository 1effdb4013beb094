package ibee

import "slices"

// The scopes that can be granted, and the one that many expect and IBEE has not.
const (
	scopeAdminReadWrite  = "objectstorage:admin-read-write"
	scopeAdminReadOnly   = "objectstorage:admin-read-only"
	scopeObjectReadWrite = "objectstorage:object-read-write"
	scopeObjectReadOnly  = "objectstorage:object-read-only"
	scopeObjectWriteOnly = "objectstorage:object-write-only"
	scopeBillingReadOnly = "billing:read-only"
)

// permission is one permission_type of an S3 credential.
type permission struct {
	// name on the wire.
	name string
	// admin: it opens all buckets, whatever is asked for.
	admin bool
	// includes are the other scopes that it covers without being any wider for them.
	includes []string
}

// permissions are what the portal and the API offer (ibee.ai/docs/tools/api-tokens,
// "Set permissions"; devs-ibee/terraform-provider-ibee, docs/resources/s3_credential.md).
// docs/providers/ibee.md shows them to people; a test compares the two.
var permissions = map[string]permission{
	scopeObjectReadOnly:  {name: "object_ro"},
	scopeObjectReadWrite: {name: "object_rw", includes: []string{scopeObjectReadOnly}},
	scopeAdminReadOnly:   {name: "admin_ro", admin: true, includes: []string{scopeObjectReadOnly}},
	scopeAdminReadWrite: {
		name: "admin_rw", admin: true,
		includes: []string{scopeObjectReadOnly, scopeObjectReadWrite, scopeAdminReadOnly},
	},
}

// grantable returns every scope, sorted.
func grantable() []string {
	out := []string{scopeBillingReadOnly}
	for scope := range permissions {
		out = append(out, scope)
	}
	slices.Sort(out)
	return out
}

// widest returns the one of these scopes that includes all the others; "" when none does.
func widest(scopes []string) string {
	for _, scope := range scopes {
		covers := func(other string) bool {
			return other == scope || slices.Contains(permissions[scope].includes, other)
		}
		if !slices.ContainsFunc(scopes, func(other string) bool { return !covers(other) }) {
			return scope
		}
	}
	return ""
}
