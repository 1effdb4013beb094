package tokenprovider

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/connections"
)

// secret is the metadata of a Secret: its values are never read here.
type secret = metav1.PartialObjectMetadata

func secretMetadata() *secret {
	m := &secret{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return m
}

// cachedSecret returns the provider's Secret; nil when the cache does not hold it,
// or the provider names none.
func (r *Reconciler) cachedSecret(ctx context.Context, o connections.Object) (*secret, error) {
	if !o.HasCredentials() {
		return nil, nil
	}
	return readSecret(ctx, r.Client, o.CredentialsKey(r.Namespace))
}

func readSecret(ctx context.Context, reader client.Reader, name client.ObjectKey) (*secret, error) {
	m := secretMetadata()
	if err := reader.Get(ctx, name, m); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading the metadata of Secret %s: %w", name, err)
	}
	return m, nil
}

// hold puts the finalizer and the label on the credentials Secret, so that it
// stays and its changes are seen. It returns nil when there is no Secret, or one
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
	controllerutil.AddFinalizer(m, v1alpha1.Finalizer)
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

// tidy lets Secrets go that this provider kept and needs no longer: those it named
// before, once the present one works, and one that is being deleted and unused,
// once ApiTokens see that the provider is not Ready.
func (r *Reconciler) tidy(ctx context.Context, o connections.Object, found finding, wasReady bool) error {
	if found.err == nil {
		return r.releaseSecrets(ctx, o.CredentialsKey(r.Namespace).Namespace, connections.Key{})
	}
	var deleting *deletingError
	if !errors.As(found.err, &deleting) || wasReady {
		return nil
	}
	users, err := r.liveUsers(ctx, o.Key())
	if err != nil || len(inUse(users)) > 0 {
		return err
	}
	return r.release(ctx, deleting.secret)
}

// releaseSecrets releases the Secrets given and every one that is kept in a
// namespace, unless a provider other than the one that goes names it.
func (r *Reconciler) releaseSecrets(ctx context.Context, namespace string, goes connections.Key, given ...client.ObjectKey) error {
	kept := &metav1.PartialObjectMetadataList{}
	kept.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	err := r.Client.List(ctx, kept, client.InNamespace(namespace),
		client.MatchingLabels{v1alpha1.LabelManaged: connections.ManagedCredentials}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return fmt.Errorf("listing credentials Secrets: %w", err)
	}
	for i := range kept.Items {
		if controllerutil.ContainsFinalizer(&kept.Items[i], v1alpha1.Finalizer) {
			given = append(given, client.ObjectKeyFromObject(&kept.Items[i]))
		}
	}
	needed, err := r.neededSecrets(ctx, goes)
	if err != nil {
		return err
	}
	for _, name := range given {
		if needed[name] {
			continue
		}
		if err := r.release(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// neededSecrets are those that providers name, except the one that goes.
func (r *Reconciler) neededSecrets(ctx context.Context, goes connections.Key) (map[client.ObjectKey]bool, error) {
	all, err := connections.List(ctx, r.Client)
	if err != nil {
		return nil, err
	}
	needed := map[client.ObjectKey]bool{}
	for _, o := range all {
		if o.Key() != goes && o.HasCredentials() {
			needed[o.CredentialsKey(r.Namespace)] = true
		}
	}
	return needed, nil
}

// release takes our finalizer and label off a Secret.
func (r *Reconciler) release(ctx context.Context, name client.ObjectKey) error {
	m, err := readSecret(ctx, r.Live, name)
	if err != nil || m == nil {
		return err
	}
	base := m.DeepCopy()
	changed := controllerutil.RemoveFinalizer(m, v1alpha1.Finalizer)
	if m.Labels[v1alpha1.LabelManaged] == connections.ManagedCredentials {
		delete(m.Labels, v1alpha1.LabelManaged)
		changed = true
	}
	if !changed {
		return nil
	}
	return client.IgnoreNotFound(r.Client.Patch(ctx, m, lockedPatch(base)))
}
