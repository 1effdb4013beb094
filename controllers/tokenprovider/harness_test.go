package tokenprovider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/testenv"
	"apitoken.dev/operator/test/support/testutil"
)

var env *testenv.Env

func TestMain(m *testing.M) { os.Exit(testenv.Main(m, &env)) }

// keyed is the fake driver, naming the key it needs.
type keyed struct{ *fake.Driver }

func (keyed) CredentialKeys() []string { return []string{fake.TokenKey} }

// keyless is the fake driver under another name, which needs no credentials.
type keyless struct{ *fake.Driver }

func (keyless) Type() string { return "keyless" }

func (keyless) CredentialKeys() []string { return nil }

// world is one test's namespace, which is the operator's too, and its provider.
type world struct {
	t         *testing.T
	c         client.Client
	scheme    *runtime.Scheme
	backend   *fake.Backend
	registry  *registry.Registry
	namespace string
	// pool of the controllers that run.
	pool *connections.Pool
	// connecting is the fault of every Connect, until it is replaced.
	connecting atomic.Pointer[fake.Fault]
	// stale: the cache shows no ApiToken.
	stale atomic.Bool
}

// connects makes every check of credentials end in a fault until the next call. The
// operator retries by itself, so a fault that passes may be over before a test sees it.
func (w *world) connects(f fake.Fault) { w.connecting.Store(&f) }

func (w *world) onCall(_ context.Context, call fake.Call) fake.Fault {
	if f := w.connecting.Load(); f != nil && call.Verb == fake.Connect && call.Phase == fake.Before {
		return *f
	}
	return fake.Fault{}
}

var worlds atomic.Int32

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, scheme: runtime.NewScheme(), backend: fake.NewBackend(clock.NewReal()), namespace: fmt.Sprintf("w%d", worlds.Add(1))}
	w.backend.Token, w.backend.OnCall = "good", w.onCall
	if err := errors.Join(corev1.AddToScheme(w.scheme), v1alpha1.AddToScheme(w.scheme)); err != nil {
		t.Fatal(err)
	}
	w.c = env.Client(w.scheme)
	var err error
	w.registry, err = registry.New(registry.Entry{Driver: keyed{fake.New(w.backend)}, Settings: func(s registry.Spec) (any, bool) {
		return nil, s.AWS != nil && s.AWS.Region != "driverless"
	}}, registry.Entry{Driver: keyless{fake.New(w.backend)}, Settings: func(s registry.Spec) (any, bool) {
		return nil, s.KloudBean != nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}})
	return w
}

func (w *world) create(o client.Object) {
	w.t.Helper()
	if err := w.c.Create(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: w.namespace, Name: name}
}

func (w *world) secret(name, token string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: w.meta(name), Data: map[string][]byte{fake.TokenKey: []byte(token)}}
	w.create(s)
	return s
}

func spec(secret string) v1alpha1.ProviderSpec {
	return v1alpha1.ProviderSpec{CredentialsSecretRef: v1alpha1.SecretReference{Name: secret}, AWS: &v1alpha1.AWSProvider{Region: "us-east-1"}}
}

func (w *world) provider(name, secret string) account.Key {
	w.create(&v1alpha1.TokenProvider{ObjectMeta: w.meta(name), Spec: spec(secret)})
	return account.Key{Kind: v1alpha1.KindTokenProvider, Namespace: w.namespace, Name: name}
}

// token creates an ApiToken as the operator keeps it: with the finalizer and so many ledger entries.
func (w *world) token(name string, key account.Key, credentials ...string) *v1alpha1.ApiToken {
	token := &v1alpha1.ApiToken{ObjectMeta: w.meta(name), Spec: v1alpha1.ApiTokenSpec{
		ProviderRef: v1alpha1.ProviderReference{Kind: key.Kind, Name: key.Name},
		Scopes:      []v1alpha1.Scope{"billing:read-only"},
	}}
	token.Finalizers = []string{v1alpha1.Finalizer}
	w.create(token)
	w.ledger(token, credentials...)
	return token
}

func (w *world) ledger(token *v1alpha1.ApiToken, credentials ...string) {
	w.t.Helper()
	w.backend.Hold(credentials...)
	token.Status.Credentials = nil
	for _, name := range credentials {
		token.Status.Credentials = append(token.Status.Credentials,
			v1alpha1.LedgerEntry{Name: name, State: v1alpha1.StateActive, Account: fake.DefaultAccount})
	}
	if err := w.c.Status().Update(w.t.Context(), token); err != nil {
		w.t.Fatal(err)
	}
}

// drop takes an ApiToken's finalizer off and deletes it, as the operator does at the end.
func (w *world) drop(token *v1alpha1.ApiToken) {
	w.t.Helper()
	w.delete(token)
	w.patch(token, func() { token.Finalizers = nil })
}

func (w *world) patch(o client.Object, change func()) {
	w.t.Helper()
	base, _ := o.DeepCopyObject().(client.Object)
	change()
	if err := w.c.Patch(w.t.Context(), o, client.MergeFrom(base)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) delete(o client.Object) {
	w.t.Helper()
	if err := w.c.Delete(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get(key account.Key) account.Object {
	w.t.Helper()
	o, err := account.Get(w.t.Context(), w.c, key)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// eventually repeats a check until it holds.
func (w *world) eventually(check func() error) {
	w.t.Helper()
	c := clock.NewReal()
	var err error
	for c.Monotonic() < testutil.Patience {
		if err = check(); err == nil {
			return
		}
		if c.Sleep(w.t.Context(), 20*time.Millisecond) != nil {
			break
		}
	}
	w.t.Fatal(err)
}

// condition waits until a condition has a status and reason.
func (w *world) condition(key account.Key, kind string, status metav1.ConditionStatus, reason string) *metav1.Condition {
	w.t.Helper()
	var found *metav1.Condition
	w.eventually(func() error {
		o, err := account.Get(w.t.Context(), w.c, key)
		if err != nil {
			return err
		}
		found = meta.FindStatusCondition(o.Status.Conditions, kind)
		if found == nil || found.Status != status || found.Reason != reason || found.ObservedGeneration != o.GetGeneration() {
			return fmt.Errorf("%s of %s is %+v, want %s %s", kind, key, o.Status.Conditions, status, reason)
		}
		return nil
	})
	return found
}

func (w *world) ready(key account.Key) {
	w.t.Helper()
	w.condition(key, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// gone waits until an object is no more.
func (w *world) gone(o client.Object) {
	w.t.Helper()
	w.eventually(func() error {
		err := w.c.Get(w.t.Context(), client.ObjectKeyFromObject(o), o)
		if err == nil {
			return fmt.Errorf("%s is still there", o.GetName())
		}
		return client.IgnoreNotFound(err)
	})
}
