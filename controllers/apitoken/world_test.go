package apitoken_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/testutil"
)

const (
	// identity of the cluster that the credentials of these tests are named after.
	identity = "cluster-under-test"
	// storeName is the provider of every token that names no other.
	storeName = "store"
	// minterToken is the minting credential.
	minterToken = "CANARY-minting-credential"
	// patience is how long a test waits for something that has to happen.
	patience = testutil.Patience
)

var (
	cluster = credname.Cluster(identity)
	// epoch is when every test begins.
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

// world is one namespace with its own provider, clock and operator.
type world struct {
	*testing.T
	client.Client
	ctx context.Context
	ns  string

	clock    *testutil.Clock
	backend  *fake.Backend
	driver   *fake.Driver
	requests *testutil.Requests
	log      *testutil.Log

	// operator was started last.
	operator  *process
	operators []*process
	pokes     atomic.Int64

	mu     sync.Mutex
	onCall func(context.Context, fake.Call) fake.Fault
	// published is what events say of Secrets.
	published *published
	// excused are the credentials that may be live without being in a ledger.
	excused map[string]bool
}

// newWorld makes a world with a provider that works and an operator that runs.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := newEmptyWorld(t)
	w.createMinter()
	w.createProvider()
	w.start()
	return w
}

// newEmptyWorld makes a namespace and a backend, and nothing else.
func newEmptyWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		T: t, Client: env.Client(scheme), ctx: t.Context(), ns: fmt.Sprintf("world-%d", worlds.Add(1)),
		clock: testutil.NewClock(epoch), requests: &testutil.Requests{Apart: []string{"minter"}}, log: &testutil.Log{}, excused: map[string]bool{},
	}
	w.backend = fake.NewBackend(w.clock)
	w.backend.Token = minterToken
	w.backend.OnCall = w.witness
	w.driver = fake.New(w.backend)
	w.ok(w.Create(w.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.ns}}))
	t.Cleanup(w.checkCredentials)
	w.witnessSecrets()
	return w
}

// createMinter makes the Secret with the minting credential.
func (w *world) createMinter() {
	w.Helper()
	w.ok(w.Create(w.ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "minter"},
		Data:       map[string][]byte{fake.TokenKey: []byte(w.backend.Token)},
	}))
}

func providerSpec() v1alpha1.ProviderSpec {
	return v1alpha1.ProviderSpec{CredentialsSecretRef: v1alpha1.SecretReference{Name: "minter"}, AWS: &v1alpha1.AWSProvider{}}
}

func (w *world) createProvider() {
	w.Helper()
	w.ok(w.Create(w.ctx, &v1alpha1.TokenProvider{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: storeName}, Spec: providerSpec(),
	}))
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

// startCounting is start with a count of this operator's requests.
func (w *world) startCounting(requests *testutil.Requests, edits ...func(*operator.Options)) *process {
	w.Helper()
	drivers, err := registry.New(registry.Entry{
		Driver:   w.driver,
		Settings: func(s registry.Spec) (any, bool) { return nil, s.AWS != nil },
	})
	w.ok(err)
	o := operator.Options{
		Registry: drivers, Clock: w.clock, Logger: w.log.Logger(5), Namespace: w.ns, Namespaces: []string{w.ns},
		ClusterIdentity: identity, Concurrency: 4, SweepInterval: 1e6 * time.Hour, Shutdown: patience,
		WrapRecorder:  func(r events.EventRecorder) events.EventRecorder { return witnessing{r, w} },
		ProviderBurst: 40, // the clock stands still, and a part is for other namespaces
	}
	for _, edit := range edits {
		edit(&o)
	}
	cfg := rest.CopyConfig(env.Config)
	cfg.Wrap(requests.Wrap)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.ctx))
	mgr, err := operator.New(ctx, cfg, o)
	w.ok(err)
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
	case <-context.WithoutCancel(w.ctx).Done():
	}
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
	err := wait.PollUntilContextTimeout(w.ctx, 20*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = why()
		return last == "", nil
	})
	if err != nil {
		w.Fatalf("%s\n%s", last, w.dump())
	}
}

// declare creates an ApiToken that the provider of the world grants.
func (w *world) declare(name string, edits ...func(*v1alpha1.ApiToken)) {
	w.Helper()
	t := &v1alpha1.ApiToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name},
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
}

// issued declares an ApiToken and waits until it is Ready.
func (w *world) issued(name string, edits ...func(*v1alpha1.ApiToken)) *v1alpha1.ApiToken {
	w.Helper()
	w.declare(name, edits...)
	return w.ready(name)
}

// token reads an ApiToken; nil when it does not exist.
func (w *world) token(name string) *v1alpha1.ApiToken {
	w.Helper()
	t := &v1alpha1.ApiToken{}
	if !w.read(name, t) {
		return nil
	}
	return t
}

// secret reads a Secret; nil when it does not exist.
func (w *world) secret(name string) *corev1.Secret {
	w.Helper()
	s := &corev1.Secret{}
	if !w.read(name, s) {
		return nil
	}
	return s
}

func (w *world) read(name string, into client.Object) bool {
	w.Helper()
	err := w.Get(w.ctx, client.ObjectKey{Namespace: w.ns, Name: name}, into)
	w.ok(client.IgnoreNotFound(err))
	return err == nil
}

// change edits an object as a user does, over any conflict.
func change[T client.Object](w *world, name string, obj T, edit func(T)) {
	w.Helper()
	w.until(func() string {
		if !w.read(name, obj) {
			return name + " does not exist"
		}
		edit(obj)
		if err := w.Update(w.ctx, obj); apierrors.IsConflict(err) {
			return err.Error()
		} else if err != nil {
			w.Fatal(err)
		}
		return ""
	})
}

// edit changes an ApiToken.
func (w *world) edit(name string, edit func(*v1alpha1.ApiToken)) {
	w.Helper()
	change(w, name, &v1alpha1.ApiToken{}, edit)
}

// editStatus changes the status of the ApiToken training, as only the operator should.
func (w *world) editStatus(edit func(*v1alpha1.ApiTokenStatus)) {
	w.Helper()
	w.until(func() string {
		t := w.token("training")
		edit(&t.Status)
		if err := w.Status().Update(w.ctx, t); apierrors.IsConflict(err) {
			return err.Error()
		} else if err != nil {
			w.Fatal(err)
		}
		return ""
	})
}

// ready waits until an ApiToken is Ready for its present generation.
func (w *world) ready(name string) *v1alpha1.ApiToken {
	w.Helper()
	var t *v1alpha1.ApiToken
	w.until(func() string {
		t = w.token(name)
		c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Status != metav1.ConditionTrue || c.ObservedGeneration != t.Generation || t.Status.ObservedGeneration != t.Generation {
			return name + " is not Ready"
		}
		return ""
	})
	return t
}

// replaced waits until an ApiToken is Ready with another credential than this one.
func (w *world) replaced(name, credential string) *v1alpha1.ApiToken {
	w.Helper()
	w.until(func() string {
		if active := activeOf(w.token(name)); active == nil || active.Name == credential {
			return fmt.Sprintf("%s still has credential %s", name, credential)
		}
		return ""
	})
	return w.ready(name)
}

// shows waits until a condition of an ApiToken has a reason, and the parts in its message.
func (w *world) shows(name, kind, reason string, parts ...string) *v1alpha1.ApiToken {
	w.Helper()
	var t *v1alpha1.ApiToken
	w.until(func() string {
		t = w.token(name)
		c := meta.FindStatusCondition(t.Status.Conditions, kind)
		if c == nil || c.Reason != reason || c.ObservedGeneration != t.Generation {
			return fmt.Sprintf("%s does not show %s %s", name, kind, reason)
		}
		for _, part := range parts {
			if !strings.Contains(c.Message, part) {
				return fmt.Sprintf("%s %s does not say %q: %s", kind, reason, part, c.Message)
			}
		}
		return ""
	})
	return t
}

// stalls waits until Stalled and Ready both give a reason and a way out.
func (w *world) stalls(name, reason string, parts ...string) {
	w.Helper()
	w.shows(name, v1alpha1.ConditionStalled, reason, parts...)
	w.shows(name, v1alpha1.ConditionReady, reason, parts...)
}

// gone waits until an ApiToken has left.
func (w *world) gone(name string) {
	w.Helper()
	w.until(func() string {
		if w.token(name) != nil {
			return name + " is still there"
		}
		return ""
	})
}

// delete deletes an ApiToken.
func (w *world) delete(name string) {
	w.Helper()
	w.ok(w.Delete(w.ctx, &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}}))
}

// advance moves the clock, and lets the operator look at the ApiTokens as it would by then.
func (w *world) advance(d time.Duration) {
	w.Helper()
	w.clock.Advance(d)
	w.wake()
}

// poke makes the operator reconcile an ApiToken, by a change that means nothing to it and
// that can make a write of the operator conflict.
// The operator may already have let the ApiToken go: then there is nothing to do.
func (w *world) poke(name string) {
	w.Helper()
	poke := w.pokes.Add(1)
	t := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"example.com/poke":"%d"}}}`, poke)
	w.ok(client.IgnoreNotFound(w.Patch(w.ctx, t, client.RawPatch("application/merge-patch+json", []byte(patch)))))
}

// look has the operator look at an ApiToken, whatever comes of it.
func (w *world) look(name string) {
	w.Helper()
	w.shown(name)
	passes := w.passes(name)
	w.wake()
	w.passesAfter(passes, name)
	passes = w.passes(name)
	if w.beaten(name) { // it looks again by itself
		w.passesAfter(passes, name)
	}
}

// passesAfter returns once the operator has looked at an ApiToken again.
func (w *world) passesAfter(passes int, name string) {
	w.Helper()
	w.until(func() string {
		if w.passes(name) == passes {
			return "the operator does not look at " + name
		}
		return ""
	})
}

// passing lets time pass in steps until a check is empty, and has the operator look at an
// ApiToken after each. The clock stands while it looks: what waits at a provider for its turn
// would lose it to a clock that runs ahead of a busy computer.
func (w *world) passing(step time.Duration, name string, check func() string) {
	w.Helper()
	why := check()
	for range 200 {
		if why == "" {
			return
		}
		w.clock.Advance(step)
		w.look(name)
		why = check()
	}
	w.Fatalf("%s\n%s", why, w.dump())
}

// settle returns once the operator has looked at an ApiToken and found nothing to do.
func (w *world) settle(name string) *v1alpha1.ApiToken {
	w.Helper()
	for range 40 {
		before := w.version(name)
		for range 2 { // a pass that ran already when it was woken does not count
			w.look(name)
		}
		if before == w.version(name) && !w.beaten(name) && !w.failed(name) {
			return w.token(name)
		}
	}
	w.Fatalf("the operator never comes to rest over %s; its last word: %s\n%s", name, w.log.Last(w.passed(name)...), w.dump())
	return nil
}

// beaten reports whether somebody else changed an ApiToken during the last look
// at it, or a look is about to follow for another reason.
func (w *world) beaten(name string) bool {
	return strings.Contains(w.log.Last(w.passed(name)...), `requeueing after 1s"`)
}

// failed reports whether an error ended the last look at an ApiToken.
func (w *world) failed(name string) bool {
	return strings.Contains(w.log.Last(w.passed(name)...), `"Reconciler error"`)
}

// passed are the parts of a line that ends a look at an ApiToken.
func (w *world) passed(name string) []string {
	return []string{`"controller"="apitoken"`, `"namespace"="` + w.ns + `"`, `"name"="` + name + `"`, `"msg"="Reconcile`}
}

// version is the status, the finalizers and the Secret: what the operator writes.
func (w *world) version(name string) string {
	w.Helper()
	t := w.token(name)
	if t == nil {
		return "gone"
	}
	raw, err := yaml.Marshal(t.Status)
	w.ok(err)
	return fmt.Sprintf("%v %s %s", t.Finalizers, w.managedVersion(t.SecretName()), raw)
}

// passes is how often the operator has looked at an ApiToken.
func (w *world) passes(name string) int {
	return w.log.Count(w.passed(name)...)
}

// activeOf is the Active entry of an ApiToken's ledger, or nil.
func activeOf(t *v1alpha1.ApiToken) *v1alpha1.LedgerEntry { return inState(t, v1alpha1.StateActive) }

func inState(t *v1alpha1.ApiToken, state v1alpha1.CredentialState) *v1alpha1.LedgerEntry {
	if t == nil {
		return nil
	}
	for i := range t.Status.Credentials {
		if t.Status.Credentials[i].State == state {
			return &t.Status.Credentials[i]
		}
	}
	return nil
}

// uses checks that the Secret holds what the data plane accepts, and returns the credential's name.
func (w *world) uses(secretName string) string {
	w.Helper()
	s := w.secret(secretName)
	if s == nil {
		w.Fatalf("Secret %s does not exist\n%s", secretName, w.dump())
	}
	if !w.backend.Accepts(string(s.Data[fake.KeyID]), string(s.Data[fake.KeySecret])) {
		w.Fatalf("the provider does not accept what Secret %s holds\n%s", secretName, w.dump())
	}
	return s.Annotations[v1alpha1.AnnotationCredential]
}

// live checks how many credentials give access.
func (w *world) live(n int) {
	w.Helper()
	if names := w.backend.LiveNames(); len(names) != n {
		w.Fatalf("%d credentials are live, want %d: %v\n%s", len(names), n, names, w.dump())
	}
}

// onlyLive waits until exactly these credentials give access.
func (w *world) onlyLive(names ...string) {
	w.Helper()
	slices.Sort(names)
	w.until(func() string {
		if live := w.backend.LiveNames(); !slices.Equal(live, names) {
			return fmt.Sprintf("live are %v, want %v", live, names)
		}
		return ""
	})
}

// mints checks how many calls of Mint there were.
func (w *world) mints(n int) {
	w.Helper()
	if got := w.backend.Count(fake.Mint); got != n {
		w.Fatalf("%d credentials were minted, want %d\n%s", got, n, w.dump())
	}
}

// hook is asked before and after the effect of every call of the provider.
func (w *world) hook(f func(context.Context, fake.Call) fake.Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onCall = f
}

// witness checks what has to hold at every call of the provider.
func (w *world) witness(ctx context.Context, call fake.Call) fake.Fault {
	w.mu.Lock()
	hook := w.onCall
	w.mu.Unlock()
	//nolint:contextcheck // the operator's context would bring its logger along
	if err := w.judge(context.WithoutCancel(w.ctx), call); err != nil {
		w.Errorf("%s %s of %s: %v", call.Phase, call.Verb, call.Name, err)
	}
	if hook != nil {
		return hook(ctx, call)
	}
	return fake.Fault{}
}

func (w *world) judge(ctx context.Context, call fake.Call) error {
	switch {
	case call.Phase != fake.Before:
		return nil
	case call.Verb == fake.Mint:
		return w.judgeMint(ctx, call)
	case call.Verb == fake.Revoke:
		return w.judgeRevoke(ctx, call)
	}
	return nil
}

// judgeMint: the name is in the ledger before the credential can exist.
func (w *world) judgeMint(ctx context.Context, call fake.Call) error {
	t := &v1alpha1.ApiToken{}
	if err := w.Get(ctx, client.ObjectKey{Namespace: w.ns, Name: call.Owner.Token}, t); err != nil {
		return fmt.Errorf("its ApiToken cannot be read: %w", err)
	}
	for i := range t.Status.Credentials {
		if t.Status.Credentials[i].Name == call.Name {
			return nil
		}
	}
	return errors.New("it is in no ledger")
}

// judgeRevoke: what the Secret of an ApiToken that stays names is never revoked. A
// Secret that is being deleted does not count, nor does one whose time is up.
func (w *world) judgeRevoke(ctx context.Context, call fake.Call) error {
	var tokens v1alpha1.ApiTokenList
	var secrets corev1.SecretList
	if err := errors.Join(w.List(ctx, &tokens, client.InNamespace(w.ns)), w.List(ctx, &secrets, client.InNamespace(w.ns))); err != nil {
		return err
	}
	deleting := map[string]bool{}
	for i := range tokens.Items {
		t := &tokens.Items[i]
		gap := t.Status.GapSince != nil && t.Spec.Rotation.Strategy == v1alpha1.RevokeFirst // it is accepted
		deleting[t.Name] = !t.DeletionTimestamp.IsZero() || gap || w.timeIsUp(t, call.Name)
	}
	for i := range secrets.Items {
		a := secrets.Items[i].Annotations
		if secrets.Items[i].DeletionTimestamp != nil {
			continue
		}
		if stays, known := deleting[a[v1alpha1.AnnotationToken]]; known && !stays && call.Name != "" && a[v1alpha1.AnnotationCredential] == call.Name {
			return fmt.Errorf("secret %s holds it", secrets.Items[i].Name)
		}
	}
	return nil
}

// timeIsUp reports whether a credential of an ApiToken must end, by the declaration
// or by its own expiry.
func (w *world) timeIsUp(t *v1alpha1.ApiToken, credential string) bool {
	now := w.clock.Now()
	if end, err := t.Spec.HardEnd(); err == nil && !end.IsZero() && !now.Before(end) {
		return true
	}
	return slices.ContainsFunc(t.Status.Credentials, func(e v1alpha1.LedgerEntry) bool {
		return e.Name == credential && e.ExpiresAt != nil && !now.Before(e.ExpiresAt.Time)
	})
}

// checkCredentials holds at the end of every test: no name was minted twice, and
// every live credential is in a ledger or in a Secret that was left on purpose.
func (w *world) checkCredentials() {
	ctx := context.WithoutCancel(w.ctx)
	for _, call := range w.backend.Calls() {
		if n := w.backend.MintCount(call.Name); n > 1 {
			w.Errorf("credential %s was minted %d times", call.Name, n)
		}
	}
	var tokens v1alpha1.ApiTokenList
	if err := w.List(ctx, &tokens, client.InNamespace(w.ns)); err != nil {
		w.Error(err)
	}
	known := w.excused
	for i := range tokens.Items {
		for _, e := range tokens.Items[i].Status.Credentials {
			known[e.Name] = true
		}
	}
	for _, name := range w.backend.LiveNames() {
		if !known[name] {
			w.Errorf("credential %s is live and in no ledger", name)
		}
	}
}

// owner of the credentials of an ApiToken.
func (w *world) owner(name string) provider.Owner {
	return provider.Owner{Cluster: cluster, Namespace: w.ns, Token: name}
}

// dump describes the world to somebody who looks for what went wrong.
func (w *world) dump() string {
	ctx := context.WithoutCancel(w.ctx)
	var tokens v1alpha1.ApiTokenList
	var providers v1alpha1.TokenProviderList
	if err := errors.Join(w.List(ctx, &tokens, client.InNamespace(w.ns)), w.List(ctx, &providers, client.InNamespace(w.ns))); err != nil {
		return err.Error()
	}
	var out []string
	for i := range tokens.Items {
		raw, _ := yaml.Marshal(tokens.Items[i].Status)
		out = append(out, tokens.Items[i].Name, string(raw), w.log.Last(w.passed(tokens.Items[i].Name)...))
	}
	for i := range providers.Items {
		raw, _ := yaml.Marshal(providers.Items[i].Status)
		out = append(out, providers.Items[i].Name, string(raw))
	}
	return strings.Join(append(out, w.backend.State(), w.log.Tail(12)), "\n")
}
