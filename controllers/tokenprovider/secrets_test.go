package tokenprovider

import (
	"context"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/test/support/fake"
)

// TestSharedSecretStaysForTheProviderInUse: of two providers that share a deleted Secret,
// the one without credentials to revoke does not release it.
func TestSharedSecretStaysForTheProviderInUse(t *testing.T) {
	w := newWorld(t)
	w.run(clock.NewReal())
	secret := w.secret("minter", "good")
	used, idle := w.provider("used", "minter"), w.provider("idle", "minter")
	token := w.token("t", used, "one")
	w.ready(used)
	w.ready(idle)

	w.ExpectDeleted(secret)
	for _, key := range []account.Key{used, idle} {
		w.condition(key, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonCredentialsMissing)
	}
	// After every check, the reconcile releases Secrets.
	w.checked(6)
	w.holds(secret)

	// The provider that needs the Secret is deleted too.
	p := &v1alpha1.TokenProvider{ObjectMeta: w.meta("used")}
	w.ExpectDeleted(p)
	w.condition(used, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInUse)
	q := &v1alpha1.TokenProvider{ObjectMeta: w.meta("idle")}
	w.ExpectDeleted(q)
	w.ExpectGone(q)
	w.holds(secret)
	w.drop(token)
	w.ExpectGone(p)
	w.ExpectGone(secret)
}

// checked waits for this number of further checks.
func (w *world) checked(more int) {
	w.Helper()
	before := w.backend.Count(fake.Connect)
	w.Eventually(func() error {
		if n := w.backend.Count(fake.Connect) - before; n < more {
			return fmt.Errorf("%d checks, want %d", n, more)
		}
		return nil
	})
}

// holds checks that a Secret exists and carries the operator's finalizer.
func (w *world) holds(secret *corev1.Secret) {
	w.Helper()
	if err := w.Get(w.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		w.Fatalf("the Secret is gone while a credential needs it: %v", err)
	}
	if !slices.Contains(secret.Finalizers, v1alpha1.Finalizer) {
		w.Fatalf("the Secret has the finalizers %v", secret.Finalizers)
	}
}

// released waits until a Secret carries neither finalizer nor label of a provider.
func (w *world) released(secret *corev1.Secret) {
	w.Helper()
	w.Eventually(func() error {
		if err := w.Get(w.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
			return err
		}
		if isOurs(&metav1.PartialObjectMetadata{ObjectMeta: secret.ObjectMeta}) {
			return fmt.Errorf("finalizers %v, labels %v", secret.Finalizers, secret.Labels)
		}
		return nil
	})
}

// TestSecretThatNoProviderNamesIsReleased: it loses finalizer and label, also if it has
// another label of the operator.
func TestSecretThatNoProviderNamesIsReleased(t *testing.T) {
	for name, labels := range map[string]map[string]string{
		"credentials": {"team": "ml"},
		"published":   {"team": "ml", v1alpha1.LabelManaged: "true"},
		"handover":    {"team": "ml", v1alpha1.LabelManaged: v1alpha1.ManagedHandover},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.run(clock.NewReal())
			first := &corev1.Secret{ObjectMeta: w.meta("first"), Data: map[string][]byte{fake.TokenKey: []byte("good")}}
			first.Labels, first.Finalizers = labels, []string{"example.com/theirs"}
			w.ExpectApplied(first)
			w.secret("second", "good")
			key := w.provider("p", "first")
			w.ready(key)
			w.Eventually(func() error {
				if err := w.Get(t.Context(), client.ObjectKeyFromObject(first), first); err != nil || len(first.Finalizers) != 2 {
					return fmt.Errorf("the finalizers are %v: %w", first.Finalizers, err)
				}
				return nil
			})
			if want := labels[v1alpha1.LabelManaged]; want != "" && first.Labels[v1alpha1.LabelManaged] != want {
				t.Errorf("the labels are %v: a Secret with another label of the operator keeps it", first.Labels)
			}

			p := &v1alpha1.TokenProvider{ObjectMeta: w.meta("p")}
			if err := w.Get(t.Context(), key.ObjectKey(), p); err != nil {
				t.Fatal(err)
			}
			w.Merge(p, func() { p.Spec.CredentialsSecretRef.Name = "second" })
			w.released(first)
			if !slices.Equal(first.Finalizers, []string{"example.com/theirs"}) || first.Labels["team"] != "ml" ||
				first.Labels[v1alpha1.LabelManaged] != labels[v1alpha1.LabelManaged] {
				t.Errorf("finalizers %v, labels %v, want those of other clients unchanged: %v", first.Finalizers, first.Labels, labels)
			}
			w.ready(key)
		})
	}
}

// TestFormerSecretStaysUntilTheNewOneWorks: while there are credentials to revoke and the
// new Secret does not work, a user can return to the former Secret.
func TestFormerSecretStaysUntilTheNewOneWorks(t *testing.T) {
	w := newWorld(t)
	w.run(clock.NewReal())
	first := w.secret("first", "good")
	second := w.secret("second", "bad")
	key, other := w.provider("p", "first"), w.provider("other", "first")
	w.token("t", key, "one")
	w.ready(key)
	w.ready(other)
	for _, name := range []string{"p", "other"} {
		p := &v1alpha1.TokenProvider{}
		if err := w.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, p); err != nil {
			t.Fatal(err)
		}
		w.Merge(p, func() { p.Spec.CredentialsSecretRef.Name = "second" })
	}
	w.condition(key, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonCredentialsRejected)
	w.ExpectDeleted(first)
	w.checked(4)
	w.holds(first)
	w.Merge(second, func() { second.Data = map[string][]byte{fake.TokenKey: []byte("good")} })
	w.ready(key)
	w.ExpectGone(first)
}

// counting counts live reads.
type counting struct {
	client.Reader
	n int
}

func (c *counting) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	c.n++
	return c.Reader.Get(ctx, key, o, opts...)
}

func (c *counting) List(ctx context.Context, o client.ObjectList, opts ...client.ListOption) error {
	c.n++
	return c.Reader.List(ctx, o, opts...)
}

// TestManyLabelledSecretsCostLittle: anyone who can edit Secrets can put the operator's
// label on many. One reconcile reads the providers and their users once for all of them,
// and releases a limited number.
func TestManyLabelledSecretsCostLittle(t *testing.T) {
	w := newWorld(t)
	key := w.provider("broken", "missing")
	token := w.token("t", key, "one")
	for i := range mostReleased + 5 {
		s := &corev1.Secret{ObjectMeta: w.meta(fmt.Sprintf("s%d", i))}
		s.Labels = map[string]string{v1alpha1.LabelManaged: account.ManagedCredentials}
		w.ExpectApplied(s)
	}
	live := &counting{Reader: w.Client}
	r := &Reconciler{Kind: v1alpha1.KindTokenProvider, Client: w.Client, Live: live, Namespace: "elsewhere"}
	release := func(wantMore bool) {
		t.Helper()
		if more, err := r.releaseSecrets(t.Context(), w.namespace); err != nil || more != wantMore {
			t.Fatalf("got %t, %v, want %t", more, err, wantMore)
		}
	}
	release(false)
	if live.n > 2 {
		t.Errorf("%d requests to find that no Secret can be released, want one for the providers and one for their users", live.n)
	}
	w.drop(token)
	release(true)
	release(false)
	live.n = 0
	release(false)
	if live.n > 0 {
		t.Errorf("%d requests, and no Secret is held", live.n)
	}
}

// TestSecretIsReleasedAfterAUserRemovedTheFinalizer: that provider was gone before it could
// release its Secret.
func TestSecretIsReleasedAfterAUserRemovedTheFinalizer(t *testing.T) {
	w := newWorld(t)
	secret := w.secret("minter", "good")
	stop, _ := w.run(clock.NewReal())
	key := w.provider("p", "minter")
	w.ready(key)
	w.holds(secret)
	p := &v1alpha1.TokenProvider{}
	if err := w.Get(t.Context(), key.ObjectKey(), p); err != nil {
		t.Fatal(err)
	}
	stop() // it must not release the Secret as for any other deletion
	w.Merge(p, func() { p.Finalizers = nil })
	w.ExpectDeleted(p)
	r := &Reconciler{Kind: v1alpha1.KindTokenProvider, Client: w.Client, Live: w.Client, Pool: w.pool,
		Places: places.New(clock.NewReal(), places.Limits{}), Namespace: w.namespace}
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: key.ObjectKey()}); err != nil {
		t.Fatal(err)
	}
	w.released(secret)
}
