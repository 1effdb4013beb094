package tokenprovider

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/trim"
)

// secret is the metadata of a Secret: its values are never read here.
type secret = metav1.PartialObjectMetadata

// cachedSecret returns the provider's Secret; nil when the cache does not hold it,
// or the provider names none.
func (r *Reconciler) cachedSecret(ctx context.Context, o connections.Object) (*secret, error) {
	if !o.HasCredentials() {
		return nil, nil
	}
	return readSecret(ctx, r.Client, o.CredentialsKey(r.Namespace))
}

func readSecret(ctx context.Context, reader client.Reader, name client.ObjectKey) (*secret, error) {
	m := trim.Metadata("Secret")
	if err := reader.Get(ctx, name, m); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading the metadata of Secret %s: %w", name, err)
	}
	return m, nil
}

// hold puts the finalizer and the label on the credentials Secret, so that it
// stays and its changes are seen. A Secret with a label of the operator keeps it: a
// published credential can be the minting credential of another provider. It returns nil when there is no Secret, or one
// that is going and cannot be kept.
func (r *Reconciler) hold(ctx context.Context, o connections.Object, cached *secret) (*secret, error) {
	if !o.HasCredentials() || cached != nil && isHeld(cached) {
		return cached, nil
	}
	m, err := readSecret(ctx, r.Live, o.CredentialsKey(r.Namespace))
	if err != nil || m == nil || isHeld(m) {
		return m, err
	}
	if m.DeletionTimestamp != nil && !controllerutil.ContainsFinalizer(m, v1alpha1.Finalizer) {
		return nil, nil
	}
	base := m.DeepCopy()
	m.Finalizers = append(m.Finalizers, v1alpha1.Finalizer)
	if _, ok := m.Labels[v1alpha1.LabelManaged]; !ok {
		metav1.SetMetaDataLabel(&m.ObjectMeta, v1alpha1.LabelManaged, connections.ManagedCredentials)
	}
	if err := r.Client.Patch(ctx, m, lockedPatch(base)); err != nil {
		return nil, err
	}
	return m, nil
}

func isHeld(m *secret) bool {
	_, labelled := m.Labels[v1alpha1.LabelManaged]
	return labelled && controllerutil.ContainsFinalizer(m, v1alpha1.Finalizer)
}

// releaseSecrets releases every Secret of a namespace that is held and that no
// provider needs, and those given.
func (r *Reconciler) releaseSecrets(ctx context.Context, namespace string, given ...client.ObjectKey) error {
	held := &metav1.PartialObjectMetadataList{}
	held.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	// Not only those labelled as credentials: a published Secret can be held too.
	err := r.Client.List(ctx, held, client.InNamespace(namespace), client.UnsafeDisableDeepCopy)
	if err != nil {
		return fmt.Errorf("listing the Secrets of %s: %w", namespace, err)
	}
	for i := range held.Items {
		if m := &held.Items[i]; isOurs(m) && !slices.Contains(given, client.ObjectKeyFromObject(m)) {
			given = append(given, client.ObjectKeyFromObject(m))
		}
	}
	if len(given) == 0 {
		return nil
	}
	cached, err := connections.List(ctx, r.Client)
	if err != nil {
		return err
	}
	for _, name := range given {
		if err := r.releaseUnneeded(ctx, name, cached); err != nil {
			return err
		}
	}
	return nil
}

// isOurs reports whether a Secret carries a finalizer or label of hold.
func isOurs(m *secret) bool {
	return controllerutil.ContainsFinalizer(m, v1alpha1.Finalizer) || m.Labels[v1alpha1.LabelManaged] == connections.ManagedCredentials
}

// releaseUnneeded takes the finalizer and the label off a Secret that no provider
// needs, as the API server has them all now. What the cache shows of the providers
// saves that look where it can, and a provider that is Ready in the cache may be in use.
func (r *Reconciler) releaseUnneeded(ctx context.Context, name client.ObjectKey, cached []connections.Object) error {
	m, err := readSecret(ctx, r.Client, name)
	if err != nil {
		return err
	}
	for _, o := range cached {
		if m != nil && o.CredentialsKey(r.Namespace) == name && worksWith(o, m) {
			return nil
		}
	}
	// Read before the providers, so that a change after that makes the release fail.
	if m, err = readSecret(ctx, r.Live, name); err != nil || m == nil || !isOurs(m) {
		return err
	}
	needed, err := r.needed(ctx, m)
	if err != nil || needed {
		return err
	}
	base := m.DeepCopy()
	m.Finalizers = slices.DeleteFunc(m.Finalizers, func(f string) bool { return f == v1alpha1.Finalizer })
	if m.Labels[v1alpha1.LabelManaged] == connections.ManagedCredentials {
		delete(m.Labels, v1alpha1.LabelManaged)
	}
	return client.IgnoreNotFound(r.Client.Patch(ctx, m, lockedPatch(base)))
}

// worksWith reports whether a provider that names a Secret works with it, or may
// yet: neither is being deleted, or ApiTokens still see the provider as Ready.
func worksWith(o connections.Object, m *secret) bool {
	return !o.Deleting() && (m.DeletionTimestamp == nil || o.Ready())
}

// needed asks the API server whether a provider needs a Secret: one that names it
// and works with it, or has credentials to revoke with it. One that has credentials
// to revoke and does not work with the Secret that it names now keeps those that it
// may have named before.
func (r *Reconciler) needed(ctx context.Context, m *secret) (bool, error) {
	all, err := r.liveProviders(ctx, m.Namespace)
	if err != nil {
		return false, err
	}
	var unsure []connections.Object
	for _, o := range all {
		names := o.HasCredentials() && o.CredentialsKey(r.Namespace) == client.ObjectKeyFromObject(m)
		if names && worksWith(o, m) {
			return true, nil
		}
		if names || m.Labels[v1alpha1.LabelManaged] == connections.ManagedCredentials && !o.Ready() {
			unsure = append(unsure, o)
		}
	}
	for _, o := range unsure {
		users, err := r.liveUsers(ctx, o.Key())
		if err != nil || len(inUse(users)) > 0 {
			return true, err
		}
	}
	return false, nil
}

// liveProviders asks the API server for the providers whose credentials are in a
// namespace.
func (r *Reconciler) liveProviders(ctx context.Context, namespace string) ([]connections.Object, error) {
	var out []connections.Object
	if len(r.Namespaces) == 0 || slices.Contains(r.Namespaces, namespace) {
		page := client.ListOptions{Namespace: namespace, Limit: pageSize}
		for more := true; more; more = page.Continue != "" {
			var list v1alpha1.TokenProviderList
			if err := r.Live.List(ctx, &list, &page); err != nil {
				return nil, fmt.Errorf("listing the TokenProviders of %s live: %w", namespace, err)
			}
			for i := range list.Items {
				out = append(out, connections.Of(&list.Items[i]))
			}
			page.Continue = list.Continue
		}
	}
	if namespace != r.Namespace {
		return out, nil
	}
	page := client.ListOptions{Limit: pageSize}
	for more := true; more; more = page.Continue != "" {
		var list v1alpha1.ClusterTokenProviderList
		if err := r.Live.List(ctx, &list, &page); err != nil {
			return nil, fmt.Errorf("listing the ClusterTokenProviders live: %w", err)
		}
		for i := range list.Items {
			out = append(out, connections.Of(&list.Items[i]))
		}
		page.Continue = list.Continue
	}
	return out, nil
}
