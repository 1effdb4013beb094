package rest

import (
	"slices"

	"apitoken.dev/operator/internal/provider"
)

// The fields that templates read. docs/providers/rest.md lists them.
const (
	fieldCredentials = "credentials"
	fieldSecret      = "secret"
	fieldName        = "name"
	fieldID          = "id"
	fieldPage        = "page"
	fieldScopes      = "scopes"
	fieldPermissions = "permissions"
	fieldExpiresAt   = "expiresAt"
)

// listFields are the fields that are lists.
var listFields = []string{fieldScopes, fieldPermissions, "buckets", "allowedIPs", "deniedIPs", "subaccounts"}

// The fields that the templates of each request can read. The templates of connection cannot
// read credentials: anyone who can read the workload's Secret can read the result.
var (
	grantFields  = append(slices.Clone(listFields), fieldExpiresAt)
	mintFields   = append(slices.Clone(grantFields), fieldCredentials, fieldName, "description", "cluster", "namespace", "token")
	updateFields = append(slices.Clone(mintFields), fieldID)
	refFields    = []string{fieldCredentials, fieldName, fieldID}
	listingField = []string{fieldCredentials, fieldName, fieldPage}
	selfFields   = []string{fieldCredentials}
	probeFields  = append(slices.Clone(grantFields), fieldSecret)
)

// grantData returns the fields of a grant for templates.
func grantData(s Settings, g provider.Grant) map[string]any {
	list := func(of []string) []string {
		out := slices.Clone(of)
		if out == nil {
			out = []string{}
		}
		slices.Sort(out)
		return out
	}
	return map[string]any{
		fieldScopes: list(g.Scopes), fieldPermissions: permissions(s, g.Scopes), "buckets": list(g.Buckets),
		"allowedIPs": list(g.AllowedIPs), "deniedIPs": list(g.DeniedIPs), "subaccounts": list(g.Subaccounts),
		fieldExpiresAt: newInstant(g.ExpiresAt),
	}
}

// mintData returns the fields for the templates of mint and update, without credentials.
func mintData(s Settings, req provider.MintRequest) map[string]any {
	out := grantData(s, req.Grant)
	out[fieldName], out["description"] = req.Name, req.Description
	out["cluster"], out["namespace"], out["token"] = req.Owner.Cluster, req.Owner.Namespace, req.Owner.Token
	return out
}

// want returns the fields of a grant for the expression update.applied.
func want(s Settings, g provider.Grant) map[string]any {
	out := grantData(s, g)
	out[fieldExpiresAt] = nil
	if end := newInstant(g.ExpiresAt); end != nil {
		out[fieldExpiresAt] = end.t
	}
	return out
}

// revealed returns credentials in plain text, for the templates of requests.
func revealed(values map[string]provider.Value) map[string]string {
	out := make(map[string]string, len(values))
	for key, value := range values {
		out[key] = value.Reveal()
	}
	return out
}
