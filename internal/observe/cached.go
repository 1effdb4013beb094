package observe

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/trim"
)

// Cached reads Objects from a cache that has the indexes of account.AddIndex. The results
// are shared with the cache.
type Cached struct{ client.Reader }

// NamespaceEnding implements Objects. A namespace that does not exist is not being deleted.
func (c Cached) NamespaceEnding(ctx context.Context, name string) (bool, error) {
	return NamespaceEnding(ctx, c.Reader, name)
}

// NamespaceEnding reports whether a reader shows a namespace as being deleted.
func NamespaceEnding(ctx context.Context, from client.Reader, name string) (bool, error) {
	ns := trim.Metadata("Namespace")
	if err := from.Get(ctx, client.ObjectKey{Name: name}, ns); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading the namespace: %w", err)
	}
	return !ns.DeletionTimestamp.IsZero(), nil
}

// Referencing implements Objects.
func (c Cached) Referencing(ctx context.Context, key account.Key) ([]v1alpha1.ApiToken, error) {
	return account.Referencing(ctx, c.Reader, key)
}

// Unfinished implements Objects.
func (c Cached) Unfinished(ctx context.Context, key account.Key) ([]v1alpha1.ApiToken, error) {
	return account.Unfinished(ctx, c.Reader, key)
}
