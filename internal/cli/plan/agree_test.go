package plan

import (
	"context"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/test/support/clitest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/controllers/apitoken"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/internal/secretstore"
	"apitoken.dev/operator/test/support/apifake"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/testutil"
)

// canary is the secret value of these tests.
const canary = "CANARY-6b1f"

const day = 24 * time.Hour

func ago(d time.Duration) *metav1.Time { return after(-d) }

func after(d time.Duration) *metav1.Time {
	t := metav1.NewTime(clitest.Now.Add(d))
	return &t
}

func condition(kind string, status bool, reason, message string, generation int64) metav1.Condition {
	value := metav1.ConditionFalse
	if status {
		value = metav1.ConditionTrue
	}
	return metav1.Condition{Type: kind, Status: value, Reason: reason, Message: message, ObservedGeneration: generation, LastTransitionTime: *ago(time.Hour)}
}

// adjustable is the fake driver with another account for each region. Its Validate can return errors
// that are not a Refusal.
type adjustable struct {
	*fake.Driver
	invalid error
}

func (d *adjustable) Validate(cfg provider.Config, req provider.MintRequest) error {
	if d.invalid != nil {
		return d.invalid
	}
	return d.Driver.Validate(cfg, req)
}

func (d *adjustable) Connect(ctx context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	c, of, err := d.Driver.Connect(ctx, cfg)
	of.ID = accountOf(cfg.Settings)
	return c, of, err
}

func accountOf(region any) string { return "account-" + region.(string) }

// agreement is an in-memory cluster that both the plugin and the operator read.
type agreement struct {
	*testing.T
	*apifake.Client
	server   *apifake.Server
	clock    *testutil.Clock
	driver   *adjustable
	registry *registry.Registry
	// cluster is the identity hash.
	cluster string
}

// newAgreement creates the namespaces shop, other and the operator's, and the provider store, which is
// Ready.
func newAgreement(t *testing.T) *agreement {
	t.Helper()
	a := &agreement{T: t, clock: testutil.NewClock(clitest.Now)}
	a.server = apifake.NewServer(a.clock.Now)
	a.Client = a.server.Client(nil)
	a.driver = &adjustable{Driver: fake.New(fake.NewBackend(a.clock))}
	var err error
	a.registry, err = registry.New(registry.Entry{Driver: a.driver, Settings: func(s registry.Spec) (any, bool) { return s.AWS.Region, true }})
	a.ok(err)
	for _, name := range []string{metav1.NamespaceSystem, "system", "shop", "other"} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		a.ok(a.Create(t.Context(), ns))
		if name == metav1.NamespaceSystem {
			a.cluster = credname.Cluster(string(ns.UID))
		}
	}
	a.ok(a.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "minter"}, Data: map[string][]byte{"token": []byte(canary)}}))
	a.ok(a.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "minter"}, Data: map[string][]byte{"token": []byte(canary)}}))
	a.provider(account.Of(&v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "store"}}))
	return a
}

func (a *agreement) ok(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

// provider creates a provider that is Ready, and applies change.
func (a *agreement) provider(o account.Object, change ...func(account.Object)) {
	a.Helper()
	o.SetFinalizers([]string{v1alpha1.Finalizer})
	o.Spec.CredentialsSecretRef.Name, o.Spec.AWS = "minter", &v1alpha1.AWSProvider{Region: "eu-1"}
	edit := func() {
		s := o.Status
		at := account.EndpointOf(a.Context(), a.driver, provider.Config{Settings: o.Spec.AWS.Region})
		s.Account, s.Driver, s.Endpoint = accountOf(o.Spec.AWS.Region), at.Driver, at.URL
		s.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, true, "Ready", "", o.GetGeneration())}
		for _, f := range change {
			f(o)
		}
	}
	edit()
	a.ok(a.Create(a.Context(), o.Raw))
	edit()
	a.ok(a.Status().Update(a.Context(), o.Raw))
}

// token creates the ApiToken shop/one, and applies change.
func (a *agreement) token(change ...func(*v1alpha1.ApiToken)) *v1alpha1.ApiToken {
	a.Helper()
	t := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "one", Finalizers: []string{v1alpha1.Finalizer}}}
	t.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.KindTokenProvider, Name: "store"}
	t.Spec.Scopes = []v1alpha1.Scope{"objects:read"}
	for _, f := range change {
		f(t)
	}
	a.ok(a.Create(a.Context(), t))
	return t
}

// entry returns an Active entry of an ApiToken.
func (a *agreement) entry(t *v1alpha1.ApiToken, revision int64, change ...func(*v1alpha1.LedgerEntry)) v1alpha1.LedgerEntry {
	name := credname.Name{Cluster: a.cluster, Owner: credname.Owner(t.Namespace, t.Name), Revision: revision, Nonce: "aaaaaaaaaa"}
	e := v1alpha1.LedgerEntry{
		Name: name.String(), State: v1alpha1.StateActive, ID: "KEY" + name.Nonce, Account: "account-eu-1", Reason: "Initial",
		ReservedAt: ago(day), IssuedAt: ago(day), ExpiresAt: after(89 * day), LifetimeSeconds: int64(90 * day / time.Second),
		Fingerprint: plan.Fingerprint(&t.Spec), Fixed: plan.Fixed(&t.Spec, a.driver.Caps.Updates),
	}
	for _, f := range change {
		f(&e)
	}
	return e
}

// issued writes a ledger, and publishes the entry at this index. With -1 it publishes none.
func (a *agreement) issued(t *v1alpha1.ApiToken, published int, entries ...v1alpha1.LedgerEntry) {
	a.Helper()
	t.Status.Credentials, t.Status.Revision = entries, int64(len(entries))
	if published >= 0 {
		store := secretstore.Store{Client: a, Live: a, Cluster: a.cluster, Clock: a.clock}
		target := secretstore.TargetOf(t, a.driver, provider.Config{})
		before, err := store.Read(a.Context(), target)
		a.ok(err)
		seen, err := store.Publish(a.Context(), target, before, &entries[published], provider.Minted{Secret: map[string]provider.Value{
			fake.KeyID: provider.NewValue("KEY"), fake.KeySecret: provider.NewValue(canary),
		}})
		a.ok(err)
		t.Status.Secret.ResourceVersion = seen.Version
	}
	a.ok(a.Status().Update(a.Context(), t))
}

// plugin returns the observation and the decision of kubectl apitoken plan, for the ApiToken as it is in
// the cluster.
func (a *agreement) plugin(name types.NamespacedName) (plan.Observation, plan.Decision) {
	a.Helper()
	app := session.New(session.Env{IOStreams: genericiooptions.NewTestIOStreamsDiscard(), Clock: a.clock, Registry: a.registry})
	p := &planner{
		Session:  &session.Session{App: app, Client: a.Client, Namespace: name.Namespace},
		fromFile: map[account.Key]account.Object{},
	}
	token := &v1alpha1.ApiToken{}
	a.ok(a.Get(a.Context(), name, token))
	out := &planned{}
	sit, err := p.situation(a.Context(), token, out)
	a.ok(err)
	if len(out.Notes) > 0 {
		a.Errorf("the plugin assumes: %q", out.Notes)
	}
	return sit.gathered, plan.Next(sit.obs)
}

// operator returns the observation of a new operator, and its decision once it has read the Secret.
func (a *agreement) operator(name types.NamespacedName) (gathered plan.Observation, decided plan.Decision) {
	a.Helper()
	cache := a.server.StaleReader(nil, labels.Everything())
	a.ok(account.AddIndex(a.Context(), cache))
	cache.Refresh()
	pool := connections.NewPool(connections.Options{
		Reader: cache, Live: a.Client, Registry: a.registry, Namespace: "system", Cluster: a.cluster, Clock: a.clock,
	})
	providers, err := account.List(a.Context(), cache)
	a.ok(err)
	for _, o := range providers {
		if o.Ready() {
			place, _ := places.New(a.clock, places.Limits{}).Take(places.Want{Who: o.Key().ObjectKey(), Provider: o.Key().String()})
			_, err := pool.Check(a.Context(), o.Key(), place, false)
			a.ok(err)
		}
	}
	asked, done := false, false
	stop := plan.Decision{Action: plan.Wait{}, State: plan.Progressing, Reason: v1alpha1.ReasonIssuing}
	decide := func(o plan.Observation) plan.Decision {
		if done {
			return stop
		}
		if !asked {
			asked, gathered = true, o
		}
		decided = plan.Next(o)
		if _, reads := decided.Action.(plan.ReadSecret); reads {
			return decided
		}
		done = true
		return stop
	}
	r := apitoken.New(apitoken.Options{
		Client: a.ReadingFrom(cache), Live: a.Client, Providers: pool, Clock: a.clock,
		Recorder: events.NewFakeRecorder(100), Cluster: a.cluster, Decide: decide,
	})
	_, err = r.Reconcile(a.Context(), ctrl.Request{NamespacedName: name})
	a.ok(err)
	if !asked {
		a.Fatal("the operator decided nothing")
	}
	return gathered, decided
}

// kubectl apitoken plan and a new operator gather the same facts. The decision is the same too, unless
// the operator must first take a step that does not follow from the declaration.
func TestPluginAndOperatorAgree(t *testing.T) {
	for name, c := range agreements {
		t.Run(name, func(t *testing.T) {
			a := newAgreement(t)
			c.given(a)
			about := types.NamespacedName{Namespace: "shop", Name: "one"}
			planned, follows := a.plugin(about)
			gathered, decided := a.operator(about)
			for i := range gathered.Ledger {
				if name := gathered.Ledger[i].Name; gathered.Token.Owns(name) != planned.Token.Owns(name) {
					t.Errorf("they disagree whose %s is", name)
				}
			}
			if diff := cmp.Diff(gathered, planned, cmpopts.IgnoreFields(plan.Token{}, "Owns"), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("the plugin observes something else (-operator +plugin):\n%s", diff)
			}
			if c.reason != decided.Reason {
				t.Errorf("the operator's reason is %s, want %s: %s", decided.Reason, c.reason, decided.Message)
			}
			if c.due {
				return
			}
			if diff := cmp.Diff(decided, follows); diff != "" {
				t.Errorf("the plugin decides something else (-operator +plugin):\n%s", diff)
			}
		})
	}
}

func named(namespace, name string) func(*v1alpha1.ApiToken) {
	return func(t *v1alpha1.ApiToken) { t.Namespace, t.Name = namespace, name }
}

func uses(kind v1alpha1.ProviderKind, name string) func(*v1alpha1.ApiToken) {
	return func(t *v1alpha1.ApiToken) { t.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: kind, Name: name} }
}

func (a *agreement) clusterProvider(name string, change ...func(account.Object)) {
	a.Helper()
	p := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: name}}
	p.Spec.AllowedNamespaces = &metav1.LabelSelector{}
	a.provider(account.Of(p), change...)
}

// manual makes the credentials of the provider manual.
func (a *agreement) manual() {
	a.driver.ManualForm = func(provider.MintRequest) (provider.Form, bool) {
		return provider.Form{Where: "Keys", Edit: "Keys", Revoke: "Keys", Keys: []string{fake.KeyID, fake.KeySecret}}, true
	}
}
