package trim

import "k8s.io/apimachinery/pkg/util/resourceversion"

// Older reports whether one resourceVersion of an object was written before another one,
// as in a cache that lags. Versions that cannot be compared are not older.
func Older(version, than string) bool {
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err == nil && order < 0
}
