package provider

import "apitoken.dev/operator/internal/credname"

// Owns reports whether a credential of this name is the owner's: made for its
// ApiToken, or with an empty Token for any of its cluster. Every other name,
// also one that this operator never made, is not.
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
