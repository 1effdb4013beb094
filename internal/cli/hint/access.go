package hint

import (
	"fmt"
	"strings"

	"apitoken.dev/operator/internal/cli/reading"
)

// providerViewer is the ClusterRole that reads ClusterTokenProviders.
const providerViewer = "apitoken-operator-clustertokenprovider-viewer"

// Access is a right that a read needs.
type Access struct {
	Verb, Group, Resource string
	// Namespace is empty for all of them, and for what has none.
	Namespace string
}

func (r Access) String() string {
	out := r.Verb + " " + strings.TrimSuffix(r.Resource+"."+r.Group, ".")
	if r.Namespace != "" {
		out += " in namespace " + r.Namespace
	}
	return out
}

// Unreadable says why something could not be read.
func Unreadable(r Access, err error) string {
	if reading.Forbidden(err) {
		return "you may not " + r.String()
	}
	return fmt.Sprintf("cannot %s: %v", r, err)
}

// ToRead says what to do about something that could not be read.
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

// ToReadClusterProviders names the optional ClusterRole. A RoleBinding grants nothing
// about an object without a namespace, also when it binds view or edit. The command is
// for an administrator, so it does not choose the cluster or the user.
func ToReadClusterProviders() string {
	return "Ask an administrator to let everybody read ClusterTokenProviders (docs/install.md, \"Readers of ClusterTokenProviders\"): " +
		"kubectl create clusterrolebinding read-clustertokenproviders --clusterrole=" + providerViewer + " --group=system:authenticated"
}
