package provider

import "apitoken.dev/operator/internal/credname"

// Owns reports whether a credential of this name belongs to the owner: to its ApiToken, or
// with an empty Token to any ApiToken of its cluster. No other name does, including names
// that this operator did not create.
func (o Owner) Owns(name string) bool {
	n, err := credname.Parse(name)
	switch {
	case err != nil:
		return false
	case o.Token == "":
		return n.InCluster(o.Cluster)
	default:
		return n.OwnedBy(o.Cluster, o.Namespace, o.Token)
	}
}
