package gitops

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/testutil"
)

const (
	// patience is how long a test waits for something that has to happen.
	patience = testutil.Patience
	// minterToken is the minting credential.
	minterToken = "CANARY-minting-credential"
	// tokenName and storeName are the ApiToken and the provider of a situation.
	tokenName = "training-data"
	storeName = "object-store"
)

// epoch is when every world begins.
var (
	epoch  = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	scheme = newScheme()
	worlds atomic.Int32
)

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	return s
}

// driver is the fake one; like kloudbean it can do without a credentials Secret.
type driver struct{ *fake.Driver }

// CredentialKeys says that no key has to be in the credentials Secret.
func (driver) CredentialKeys() []string { return nil }

// world is one namespace with its own provider, clock and operator.
type world struct {
	*testing.T
	client.Client
	ctx context.Context
	ns  string

	clock    *testutil.Clock
	backend  *fake.Backend
	driver   *fake.Driver
	log      *testutil.Log
	pokes    int
	blocked  atomic.Value // the fake.Verb whose calls wait
	released chan struct{}
	release  func() // lets the calls that wait go on
	stop     func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		T: t, Client: env.Client(scheme), ctx: t.Context(), ns: fmt.Sprintf("world-%d", worlds.Add(1)),
		clock: testutil.NewClock(epoch), log: &testutil.Log{}, released: make(chan struct{}), stop: func() {},
	}
	w.backend = fake.NewBackend(w.clock)
	w.backend.OnCall = func(ctx context.Context, call fake.Call) fake.Fault {
		if verb := w.blocked.Load(); verb == call.Verb && call.Phase == fake.Before {
			select {
			case <-w.released:
			case <-ctx.Done():
			}
		}
		return fake.Fault{}
	}
	w.driver = fake.New(w.backend)
	w.ok(w.Create(w.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.ns, Labels: map[string]string{"tokens": "allowed"}}}))
	w.release = sync.OnceFunc(func() { close(w.released) })
	t.Cleanup(w.release)
	return w
}

// byHand makes the provider one without an API: a person makes its credentials.
func (w *world) byHand() {
	w.driver.Caps.ExpiryEnforcedBy = provider.EnforcedByPerson
	w.driver.Caps.Updates = []provider.Field{provider.FieldAllowedIPs}
	w.driver.ByHandForm = func(req provider.MintRequest) (provider.Form, bool) {
		return provider.Form{
			Where: "Panel > Access Keys > Add", Edit: "Panel > Access Keys > Edit", Revoke: "Panel > Access Keys > Delete",
			Fields: []provider.FormField{{Label: "Bucket", Value: req.Grant.Buckets[0]}},
			Keys:   []string{fake.KeyID, fake.KeySecret},
		}, true
	}
}

// hold makes every call of a verb wait until release, or the end of the test.
func (w *world) hold(verb fake.Verb) { w.blocked.Store(verb) }

// start starts the operator as the binary does.
func (w *world) start() {
	w.Helper()
	drivers, err := registry.New(registry.Entry{
		Driver:   driver{w.driver},
		Settings: func(registry.Spec) (any, bool) { return nil, true }, // whatever block the spec has
	})
	w.ok(err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.ctx))
	mgr, err := operator.New(ctx, env.Config, operator.Options{
		Registry: drivers, Clock: w.clock, Logger: w.log.Logger(0), Namespace: w.ns, Namespaces: []string{w.ns},
		ClusterIdentity: "cluster-under-test", Concurrency: 4, SweepInterval: 1e6 * time.Hour, Shutdown: time.Second,
	})
	w.ok(err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = mgr.Start(ctx) // a call that is held does not end in time
	}()
	w.stop = func() {
		cancel()
		<-ended
	}
	w.Cleanup(w.stop)
}

// ok fails the test on an error.
func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// until waits for something that has to happen: why says why it has not, and
// nothing once it has.
func (w *world) until(why func() string) {
	w.Helper()
	var last string
	err := wait.PollUntilContextTimeout(w.ctx, 50*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = why()
		return last == "", nil
	})
	if err != nil {
		w.Fatalf("%s\n%s", last, w.log.Tail(20))
	}
}

// minter makes the Secret with a minting credential.
func (w *world) minter(token string) {
	w.Helper()
	w.backend.Token = minterToken
	w.ok(w.Create(w.ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "minter"},
		Data:       map[string][]byte{fake.TokenKey: []byte(token)},
	}))
}

func providerSpec() v1alpha1.ProviderSpec {
	return v1alpha1.ProviderSpec{CredentialsSecretRef: v1alpha1.SecretReference{Name: "minter"}, AWS: &v1alpha1.AWSProvider{}}
}

// provider declares a TokenProvider.
func (w *world) provider() client.Object {
	w.Helper()
	p := &v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: storeName}, Spec: providerSpec()}
	w.ok(w.Create(w.ctx, p))
	return p
}

// clusterProvider declares a ClusterTokenProvider, named after the world.
func (w *world) clusterProvider() client.Object {
	w.Helper()
	p := &v1alpha1.ClusterTokenProvider{
		ObjectMeta: metav1.ObjectMeta{Name: w.ns},
		Spec:       v1alpha1.ClusterProviderSpec{ProviderSpec: providerSpec(), AllowedNamespaces: &metav1.LabelSelector{}},
	}
	w.ok(w.Create(w.ctx, p))
	return p
}

// works declares a TokenProvider whose credentials work, and starts the operator.
func (w *world) works() {
	w.Helper()
	w.minter(minterToken)
	w.shows(w.providerStarted(), v1alpha1.ConditionReady, v1alpha1.ReasonReady)
}

func (w *world) providerStarted() client.Object {
	w.Helper()
	p := w.provider()
	w.start()
	return p
}

// token declares an ApiToken.
func (w *world) token(edits ...func(*v1alpha1.ApiToken)) client.Object {
	w.Helper()
	t := &v1alpha1.ApiToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: tokenName},
		Spec: v1alpha1.ApiTokenSpec{
			ProviderRef: v1alpha1.ProviderReference{Name: storeName},
			Scopes:      []v1alpha1.Scope{"objectstorage:object-read-only"},
			Buckets:     []v1alpha1.Bucket{"datasets"},
		},
	}
	for _, edit := range edits {
		edit(t)
	}
	w.ok(w.Create(w.ctx, t))
	return t
}

// issued declares an ApiToken and waits until it is Ready.
func (w *world) issued() client.Object {
	w.Helper()
	return w.shows(w.token(), v1alpha1.ConditionReady, v1alpha1.ReasonReady)
}

// edit changes the ApiToken as a user does, over any conflict.
func (w *world) edit(edit func(*v1alpha1.ApiToken)) client.Object {
	w.Helper()
	t := &v1alpha1.ApiToken{}
	w.until(func() string {
		w.ok(w.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: tokenName}, t))
		edit(t)
		err := w.Update(w.ctx, t)
		if apierrors.IsConflict(err) {
			return err.Error()
		}
		w.ok(err)
		return ""
	})
	return t
}

// poke makes the operator look at the ApiToken, by a change that means nothing to it.
func (w *world) poke() {
	w.Helper()
	w.pokes++
	w.edit(func(t *v1alpha1.ApiToken) {
		metav1.SetMetaDataAnnotation(&t.ObjectMeta, "example.com/poke", fmt.Sprint(w.pokes))
	})
}

// handOver does what a person does: makes a credential at the provider and hands
// it over to the ApiToken. It returns its id.
func (w *world) handOver() string {
	w.Helper()
	keys := w.backend.MakeByHand(provider.Grant{})
	id, secret := keys[fake.KeyID].Reveal(), keys[fake.KeySecret].Reveal() //nolint:forbidigo // a person hands over the keys that the provider showed
	w.handSecret(id, secret)
	return id
}

func (w *world) handSecret(id, secret string) {
	w.Helper()
	w.until(func() string {
		err := w.Create(w.ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: w.ns, Name: tokenName + v1alpha1.HandoverSuffix,
				Labels: map[string]string{v1alpha1.LabelManaged: v1alpha1.ManagedHandover},
			},
			Data: map[string][]byte{fake.KeyID: []byte(id), fake.KeySecret: []byte(secret)},
		})
		if apierrors.IsAlreadyExists(err) {
			return "an earlier handover is still there"
		}
		w.ok(err)
		return ""
	})
}

// seen is the part of a status that a token and a provider have in common.
type seen struct {
	ObservedGeneration int64              `json:"observedGeneration"`
	Conditions         []metav1.Condition `json:"conditions"`
}

// statusOf reads the status of any object.
func statusOf(t *testing.T, u *unstructured.Unstructured) seen {
	t.Helper()
	var s struct {
		Status seen `json:"status"`
	}
	raw, err := yaml.Marshal(u.Object)
	if err == nil {
		err = yaml.Unmarshal(raw, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.Status
}

// live reads an object as a GitOps tool does.
func (w *world) live(o client.Object) *unstructured.Unstructured {
	w.Helper()
	gvk, err := w.GroupVersionKindFor(o)
	w.ok(err)
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(gvk)
	w.ok(w.Get(w.ctx, client.ObjectKeyFromObject(o), u))
	return u
}

// shows waits until a condition has a reason for the present generation, and
// these parts in its message.
func (w *world) shows(o client.Object, kind, reason string, parts ...string) client.Object {
	w.Helper()
	w.until(func() string {
		u := w.live(o)
		s := statusOf(w.T, u)
		c := meta.FindStatusCondition(s.Conditions, kind)
		if c == nil || c.Reason != reason || c.ObservedGeneration != u.GetGeneration() {
			return fmt.Sprintf("%s %s does not show %s %s: %+v", u.GetKind(), u.GetName(), kind, reason, s.Conditions)
		}
		for _, part := range parts {
			if !strings.Contains(c.Message, part) {
				return fmt.Sprintf("%s %s does not say %q: %s", kind, reason, part, c.Message)
			}
		}
		return ""
	})
	return o
}
