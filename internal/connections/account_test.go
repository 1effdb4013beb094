package connections

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
)

// newAccountWorld returns a world whose backend accepts any credentials, and whose drivers
// take their server from the region. With the prefix "declared", the declaration names the
// account.
func newAccountWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.backend.Token = ""
	w.pool = w.newPool(false)
	return w
}

// newPool returns the pool of a process that has just started.
func (w *world) newPool(limited bool) *Pool {
	w.Helper()
	driver := fake.New(w.backend)
	if limited {
		driver.Caps.MaxLive = 2
	}
	driver.At = func(cfg provider.Config) provider.Server {
		region, _ := cfg.Settings.(string)
		return provider.Server{Host: region, Declared: strings.HasPrefix(region, "declared")}
	}
	drivers, err := registry.New(registry.Entry{Driver: driver,
		Settings: func(s registry.Spec) (any, bool) { return s.AWS.Region, s.AWS != nil }})
	w.OK(err)
	return NewPool(Options{Reader: only{w.Client, w.key.Namespace}, Live: w.Client, Registry: drivers, Namespace: w.key.Namespace, Cluster: "cluster"})
}

// add creates a provider with its own minting credentials.
func (w *world) add(kind v1alpha1.ProviderKind, namespace, name, region, credential string) account.Key {
	w.Helper()
	key := account.Key{Kind: kind, Namespace: namespace, Name: name}
	secretNamespace := namespace
	if kind == v1alpha1.KindClusterTokenProvider {
		key.Name = w.key.Namespace + "-" + name
		secretNamespace = w.key.Namespace
	}
	w.ExpectApplied(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: secretNamespace, Name: name},
		Data: map[string][]byte{fake.TokenKey: []byte(credential)}})
	spec := v1alpha1.ProviderSpec{CredentialsSecretRef: v1alpha1.SecretReference{Name: name}, AWS: &v1alpha1.AWSProvider{Region: region}}
	if kind == v1alpha1.KindClusterTokenProvider {
		w.ExpectApplied(&v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: key.Name},
			Spec: v1alpha1.ClusterProviderSpec{ProviderSpec: spec}})
		return key
	}
	w.ExpectApplied(&v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: spec})
	return key
}

func (w *world) connected(key account.Key) Connection {
	w.Helper()
	c, err := w.viaConnect(w.Context(), key)
	w.OK(err)
	return c
}

// TestNoProviderClaimsAnAccount: the backend answers the same account to everyone.
func TestNoProviderClaimsAnAccount(t *testing.T) {
	w := newAccountWorld(t)
	victim, hostile := w.key.Namespace, w.Namespace("hostile", nil)
	const own, other = v1alpha1.KindTokenProvider, v1alpha1.KindClusterTokenProvider
	keys := map[string]account.Key{
		"victim":            w.add(own, victim, "victim", "declared", "secret"),
		"same credentials":  w.add(own, hostile, "same", "declared", "secret"),
		"claims it":         w.add(own, hostile, "claims", "declared", "stolen-nothing"),
		"shared by cluster": w.add(other, "", "cluster", "declared", "secret"),
		"named by a server": w.add(own, victim, "named", "server", "one"),
		"another minter":    w.add(own, hostile, "minter", "server", "two"),
		"another server":    w.add(own, hostile, "server", "evil", "one"),
		"server of cluster": w.add(other, "", "served", "server", "three"),
	}
	identity, minter := map[string]account.Identity{}, map[string]account.MinterIdentity{}
	for name, key := range keys {
		c := w.connected(key)
		identity[name], minter[name] = c.AccountKey, c.MinterKey
		if c.Account.ID != fake.DefaultAccount {
			t.Fatalf("%s got account %s", name, c.Account.ID)
		}
	}
	want := map[string]string{
		"victim": "A", "same credentials": "A", "claims it": "B", "shared by cluster": "C",
		"named by a server": "D", "another minter": "D", "another server": "E", "server of cluster": "D",
	}
	for a := range want {
		for b := range want {
			if same := identity[a] == identity[b]; same != (want[a] == want[b]) {
				t.Errorf("%s and %s have the same account: %t", a, b, same)
			}
		}
	}
	if minter["victim"] != minter["same credentials"] || minter["named by a server"] == minter["another minter"] {
		t.Error("the minter does not follow the credentials")
	}
	for name, wanted := range map[string]int{"victim": 2, "claims it": 1, "named by a server": 3, "another server": 1} {
		same, _, err := w.pool.Sharing(t.Context(), keys[name])
		if err != nil || len(same) != wanted || same[0] != keys[name] {
			t.Errorf("%s shares with %v: %v", name, same, err)
		}
	}
}

// TestDeclaredAccountWithoutCredentialsIsNotShared: without credentials nothing proves that
// two namespaces have the same account.
func TestDeclaredAccountWithoutCredentialsIsNotShared(t *testing.T) {
	w := newAccountWorld(t)
	driver := bare{fake.New(w.backend)}
	driver.At = func(provider.Config) provider.Server { return provider.Server{Host: "h", Declared: true} }
	in := func(namespace string) account.Identity {
		o := account.Of(&v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"}})
		key, _ := w.pool.accounts.keys(t.Context(), o, driver, provider.Config{}, "acct")
		return key
	}
	if first, again := in("a"), in("a"); first != again || first == in("b") {
		t.Error("the namespace is not part of the account")
	}
}

// bare is a driver without minting credentials.
type bare struct{ *fake.Driver }

func (bare) CredentialKeys() []string { return nil }

// TestAccountsFollowAnswers: the last answer of a server counts. A failed attempt changes
// nothing, and a deleted provider is forgotten.
func TestAccountsFollowAnswers(t *testing.T) {
	w := newAccountWorld(t)
	a := w.add(v1alpha1.KindTokenProvider, w.key.Namespace, "a", "server", "a")
	b := w.add(v1alpha1.KindTokenProvider, w.key.Namespace, "b", "server", "b")
	first := w.facts(a, a.Namespace).AccountKey
	if first == w.facts(b, b.Namespace).AccountKey {
		t.Error("two accounts that no server has named are the same")
	}
	w.connected(a)
	w.connected(b)
	shared := w.facts(a, a.Namespace).AccountKey
	if shared == first || shared != w.facts(b, b.Namespace).AccountKey {
		t.Error("the account is not what the server answered")
	}
	w.backend.Script(fake.Connect, fake.Fault{Kind: fake.InDoubt})
	if _, err := w.viaHealthCheck(t.Context(), a); err == nil {
		t.Fatal("no error")
	}
	w.pool.Forget(a)
	if w.facts(a, a.Namespace).AccountKey != shared {
		t.Error("a failed attempt changed the account")
	}
	w.backend.UseAccount("another")
	if _, err := w.viaHealthCheck(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if same, _, _ := w.pool.Sharing(t.Context(), b); !slices.Equal(same, []account.Key{b}) {
		t.Errorf("after the account of the other changed: %v", same)
	}
	w.pool.Drop(a)
	w.pool.Drop(b)
	if n := len(w.pool.accounts.of) + len(w.pool.accounts.having); n != 0 {
		t.Errorf("%d entries are left of providers that are gone", n)
	}
}

// TestAccountsAreNotTakenFromAStatus: after a restart only status.account is known, which
// is not compared. Until the other providers of the server have answered, it is not settled
// which providers share the account.
func TestAccountsAreNotTakenFromAStatus(t *testing.T) {
	w := newAccountWorld(t)
	victim := w.add(v1alpha1.KindTokenProvider, w.key.Namespace, "victim", "server", "a")
	peer := w.add(v1alpha1.KindTokenProvider, w.key.Namespace, "peer", "server", "b")
	elsewhere := w.add(v1alpha1.KindTokenProvider, w.key.Namespace, "elsewhere", "evil", "c")
	for _, key := range []account.Key{victim, peer, elsewhere} {
		w.record(key)
	}
	w.pool = w.newPool(true)
	if w.facts(victim, victim.Namespace).AccountKey == w.facts(elsewhere, elsewhere.Namespace).AccountKey {
		t.Error("a status was believed")
	}
	settled := func(key account.Key, want bool) {
		t.Helper()
		_, got, err := w.pool.Sharing(t.Context(), key)
		if err != nil || got != want {
			t.Errorf("settled %t, want %t: %v", got, want, err)
		}
	}
	w.connected(victim)
	settled(victim, false)
	settled(elsewhere, true)
	w.backend.Script(fake.Connect, fake.Fault{Kind: fake.Reject})
	if _, err := w.viaConnect(t.Context(), peer); err == nil {
		t.Fatal("no error")
	}
	settled(victim, true) // the attempt failed, and its controller reports why
	w.connected(elsewhere)
	settled(victim, true)
	if !w.pool.accounts.allTried() {
		t.Error("it is still asked who has been tried")
	}
}

// record makes a provider Ready, as an earlier process left it.
func (w *world) record(key account.Key) {
	w.Helper()
	p := &v1alpha1.TokenProvider{}
	w.OK(w.Get(w.Context(), key.ObjectKey(), p))
	w.Merge(p, func() { p.Finalizers = []string{v1alpha1.Finalizer} })
	p.Status.Account = fake.DefaultAccount
	meta.SetStatusCondition(&p.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue,
		Reason: v1alpha1.ReasonReady, ObservedGeneration: p.Generation})
	w.OK(w.Status().Update(w.Context(), p))
}

// TestKeysOfAccountsShowNothing: they are hashes, so no verb of fmt prints a value.
func TestKeysOfAccountsShowNothing(t *testing.T) {
	w := newAccountWorld(t)
	c := w.connected(w.add(v1alpha1.KindTokenProvider, w.key.Namespace, "a", "declared", "CANARY"))
	for _, verb := range []string{"%v", "%s", "%x", "%+v"} {
		if text := fmt.Sprintf(verb, c.AccountKey) + fmt.Sprintf(verb, c.MinterKey); strings.Contains(text, "CANARY") || strings.Contains(text, "434e4152") {
			t.Errorf("%s shows a credential", verb)
		}
	}
}
