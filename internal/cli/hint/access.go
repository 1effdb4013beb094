package hint

import (
	"fmt"
	"strings"

	"apitoken.dev/operator/internal/cli/reading"
)

// providerViewer is the ClusterRole that reads ClusterTokenProviders.
const providerViewer = "apitoken-operator-clustertokenprovider-viewer"

// Access is the right that a read requires.
type Access struct {
	Verb, Group, Resource string
	// Namespace is empty for a read of all namespaces and for cluster-scoped resources.
	Namespace string
}

func (r Access) String() string {
	out := r.Verb + " " + strings.TrimSuffix(r.Resource+"."+r.Group, ".")
	if r.Namespace != "" {
		out += " in namespace " + r.Namespace
	}
	return out
}

// Unreadable returns why a read failed.
func Unreadable(r Access, err error) string {
	if reading.Forbidden(err) {
		return "you may not " + r.String()
	}
	return fmt.Sprintf("cannot %s: %v", r, err)
}

// ToRead returns what the user can do about a failed read.
func (h Hints) ToRead(r Access, err error) string {
	switch {
	case !reading.Forbidden(err):
		return "Check the API server, then run this command again: " + h.KubectlCommand("", "cluster-info")
	case r.Resource == "clustertokenproviders":
		return ToReadClusterProviders()
	default:
		return fmt.Sprintf("Ask an administrator for the right to %s.", r)
	}
}

// ToReadClusterProviders returns the command that binds the optional ClusterRole. A
// RoleBinding, also of view or edit, grants no access to cluster-scoped objects. An
// administrator runs the command, so it has no flags for the cluster or the user.
func ToReadClusterProviders() string {
	return "Ask an administrator to let all users read ClusterTokenProviders (docs/install.md, \"Readers of ClusterTokenProviders\"): " +
		"kubectl create clusterrolebinding read-clustertokenproviders --clusterrole=" + providerViewer + " --group=system:authenticated"
}
