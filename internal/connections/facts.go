package connections

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/trim"
)

// Facts returns what caches show about a provider, for an ApiToken of a namespace with this
// grant.
func (p *Pool) Facts(ctx context.Context, key account.Key, namespace string, grant provider.Grant) (account.Facts, error) {
	o, err := account.Get(ctx, p.o.Reader, key)
	if apierrors.IsNotFound(err) {
		return p.absent(ctx, key, namespace)
	}
	if err != nil {
		return account.Facts{}, fmt.Errorf("reading %s: %w", key, err)
	}
	f := account.Facts{Found: true, Deleting: o.Deleting(), Repairs: o.Spec.Drift == v1alpha1.DriftRepair,
		Account: p.accountOf(o), AccountKey: p.accounts.key(o), GrantableScopes: slices.Clone(o.Status.GrantableScopes)}
	if f.Admitted, err = p.admits(ctx, o, namespace); err != nil {
		return account.Facts{}, err
	}
	if driver, settings, err := p.resolve(o, nil); err == nil {
		f.DriverType, f.Driver, f.Capabilities = driver.Type(), driver, provider.CapabilitiesFor(driver, grant)
		if p.o.NoUpdates {
			f.Capabilities.Updates = nil
		}
		f.Config = p.config(settings)
		f.Verified = o.Verified(account.EndpointOf(ctx, driver, f.Config))
	}
	if f.Ready = o.Ready() && f.Verified; !f.Ready {
		f.ReadyReason, f.ReadyMessage = o.NotReady()
	}
	return f, nil
}

// absent returns the Facts of a provider that does not exist.
func (p *Pool) absent(ctx context.Context, key account.Key, namespace string) (account.Facts, error) {
	other := account.Key{Kind: v1alpha1.KindClusterTokenProvider, Name: key.Name}
	if key.Kind == v1alpha1.KindClusterTokenProvider {
		other = account.Key{Kind: v1alpha1.KindTokenProvider, Namespace: namespace, Name: key.Name}
	}
	_, err := account.Get(ctx, p.o.Reader, other)
	switch {
	case apierrors.IsNotFound(err):
		return account.Facts{}, nil
	case err != nil:
		return account.Facts{}, fmt.Errorf("reading %s: %w", other, err)
	}
	return account.Facts{OtherKind: other.Kind}, nil
}

// accountOf returns the account of the cached connection, if there is one. The status does
// not record an account that changed while credentials are live, but it must be noticed.
func (p *Pool) accountOf(o account.Object) provider.Account {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k, ok := p.cache[o.Key()]; ok && k.uid == o.GetUID() && k.generation == o.GetGeneration() {
		return o.Recorded(k.connection.Account)
	}
	return o.Recorded(provider.Account{ID: o.Status.Account})
}

// admits reports whether ApiTokens of a namespace may use the provider: only the namespace
// of a TokenProvider, and the namespaces that a ClusterTokenProvider selects.
func (p *Pool) admits(ctx context.Context, o account.Object, namespace string) (bool, error) {
	if o.Kind == v1alpha1.KindTokenProvider {
		return o.GetNamespace() == namespace, nil
	}
	if o.AllowedNamespaces == nil {
		return false, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(o.AllowedNamespaces)
	if err != nil {
		return false, nil //nolint:nilerr // the provider is not Ready, and its condition says why
	}
	if selector.Empty() {
		return true, nil
	}
	found, err := p.namespace(ctx, namespace)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the labels of namespace %s: %w", namespace, err)
	}
	return selector.Matches(labels.Set(found.Labels)), nil
}

// namespace reads the labels of a namespace: live if the cache has only a part of them.
func (p *Pool) namespace(ctx context.Context, name string) (*metav1.PartialObjectMetadata, error) {
	found := trim.Metadata("Namespace")
	err := p.o.Reader.Get(ctx, client.ObjectKey{Name: name}, found)
	if err == nil && trim.LabelsCut(found) {
		found = trim.Metadata("Namespace")
		err = p.o.Live.Get(ctx, client.ObjectKey{Name: name}, found)
	}
	return found, err
}

func (p *Pool) config(settings any) provider.Config {
	return provider.Config{Settings: settings, Cluster: p.o.Cluster, UserAgent: p.o.UserAgent}
}
