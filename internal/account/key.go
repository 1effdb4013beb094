// Package account is the uniform view of TokenProviders and ClusterTokenProviders: the
// objects, their keys, their endpoints, and the facts that decisions are made from.
package account

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/provider"
)

const (
	// IndexField is the field of an ApiToken that IndexProvider indexes.
	IndexField = "spec.providerRef"
	// openField is the field that indexOpen indexes.
	openField = "status.credentials.open"
)

// ManagedCredentials is the value of the label apitoken.dev/managed on a Secret with
// minting credentials. Published Secrets have another value.
const ManagedCredentials = "credentials"

// Key identifies a provider. Namespace is empty for a ClusterTokenProvider.
type Key struct {
	Kind            v1alpha1.ProviderKind
	Namespace, Name string
}

// String returns the key for messages.
func (k Key) String() string {
	if k.Namespace == "" {
		return string(k.Kind) + " " + k.Name
	}
	return string(k.Kind) + " " + k.Namespace + "/" + k.Name
}

// Audited returns the provider in the terms of the audit trail.
func (k Key) Audited(driver string) audit.Provider {
	return audit.Provider{Kind: string(k.Kind), Namespace: k.Namespace, Name: k.Name, Driver: driver}
}

// ObjectKey returns the namespace and name.
func (k Key) ObjectKey() client.ObjectKey {
	return client.ObjectKey{Namespace: k.Namespace, Name: k.Name}
}

// KeyFor returns the key of the provider that an ApiToken refers to.
func KeyFor(token *v1alpha1.ApiToken) Key {
	if token.Spec.ProviderRef.Kind == v1alpha1.KindClusterTokenProvider {
		return Key{Kind: v1alpha1.KindClusterTokenProvider, Name: token.Spec.ProviderRef.Name}
	}
	return Key{Kind: v1alpha1.KindTokenProvider, Namespace: token.Namespace, Name: token.Spec.ProviderRef.Name}
}

// Named is the value of IndexField for all ApiTokens that refer to a provider of this
// name, of either kind and in any namespace.
func Named(name string) string { return "named " + name }

// IndexProvider is the index function of IndexField. It indexes an ApiToken by its provider
// and by the name of its provider.
func IndexProvider(obj client.Object) []string {
	token, ok := obj.(*v1alpha1.ApiToken)
	if !ok {
		return nil
	}
	return []string{KeyFor(token).String(), Named(token.Spec.ProviderRef.Name)}
}

// RefOf returns the reference by which a provider finds the credential of an entry.
func RefOf(e *v1alpha1.LedgerEntry) provider.Ref {
	ref := provider.Ref{Name: e.Name, ID: e.ID}
	if e.ReservedAt != nil {
		ref.Since = e.ReservedAt.Time
	}
	return ref
}

// Open reports whether the outcome of an attempt is unknown: the ledger has no answer, and
// the credential was not found in the Secret.
func Open(e *v1alpha1.LedgerEntry) bool {
	return e.IssuedAt == nil && e.ID == "" && e.State != v1alpha1.StateActive
}

// IsUnfinished reports whether an ApiToken has an attempt with an unknown outcome, or is
// in the gap of a RevokeFirst rotation.
func IsUnfinished(t *v1alpha1.ApiToken) bool {
	return t.Status.GapSince != nil || slices.ContainsFunc(t.Status.Credentials, func(e v1alpha1.LedgerEntry) bool { return Open(&e) })
}

// indexOpen indexes an ApiToken that IsUnfinished by its provider.
func indexOpen(obj client.Object) []string {
	token, ok := obj.(*v1alpha1.ApiToken)
	if !ok || !IsUnfinished(token) {
		return nil
	}
	return IndexProvider(obj)
}

// AddIndex adds the indexes that Referencing and Unfinished read.
func AddIndex(ctx context.Context, indexer client.FieldIndexer) error {
	if err := indexer.IndexField(ctx, &v1alpha1.ApiToken{}, IndexField, IndexProvider); err != nil {
		return fmt.Errorf("indexing ApiTokens by provider: %w", err)
	}
	if err := indexer.IndexField(ctx, &v1alpha1.ApiToken{}, openField, indexOpen); err != nil {
		return fmt.Errorf("indexing ApiTokens by unfinished attempts: %w", err)
	}
	return nil
}

// Referencing returns the ApiTokens that refer to a provider, from a cache with the
// indexes of AddIndex. They are shared with the cache and must not be changed.
func Referencing(ctx context.Context, cached client.Reader, key Key) ([]v1alpha1.ApiToken, error) {
	return indexed(ctx, cached, IndexField, key)
}

// Unfinished returns those of Referencing that are unfinished (IsUnfinished).
func Unfinished(ctx context.Context, cached client.Reader, key Key) ([]v1alpha1.ApiToken, error) {
	return indexed(ctx, cached, openField, key)
}

func indexed(ctx context.Context, cached client.Reader, field string, key Key) ([]v1alpha1.ApiToken, error) {
	var tokens v1alpha1.ApiTokenList
	err := cached.List(ctx, &tokens, client.MatchingFields{field: key.String()}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing the ApiTokens of %s: %w", key, err)
	}
	return tokens.Items, nil
}
