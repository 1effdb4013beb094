package ibee

import "slices"

// The scopes that can be granted, and object-write-only, which IBEE does not have.
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
	// admin: it always grants access to all buckets.
	admin bool
	// includes are the other scopes that it covers.
	includes []string
}

// permissions are what the portal and the API offer (ibee.ai/docs/tools/api-tokens,
// "Set permissions"; devs-ibee/terraform-provider-ibee, docs/resources/s3_credential.md).
// A test compares them with docs/providers/ibee.md.
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

// widest returns the one of these scopes that includes all the others; "" if no scope does.
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
