package tokenprovider

import (
	"context"
	"os"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/testenv"
)

var env *testenv.Env

func TestMain(m *testing.M) { os.Exit(testenv.Main(m, &env)) }

// keyed is the fake driver, which names the key that it needs.
type keyed struct{ *fake.Driver }

func (keyed) CredentialKeys() []string { return []string{fake.TokenKey} }

// keyless is the fake driver under another name, without minting credentials.
type keyless struct{ *fake.Driver }

func (keyless) Type() string { return "keyless" }

func (keyless) CredentialKeys() []string { return nil }

// world is the namespace of one test, which is also the operator's, and its provider.
type world struct {
	*kit.Kit
	backend   *fake.Backend
	registry  *registry.Registry
	namespace string
	// pool of the running controllers.
	pool *connections.Pool
	// connecting is the fault of every Connect.
	connecting atomic.Pointer[fake.Fault]
	// stale: the cache shows no ApiToken.
	stale atomic.Bool
}

// connects makes every check of credentials fail until the next call. The operator retries,
// so a test may not see a fault that occurs once.
func (w *world) connects(f fake.Fault) { w.connecting.Store(&f) }

func (w *world) onCall(_ context.Context, call fake.Call) fake.Fault {
	if f := w.connecting.Load(); f != nil && call.Verb == fake.Connect && call.Phase == fake.Before {
		return *f
	}
	return fake.Fault{}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Kit: kit.New(t, env), backend: fake.NewBackend(clock.NewReal())}
	w.namespace = w.Namespace("provider", nil)
	w.backend.Token, w.backend.OnCall = "good", w.onCall
	var err error
	w.registry, err = registry.New(registry.Entry{Driver: keyed{fake.New(w.backend)}, Settings: func(s registry.Spec) (any, bool) {
		return nil, s.AWS != nil && s.AWS.Region != "driverless"
	}}, registry.Entry{Driver: keyless{fake.New(w.backend)}, Settings: func(s registry.Spec) (any, bool) {
		return nil, s.KloudBean != nil
	}})
	w.OK(err)
	return w
}

func (w *world) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: w.namespace, Name: name}
}

func (w *world) secret(name, token string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: w.meta(name), Data: map[string][]byte{fake.TokenKey: []byte(token)}}
	w.ExpectApplied(s)
	return s
}

func spec(secret string) v1alpha1.ProviderSpec {
	s := kit.ProviderSpec()
	s.CredentialsSecretRef.Name = secret
	return s
}

func (w *world) provider(name, secret string) account.Key {
	w.ExpectApplied(&v1alpha1.TokenProvider{ObjectMeta: w.meta(name), Spec: spec(secret)})
	return account.Key{Kind: v1alpha1.KindTokenProvider, Namespace: w.namespace, Name: name}
}

// token creates an ApiToken as the operator leaves it: with the finalizer and a ledger
// entry for each credential.
func (w *world) token(name string, key account.Key, credentials ...string) *v1alpha1.ApiToken {
	token := &v1alpha1.ApiToken{ObjectMeta: w.meta(name), Spec: v1alpha1.ApiTokenSpec{
		ProviderRef: v1alpha1.ProviderReference{Kind: key.Kind, Name: key.Name},
		Scopes:      []v1alpha1.Scope{"billing:read-only"},
	}}
	token.Finalizers = []string{v1alpha1.Finalizer}
	w.ExpectApplied(token)
	w.ledger(token, credentials...)
	return token
}

func (w *world) ledger(token *v1alpha1.ApiToken, credentials ...string) {
	w.Helper()
	w.backend.Hold(credentials...)
	token.Status.Credentials = nil
	for _, name := range credentials {
		token.Status.Credentials = append(token.Status.Credentials,
			v1alpha1.LedgerEntry{Name: name, State: v1alpha1.StateActive, Account: fake.DefaultAccount})
	}
	w.OK(w.Status().Update(w.Context(), token))
}

// drop removes an ApiToken's finalizer and deletes it, as the operator does after its
// deletion.
func (w *world) drop(token *v1alpha1.ApiToken) {
	w.Helper()
	w.ExpectDeleted(token)
	w.Merge(token, func() { token.Finalizers = nil })
}

func (w *world) get(key account.Key) account.Object {
	w.Helper()
	o, err := account.Get(w.Context(), w.Client, key)
	if err != nil {
		w.Fatal(err)
	}
	return o
}

// condition waits until a condition has a status and reason.
func (w *world) condition(key account.Key, kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
	w.Helper()
	o := account.NewObject(key.Kind).Raw
	o.SetNamespace(key.Namespace)
	o.SetName(key.Name)
	return w.ExpectCondition(o, kit.Condition{Type: kind, Status: status, Reason: reason})
}

func (w *world) ready(key account.Key) {
	w.Helper()
	w.condition(key, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}
