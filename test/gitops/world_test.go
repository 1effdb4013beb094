package gitops

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/testutil"
)

const (
	// tokenName and storeName are the ApiToken and the provider of a situation.
	tokenName = "training-data"
	storeName = "object-store"
)

// epoch is the start time of every world's clock.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// driver is the fake driver. Like kloudbean it needs no credentials Secret.
type driver struct{ *fake.Driver }

// CredentialKeys returns no keys: the credentials Secret can be empty.
func (driver) CredentialKeys() []string { return nil }

// world is one namespace with its own provider, clock and operator.
type world struct {
	*kit.Kit
	ns string

	clock    *testutil.Clock
	backend  *fake.Backend
	driver   *fake.Driver
	log      *testutil.Log
	pokes    int
	blocked  atomic.Value // the fake.Verb whose calls wait
	released chan struct{}
	release  func() // continues the calls that wait
	stop     func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Kit: kit.New(t, env), clock: testutil.NewClock(epoch), log: &testutil.Log{}, released: make(chan struct{}), stop: func() {}}
	w.Dump = func() string { return w.log.Tail(20) }
	w.ns = w.Namespace("world", map[string]string{"tokens": "allowed"})
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
	w.release = sync.OnceFunc(func() { close(w.released) })
	t.Cleanup(w.release)
	return w
}

// withoutAPI makes the provider one without an API, with manual credentials.
func (w *world) withoutAPI() {
	w.driver.Caps.ExpiryEnforcedBy = provider.EnforcedByUser
	w.driver.Caps.Updates = []provider.Field{provider.FieldAllowedIPs}
	w.driver.ManualForm = func(req provider.MintRequest) (provider.Form, bool) {
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
		Settings: func(registry.Spec) (any, bool) { return nil, true }, // any block
	})
	w.OK(err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	mgr, err := operator.New(ctx, env.Config, operator.Options{
		Registry: drivers, Clock: w.clock, Logger: w.log.Logger(0), Namespace: w.ns, Namespaces: []string{w.ns},
		ClusterIdentity: "cluster-under-test", Concurrency: 4, SweepInterval: 1e6 * time.Hour, Shutdown: time.Second,
	})
	w.OK(err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = mgr.Start(ctx) // a blocked call does not end in time
	}()
	w.stop = func() {
		cancel()
		<-ended
	}
	w.Cleanup(w.stop)
}

// minter creates the Secret with the minting credentials.
func (w *world) minter(token string) {
	w.Helper()
	w.backend.Token = kit.MinterToken
	w.ExpectApplied(kit.Minter(w.ns, token))
}

// provider declares a TokenProvider.
func (w *world) provider() client.Object {
	w.Helper()
	p := kit.TokenProvider(w.ns, storeName)
	p.Spec.AWS.Region = ""
	w.ExpectApplied(p)
	return p
}

// clusterProvider declares a ClusterTokenProvider, named after the world.
func (w *world) clusterProvider() client.Object {
	w.Helper()
	p := kit.ClusterTokenProvider(w.ns, nil)
	p.Spec.AWS.Region = ""
	w.ExpectApplied(p)
	return p
}

// works declares a TokenProvider whose credentials work, and starts the operator.
func (w *world) works() client.Object {
	w.Helper()
	w.minter(kit.MinterToken)
	return w.shows(w.providerStarted(), v1alpha1.ConditionReady, v1alpha1.ReasonReady)
}

// worksWithoutAPI is works with a provider without an API.
func (w *world) worksWithoutAPI() {
	w.Helper()
	w.withoutAPI()
	w.works()
}

// handedOver declares an ApiToken at a provider without an API, submits a credential and
// waits until the ApiToken is Ready.
func (w *world) handedOver() client.Object {
	w.Helper()
	w.worksWithoutAPI()
	t := w.token()
	w.handOver()
	return w.shows(t, v1alpha1.ConditionReady, v1alpha1.ReasonReady)
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
	t := kit.ApiToken(w.ns, tokenName, v1alpha1.ProviderReference{Name: storeName}, edits...)
	w.ExpectApplied(t)
	return t
}

// issued declares an ApiToken and waits until it is Ready.
func (w *world) issued() client.Object {
	w.Helper()
	return w.shows(w.token(), v1alpha1.ConditionReady, v1alpha1.ReasonReady)
}

// edit changes the ApiToken as a user does, and retries conflicts.
func (w *world) edit(edit func(*v1alpha1.ApiToken)) client.Object {
	w.Helper()
	t := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: tokenName}}
	kit.Change(w.Kit, t, edit)
	return t
}

// poke makes the operator reconcile the ApiToken, by a change that has no meaning to it.
func (w *world) poke() {
	w.Helper()
	w.pokes++
	w.edit(func(t *v1alpha1.ApiToken) {
		metav1.SetMetaDataAnnotation(&t.ObjectMeta, "example.com/poke", fmt.Sprint(w.pokes))
	})
}

// handOver creates a manual credential at the provider and submits it, as a user does. It
// returns the id of the credential.
func (w *world) handOver() string {
	w.Helper()
	keys := w.backend.MakeManual(provider.Grant{})
	id, secret := keys[fake.KeyID].Reveal(), keys[fake.KeySecret].Reveal() //nolint:forbidigo // a user submits the keys that the provider showed
	w.handSecret(id, secret)
	return id
}

func (w *world) handSecret(id, secret string) {
	w.Helper()
	w.Until(func() string {
		err := w.Create(w.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: w.ns, Name: tokenName + v1alpha1.HandoverSuffix,
				Labels: map[string]string{v1alpha1.LabelManaged: v1alpha1.ManagedHandover},
			},
			Data: map[string][]byte{fake.KeyID: []byte(id), fake.KeySecret: []byte(secret)},
		})
		if apierrors.IsAlreadyExists(err) {
			return "an earlier handover is still there"
		}
		w.OK(err)
		return ""
	})
}

// seen is the part of the status that ApiTokens and providers share.
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

// live reads an object from the API server, as a GitOps tool does.
func (w *world) live(o client.Object) *unstructured.Unstructured {
	w.Helper()
	gvk, err := w.GroupVersionKindFor(o)
	w.OK(err)
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(gvk)
	w.OK(w.Get(w.Context(), client.ObjectKeyFromObject(o), u))
	return u
}

// shows waits until a condition has this reason at the current generation, and these parts
// in its message.
func (w *world) shows(o client.Object, kind, reason string, parts ...string) client.Object {
	w.Helper()
	live, _ := o.DeepCopyObject().(client.Object) // the caller keeps what it declared
	w.ExpectCondition(live, kit.Condition{Type: kind, Reason: reason, Says: parts})
	return o
}
