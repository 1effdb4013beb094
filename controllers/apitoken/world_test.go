package apitoken_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/testutil"
)

const (
	// identity is the identity of the cluster in the credential names of these tests.
	identity = "cluster-under-test"
	// storeName is the default provider.
	storeName = "store"
)

var (
	cluster = credname.Cluster(identity)
	// epoch is the start time of every test.
	epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
)

// world is one namespace with its own provider, clock and operator.
type world struct {
	*kit.Kit
	ns string

	clock    *testutil.Clock
	backend  *fake.Backend
	driver   *fake.Driver
	requests *testutil.Requests
	log      *testutil.Log

	// operator is the last one that was started.
	operator  *process
	operators []*process
	touches   atomic.Int64

	mu     sync.Mutex
	onCall func(context.Context, fake.Call) fake.Fault
	// published records what Secrets have named, and what events claim about them.
	published *published
	// excused are the credentials that may be live without being in a ledger.
	excused map[string]bool
}

// newWorld returns a world with a working provider and a running operator.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := newEmptyWorld(t)
	w.createMinter()
	w.createProvider()
	w.start()
	return w
}

// newEmptyWorld returns a world with a namespace and a backend, and nothing else.
func newEmptyWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		Kit: kit.New(t, env), clock: testutil.NewClock(epoch),
		requests: &testutil.Requests{Apart: []string{kit.MinterSecret}}, log: &testutil.Log{}, excused: map[string]bool{},
	}
	w.Dump = w.dump
	w.ns = w.Namespace("world", nil)
	w.backend = fake.NewBackend(w.clock)
	w.backend.Token = kit.MinterToken
	w.backend.OnCall = w.witness
	w.driver = fake.New(w.backend)
	t.Cleanup(w.checkCredentials)
	w.witnessSecrets()
	return w
}

// createMinter makes the Secret with the minting credential.
func (w *world) createMinter() {
	w.Helper()
	w.ExpectApplied(kit.Minter(w.ns, w.backend.Token))
}

func (w *world) createProvider() {
	w.Helper()
	w.ExpectApplied(kit.TokenProvider(w.ns, storeName))
}

// process is one running operator.
type process struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error
	cache  client.Reader
}

// start starts the operator, wired as the binary does it, and stops it with the test.
func (w *world) start(edits ...func(*operator.Options)) *process {
	w.Helper()
	return w.startCounting(w.requests, edits...)
}

// startCounting is start with a separate count of this operator's requests.
func (w *world) startCounting(requests *testutil.Requests, edits ...func(*operator.Options)) *process {
	w.Helper()
	o := operator.Options{
		Registry: kit.Drivers(w.T, w.driver), Clock: w.clock, Logger: w.log.Logger(5), Namespace: w.ns, Namespaces: []string{w.ns},
		ClusterIdentity: identity, Concurrency: 4, SweepInterval: 1e6 * time.Hour, Shutdown: testutil.Patience,
		WrapRecorder:  func(r events.EventRecorder) events.EventRecorder { return witnessing{r, w} },
		ProviderBurst: 40, // the clock stands, so the rate limit does not refill
	}
	for _, edit := range edits {
		edit(&o)
	}
	cfg := rest.CopyConfig(env.Config)
	cfg.Wrap(requests.Wrap)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	mgr, err := operator.New(ctx, cfg, o)
	w.OK(err)
	p := &process{cancel: cancel, done: make(chan struct{}), cache: mgr.GetCache()}
	go func() {
		defer close(p.done)
		p.err = mgr.Start(ctx)
	}()
	w.Cleanup(func() { p.stop(w) })
	w.operator, w.operators = p, append(w.operators, p)
	return p
}

// stop stops the operator as a signal does, and waits for its end.
func (p *process) stop(w *world) {
	w.Helper()
	p.cancel()
	select {
	case <-p.done:
	case <-context.WithoutCancel(w.Context()).Done():
	}
}

// declare creates an ApiToken that refers to the provider of the world.
func (w *world) declare(name string, edits ...func(*v1alpha1.ApiToken)) {
	w.Helper()
	w.ExpectApplied(kit.ApiToken(w.ns, name, v1alpha1.ProviderReference{Name: storeName}, edits...))
}

// issue declares an ApiToken and waits until it is Ready.
func (w *world) issue(name string, edits ...func(*v1alpha1.ApiToken)) *v1alpha1.ApiToken {
	w.Helper()
	w.declare(name, edits...)
	return w.waitReady(name)
}

// token reads an ApiToken; nil when it does not exist.
func (w *world) token(name string) *v1alpha1.ApiToken {
	w.Helper()
	if t := (&v1alpha1.ApiToken{ObjectMeta: metaOf(w.ns, name)}); w.Exists(t) {
		return t
	}
	return nil
}

// secret reads a Secret; nil when it does not exist.
func (w *world) secret(name string) *corev1.Secret {
	w.Helper()
	if s := (&corev1.Secret{ObjectMeta: metaOf(w.ns, name)}); w.Exists(s) {
		return s
	}
	return nil
}

// edit changes an ApiToken.
func (w *world) edit(name string, edit func(*v1alpha1.ApiToken)) {
	w.Helper()
	kit.Change(w.Kit, &v1alpha1.ApiToken{ObjectMeta: metaOf(w.ns, name)}, edit)
}

// editStatus changes the status of the ApiToken training.
func (w *world) editStatus(edit func(*v1alpha1.ApiTokenStatus)) {
	w.Helper()
	kit.ChangeStatus(w.Kit, &v1alpha1.ApiToken{ObjectMeta: metaOf(w.ns, "training")}, func(t *v1alpha1.ApiToken) { edit(&t.Status) })
}

// waitReady waits until an ApiToken is Ready for its current generation.
func (w *world) waitReady(name string) *v1alpha1.ApiToken {
	w.Helper()
	var t *v1alpha1.ApiToken
	w.Until(func() string {
		t = w.token(name)
		c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Status != metav1.ConditionTrue || c.ObservedGeneration != t.Generation || t.Status.ObservedGeneration != t.Generation {
			return name + " is not Ready"
		}
		return ""
	})
	return t
}

// waitReplaced waits until an ApiToken is Ready with another credential than this one.
func (w *world) waitReplaced(name, credential string) *v1alpha1.ApiToken {
	w.Helper()
	w.Until(func() string {
		if active := activeOf(w.token(name)); active == nil || active.Name == credential {
			return fmt.Sprintf("%s still has credential %s", name, credential)
		}
		return ""
	})
	return w.waitReady(name)
}

// expectCondition waits until a condition has this reason and its message contains these parts.
func (w *world) expectCondition(name, kind, reason string, parts ...string) *v1alpha1.ApiToken {
	w.Helper()
	t := &v1alpha1.ApiToken{ObjectMeta: metaOf(w.ns, name)}
	w.ExpectCondition(t, kit.Condition{Type: kind, Reason: reason, Says: parts})
	return t
}

// expectStalled is expectCondition for both Stalled and Ready.
func (w *world) expectStalled(name, reason string, parts ...string) {
	w.Helper()
	w.expectCondition(name, v1alpha1.ConditionStalled, reason, parts...)
	w.expectCondition(name, v1alpha1.ConditionReady, reason, parts...)
}

// expectGone waits until an ApiToken is deleted.
func (w *world) expectGone(name string) {
	w.Helper()
	w.ExpectGone(&v1alpha1.ApiToken{ObjectMeta: metaOf(w.ns, name)})
}

// delete deletes an ApiToken.
func (w *world) delete(name string) {
	w.Helper()
	w.ExpectDeleted(&v1alpha1.ApiToken{ObjectMeta: metaOf(w.ns, name)})
}

// owner returns the owner of the credentials of an ApiToken.
func (w *world) owner(name string) provider.Owner {
	return provider.Owner{Cluster: cluster, Namespace: w.ns, Token: name}
}

// dump describes the world for the output of a failed test.
func (w *world) dump() string {
	ctx := context.WithoutCancel(w.Context())
	var tokens v1alpha1.ApiTokenList
	var providers v1alpha1.TokenProviderList
	if err := errors.Join(w.List(ctx, &tokens, client.InNamespace(w.ns)), w.List(ctx, &providers, client.InNamespace(w.ns))); err != nil {
		return err.Error()
	}
	var out []string
	for i := range tokens.Items {
		raw, _ := yaml.Marshal(tokens.Items[i].Status)
		out = append(out, tokens.Items[i].Name, string(raw), w.log.Last(w.reconcileLog(tokens.Items[i].Name)...))
	}
	for i := range providers.Items {
		raw, _ := yaml.Marshal(providers.Items[i].Status)
		out = append(out, providers.Items[i].Name, string(raw))
	}
	return strings.Join(append(out, w.backend.State(), w.log.Tail(12)), "\n")
}
