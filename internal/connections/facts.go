package connections

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/trim"
)

// Facts is what caches tell about a provider, without any call to it or to the API server.
type Facts struct {
	// Found: it exists. Deleting: it only revokes. Ready: its credentials work for
	// its current generation and its finalizer is on. Admitted: the namespace may use it.
	Found, Deleting, Ready, Admitted bool
	// OtherKind is the kind of a provider of the same name, if none of this kind exists.
	OtherKind v1alpha1.ProviderKind
	// Repairs: credentials that are missing at the provider are replaced.
	Repairs bool
	// ReadyReason and ReadyMessage say why it is not Ready.
	ReadyReason, ReadyMessage string
	// Account the kept connection belongs to; without one, the recorded account. It is
	// compared with the ledgers of the provider's own ApiTokens only.
	Account provider.Account
	// Verified: the declared endpoint is the one that the status records. At any other
	// nothing is done, and what it does not show may exist. Endpoint and region that
	// workloads get follow the declaration only while it is true.
	Verified bool
	// AccountKey is the account that the server named last, for comparing with other
	// providers; without an answer, a key that no other provider has.
	AccountKey AccountKey
	// GrantableScopes of the account; empty when not known.
	GrantableScopes []string
	// DriverType is empty and Driver nil when there is no driver for it.
	DriverType string
	Driver     provider.Driver
	// Config has no credentials: it is enough for Validate and Connection.
	Config provider.Config
	// Capabilities for the grant that was asked about.
	Capabilities provider.Capabilities
}

// Facts returns what is known of a provider to an ApiToken of a namespace that declares
// this grant. The Capabilities are those for the grant.
func (p *Pool) Facts(ctx context.Context, key Key, namespace string, grant provider.Grant) (Facts, error) {
	o, err := Get(ctx, p.o.Reader, key)
	if apierrors.IsNotFound(err) {
		return p.absent(ctx, key, namespace)
	}
	if err != nil {
		return Facts{}, fmt.Errorf("reading %s: %w", key, err)
	}
	f := Facts{Found: true, Deleting: o.Deleting(), Repairs: o.Spec.Drift == v1alpha1.DriftRepair,
		Account: p.account(o), AccountKey: p.accounts.key(o), GrantableScopes: slices.Clone(o.Status.GrantableScopes)}
	if f.Admitted, err = p.admits(ctx, o, namespace); err != nil {
		return Facts{}, err
	}
	if driver, settings, err := p.resolve(o, nil); err == nil {
		f.DriverType, f.Driver, f.Capabilities = driver.Type(), driver, provider.CapabilitiesFor(driver, grant)
		if p.o.NoUpdates {
			f.Capabilities.Updates = nil
		}
		f.Config = p.config(settings)
		f.Verified = o.Verified(EndpointOf(ctx, driver, f.Config))
	}
	if f.Ready = o.Ready() && f.Verified; !f.Ready {
		f.ReadyReason, f.ReadyMessage = notReady(o)
	}
	return f, nil
}

// absent returns what is known of a provider that does not exist: whether one of the other
// kind has its name.
func (p *Pool) absent(ctx context.Context, key Key, namespace string) (Facts, error) {
	other := Key{Kind: v1alpha1.KindClusterTokenProvider, Name: key.Name}
	if key.Kind == v1alpha1.KindClusterTokenProvider {
		other = Key{Kind: v1alpha1.KindTokenProvider, Namespace: namespace, Name: key.Name}
	}
	_, err := Get(ctx, p.o.Reader, other)
	switch {
	case apierrors.IsNotFound(err):
		return Facts{}, nil
	case err != nil:
		return Facts{}, fmt.Errorf("reading %s: %w", other, err)
	}
	return Facts{OtherKind: other.Kind}, nil
}

// account prefers what the kept connection says: an account that changed under
// live credentials is never recorded, and has to be seen all the same.
func (p *Pool) account(o Object) provider.Account {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k, ok := p.kept[o.Key()]; ok && k.uid == o.GetUID() && k.generation == o.GetGeneration() {
		return o.Recorded(k.connection.Account)
	}
	return o.Recorded(provider.Account{ID: o.Status.Account})
}

// Recorded returns an account with what earlier versions called it at another
// endpoint, if it is the one that the status records.
func (o Object) Recorded(account provider.Account) provider.Account {
	if o.Status.FormerAccount != "" && o.Status.Account == account.ID {
		account.Former = append(slices.Clone(account.Former), o.Status.FormerAccount)
	}
	return account
}

func notReady(o Object) (reason, message string) {
	c := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.ObservedGeneration != o.GetGeneration() || c.Status == metav1.ConditionTrue {
		return v1alpha1.ReasonProviderNotReady, fmt.Sprintf("%s has not been checked yet", o.Key())
	}
	return c.Reason, c.Message
}

// admits reports whether ApiTokens of a namespace may use the provider: those of
// a TokenProvider's own, and those that a ClusterTokenProvider selects.
func (p *Pool) admits(ctx context.Context, o Object, namespace string) (bool, error) {
	if o.Kind == v1alpha1.KindTokenProvider {
		return o.GetNamespace() == namespace, nil
	}
	if o.AllowedNamespaces == nil {
		return false, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(o.AllowedNamespaces)
	if err != nil {
		return false, nil //nolint:nilerr // the provider is not Ready then and says why
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

// namespace reads the labels of a namespace, live when there are more than the
// cache keeps.
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
