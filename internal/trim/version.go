package trim

import "k8s.io/apimachinery/pkg/util/resourceversion"

// Older reports whether a resourceVersion of an object is older than another one, as in a
// stale cache. Versions that cannot be compared are not older.
func Older(version, than string) bool {
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err == nil && order < 0
}
