package account

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"apitoken.dev/operator/api/v1alpha1"
)

// Object is the uniform view of a provider of either kind. Spec and Status point into
// Raw, so a change of them changes the object.
type Object struct {
	metav1.Object
	// Raw is the *TokenProvider or *ClusterTokenProvider.
	Raw    client.Object
	Kind   v1alpha1.ProviderKind
	Spec   *v1alpha1.ProviderSpec
	Status *v1alpha1.ProviderStatus
	// AllowedNamespaces of a ClusterTokenProvider; nil for a TokenProvider.
	AllowedNamespaces *metav1.LabelSelector
}

// NewObject returns an empty provider of a kind, to decode into.
func NewObject(kind v1alpha1.ProviderKind) Object {
	if kind == v1alpha1.KindClusterTokenProvider {
		return Of(&v1alpha1.ClusterTokenProvider{})
	}
	return Of(&v1alpha1.TokenProvider{})
}

// Of returns the uniform view of a *TokenProvider or *ClusterTokenProvider. Raw is nil
// for any other object.
func Of(raw client.Object) Object {
	switch o := raw.(type) {
	case *v1alpha1.TokenProvider:
		return Object{Object: o, Raw: o, Kind: v1alpha1.KindTokenProvider, Spec: &o.Spec, Status: &o.Status}
	case *v1alpha1.ClusterTokenProvider:
		return Object{Object: o, Raw: o, Kind: v1alpha1.KindClusterTokenProvider,
			Spec: &o.Spec.ProviderSpec, Status: &o.Status, AllowedNamespaces: o.Spec.AllowedNamespaces}
	default:
		return Object{}
	}
}

// Key returns the provider's key.
func (o Object) Key() Key { return Key{Kind: o.Kind, Namespace: o.GetNamespace(), Name: o.GetName()} }

// Copy returns a deep copy.
func (o Object) Copy() Object {
	raw, _ := o.Raw.DeepCopyObject().(client.Object) // every kind of Of is a client.Object
	return Of(raw)
}

// Deleting reports whether the provider is being deleted.
func (o Object) Deleting() bool { return o.GetDeletionTimestamp() != nil }

// HasCredentials reports whether the provider refers to a Secret with minting
// credentials. A provider without an API needs none.
func (o Object) HasCredentials() bool { return o.Spec.CredentialsSecretRef.Name != "" }

// CredentialsKey returns the key of the Secret with the minting credentials. It is in the
// provider's namespace; for a ClusterTokenProvider, in the operator's.
func (o Object) CredentialsKey(operatorNamespace string) client.ObjectKey {
	namespace := o.GetNamespace()
	if o.Kind == v1alpha1.KindClusterTokenProvider {
		namespace = operatorNamespace
	}
	return client.ObjectKey{Namespace: namespace, Name: o.Spec.CredentialsSecretRef.Name}
}

// Ready reports whether the credentials work for this generation at a verified endpoint,
// and the provider has the finalizer.
func (o Object) Ready() bool { return o.WasReady() && o.Status.Endpoint != "" }

// WasReady is Ready without the verified endpoint, which earlier versions of the operator
// did not record.
func (o Object) WasReady() bool {
	c := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == o.GetGeneration() &&
		controllerutil.ContainsFinalizer(o.Raw, v1alpha1.Finalizer)
}

// Get reads a provider.
func Get(ctx context.Context, reader client.Reader, key Key) (Object, error) {
	o := NewObject(key.Kind)
	if err := reader.Get(ctx, key.ObjectKey(), o.Raw); err != nil {
		return Object{}, err
	}
	return Of(o.Raw), nil
}

// List reads all providers of both kinds. Objects from a cache are shared with it and must
// not be changed.
func List(ctx context.Context, reader client.Reader) ([]Object, error) {
	var namespaced v1alpha1.TokenProviderList
	var cluster v1alpha1.ClusterTokenProviderList
	for _, list := range []client.ObjectList{&namespaced, &cluster} {
		if err := reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing providers: %w", err)
		}
	}
	out := make([]Object, 0, len(namespaced.Items)+len(cluster.Items))
	for i := range cluster.Items {
		out = append(out, Of(&cluster.Items[i]))
	}
	for i := range namespaced.Items {
		out = append(out, Of(&namespaced.Items[i]))
	}
	return out, nil
}
