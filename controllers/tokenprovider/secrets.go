package tokenprovider

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/trim"
)

// secret is the metadata of a Secret. This package never reads the values.
type secret = metav1.PartialObjectMetadata

// cachedSecret returns the provider's Secret from the cache; nil if it is missing there, or
// the provider names no Secret.
func (r *Reconciler) cachedSecret(ctx context.Context, o account.Object) (*secret, error) {
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

// hold puts the finalizer and the label on the Secret of the minting credentials, so that
// it is not deleted and its changes are watched. A Secret that already has a label of the
// operator keeps it: a published credential can be the minting credential of another
// provider. hold returns nil if the Secret is missing, or is being deleted and cannot be
// protected.
func (r *Reconciler) hold(ctx context.Context, o account.Object, cached *secret) (*secret, error) {
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
		metav1.SetMetaDataLabel(&m.ObjectMeta, v1alpha1.LabelManaged, account.ManagedCredentials)
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

// mostReleased is how many Secrets one reconcile releases. Anyone who can edit Secrets
// can put the label or the finalizer on many of them.
const mostReleased = 50

// releaseSecrets releases the held Secrets of a namespace that no provider needs. Those
// given come first. It reports whether some are left for the next reconcile.
func (r *Reconciler) releaseSecrets(ctx context.Context, namespace string, given ...client.ObjectKey) (more bool, err error) {
	candidates, err := r.unused(ctx, namespace, given)
	if err != nil || len(candidates) == 0 {
		return false, err
	}
	// The Secrets were read before the providers, so a later change makes the release fail.
	// The providers and their users are read once for all Secrets.
	live := &needs{r: r, using: map[account.Key]bool{}}
	if live.providers, err = r.liveProviders(ctx, namespace); err != nil {
		return false, err
	}
	released := 0
	for _, m := range candidates {
		needed, err := live.need(ctx, m)
		if err != nil {
			return false, err
		}
		if needed {
			continue
		}
		if released == mostReleased {
			return true, nil
		}
		if err := r.release(ctx, m); err != nil {
			return false, err
		}
		released++
	}
	return false, nil
}

// unused returns the held Secrets of a namespace, and those given, except those that a
// provider in the cache uses. These need no live read.
func (r *Reconciler) unused(ctx context.Context, namespace string, given []client.ObjectKey) ([]*secret, error) {
	held := &metav1.PartialObjectMetadataList{}
	held.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	// Secrets with any label of the operator: a published Secret can be held too.
	err := r.Client.List(ctx, held, client.InNamespace(namespace), client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing the Secrets of %s: %w", namespace, err)
	}
	candidates := make([]*secret, 0, len(given))
	for _, name := range given {
		m, err := readSecret(ctx, r.Live, name)
		if err != nil {
			return nil, err
		}
		if m != nil && isOurs(m) {
			candidates = append(candidates, m)
		}
	}
	for i := range held.Items {
		if m := &held.Items[i]; isOurs(m) && !slices.Contains(given, client.ObjectKeyFromObject(m)) {
			candidates = append(candidates, m)
		}
	}
	if len(candidates) == 0 {
		return nil, nil
	}
	cached, err := account.List(ctx, r.Client)
	if err != nil {
		return nil, err
	}
	naming := map[client.ObjectKey][]account.Object{}
	for _, o := range cached {
		naming[o.CredentialsKey(r.Namespace)] = append(naming[o.CredentialsKey(r.Namespace)], o)
	}
	return slices.DeleteFunc(candidates, func(m *secret) bool {
		return slices.ContainsFunc(naming[client.ObjectKeyFromObject(m)], func(o account.Object) bool { return usable(o, m) })
	}), nil
}

// releaseAfter releases the Secrets of a provider that no longer exists. This also covers a
// provider whose finalizer a user removed.
func (r *Reconciler) releaseAfter(ctx context.Context, gone account.Key) error {
	namespace := gone.Namespace
	if gone.Kind == v1alpha1.KindClusterTokenProvider {
		namespace = r.Namespace
	}
	more, err := r.releaseSecrets(ctx, namespace)
	if err == nil && more {
		return errMoreToRelease
	}
	return err
}

// errMoreToRelease: the reconcile released mostReleased Secrets, and there are more.
var errMoreToRelease = errors.New("more Secrets must be released")

// isOurs reports whether a Secret carries the finalizer or the label that hold sets.
func isOurs(m *secret) bool {
	return controllerutil.ContainsFinalizer(m, v1alpha1.Finalizer) || m.Labels[v1alpha1.LabelManaged] == account.ManagedCredentials
}

// release removes the finalizer and the label of a Secret on condition that it is unchanged
// since it was read. The cache lacks some metadata of other clients, so the patch starts
// from a live read.
func (r *Reconciler) release(ctx context.Context, read *secret) error {
	name := client.ObjectKeyFromObject(read)
	m, err := readSecret(ctx, r.Live, name)
	if err != nil || m == nil || !isOurs(m) {
		return err
	}
	if m.ResourceVersion != read.ResourceVersion {
		return apierrors.NewConflict(corev1.Resource("secrets"), name.String(), errSecretChanged)
	}
	base := m.DeepCopy()
	m.Finalizers = slices.DeleteFunc(m.Finalizers, func(f string) bool { return f == v1alpha1.Finalizer })
	if m.Labels[v1alpha1.LabelManaged] == account.ManagedCredentials {
		delete(m.Labels, v1alpha1.LabelManaged)
	}
	return client.IgnoreNotFound(r.Client.Patch(ctx, m, lockedPatch(base)))
}

var errSecretChanged = errors.New("the Secret was changed after it was read")

// usable reports whether a provider can use the Secret that it names: neither is being
// deleted, or ApiTokens still see the provider as Ready.
func usable(o account.Object, m *secret) bool {
	return !o.Deleting() && (m.DeletionTimestamp == nil || o.Ready())
}

// needs are the providers of a namespace and their users, read live.
type needs struct {
	r         *Reconciler
	providers []account.Object
	// using caches whether a provider has users.
	using map[account.Key]bool
}

// need reports whether a provider needs a Secret: the provider names it and can use it, or
// has credentials to revoke with it. A provider that has credentials to revoke and cannot
// use the Secret that it names now needs every Secret that it may have named before.
func (n *needs) need(ctx context.Context, m *secret) (bool, error) {
	var unsure []account.Object
	for _, o := range n.providers {
		names := o.HasCredentials() && o.CredentialsKey(n.r.Namespace) == client.ObjectKeyFromObject(m)
		if names && usable(o, m) {
			return true, nil
		}
		if names || m.Labels[v1alpha1.LabelManaged] == account.ManagedCredentials && !o.Ready() {
			unsure = append(unsure, o)
		}
	}
	for _, o := range unsure {
		if used, err := n.used(ctx, o.Key()); err != nil || used {
			return true, err
		}
	}
	return false, nil
}

// used reports whether an ApiToken needs a provider. It reads live, once per provider.
func (n *needs) used(ctx context.Context, key account.Key) (bool, error) {
	if used, known := n.using[key]; known {
		return used, nil
	}
	users, err := n.r.liveUsers(ctx, key)
	if err != nil {
		return false, err
	}
	n.using[key] = len(inUse(users)) > 0
	return n.using[key], nil
}

// liveProviders reads live the providers whose minting credentials are in a namespace.
func (r *Reconciler) liveProviders(ctx context.Context, namespace string) ([]account.Object, error) {
	var out []account.Object
	if len(r.Namespaces) == 0 || slices.Contains(r.Namespaces, namespace) {
		page := client.ListOptions{Namespace: namespace, Limit: pageSize}
		for more := true; more; more = page.Continue != "" {
			var list v1alpha1.TokenProviderList
			if err := notServed(r.Live.List(ctx, &list, &page)); err != nil {
				return nil, fmt.Errorf("listing the TokenProviders of %s live: %w", namespace, err)
			}
			for i := range list.Items {
				out = append(out, account.Of(&list.Items[i]))
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
		if err := notServed(r.Live.List(ctx, &list, &page)); err != nil {
			return nil, fmt.Errorf("listing the ClusterTokenProviders live: %w", err)
		}
		for i := range list.Items {
			out = append(out, account.Of(&list.Items[i]))
		}
		page.Continue = list.Continue
	}
	return out, nil
}
