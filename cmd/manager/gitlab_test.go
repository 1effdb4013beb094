package main

import (
	"context"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/controllers/apitoken"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
	"apitoken.dev/operator/internal/provider/drivers/rest"
	"apitoken.dev/operator/test/support/apifake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/repofile"
	"apitoken.dev/operator/test/support/simulate/restsim"
	"apitoken.dev/operator/test/support/testutil"
)

const gitLabToken = "CANARY-gitlab-token"

var gitLabMinter = map[string]string{"project": strconv.Itoa(restsim.GitLabProject), "token": gitLabToken}

// The declaration is the sample. A rotation leaves one credential in the ledger.
func TestDeletionEndsAlthoughGitLabListsRevokedTokens(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sim := restsim.NewGitLab(b.clock.Now, gitLabToken)
	sim.Old = true
	b.minter("gitlab-minter", gitLabMinter)
	name := b.sample("rest-gitlab.yaml", "https://gitlab.example.com", b.serve(sim), "namespace: ml", "namespace: "+b.ns)
	first := b.ready(name, "")
	kit.Change(b.Kit, b.token(name), rotate)
	b.ready(name, first.Name)
	if data := b.secret(name); !sim.Holds(data["token"]) {
		t.Error("the Secret's token is not accepted")
	}
	b.ExpectDeleted(b.token(name))
	b.ExpectGone(b.token(name))
	for _, token := range sim.Tokens() {
		if !token.Revoked {
			t.Errorf("%s is not revoked", token.Name)
		}
	}
	if n := len(sim.Tokens()); n != 2 {
		t.Errorf("GitLab lists %d tokens, want both", n)
	}
}

// gitLab is the provider of a reconciler without a manager.
type gitLab struct {
	driver provider.Driver
	conn   connections.Connection
	config provider.Config
}

func (g *gitLab) Facts(context.Context, account.Key, string, provider.Grant) (account.Facts, error) {
	return account.Facts{Found: true, Ready: true, Admitted: true, Account: g.conn.Account, Verified: true,
		DriverType: g.driver.Type(), Driver: g.driver, Config: g.config, Capabilities: g.driver.Capabilities()}, nil
}

func (g *gitLab) Connect(context.Context, account.Key, *places.Place) (connections.Connection, error) {
	return g.conn, nil
}

func (*gitLab) Sharing(_ context.Context, key account.Key) ([]account.Key, bool, error) {
	return []account.Key{key}, true, nil
}

func (*gitLab) Forget(account.Key) {}

// newGitLab connects the shipped declaration to a simulator, as the operator does.
func newGitLab(t *testing.T, sim *restsim.GitLab) *gitLab {
	t.Helper()
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	var declared v1alpha1.TokenProvider
	first, _, _ := strings.Cut(repofile.Read(t, "config/samples/rest-gitlab.yaml"), "\n---\n")
	if err := yaml.UnmarshalStrict([]byte(first), &declared); err != nil {
		t.Fatal(err)
	}
	settings := *declared.Spec.Rest
	settings.BaseURL = server.URL
	g := &gitLab{config: provider.Config{Settings: settings, Cluster: "cccccccc", HTTP: server.Client(), Credentials: map[string]provider.Value{}}}
	for key, value := range gitLabMinter {
		g.config.Credentials[key] = provider.NewValue(value)
	}
	g.driver = bounded.Driver(rest.New().For(settings), bounded.Options{})
	var err error
	if g.conn.Client, g.conn.Account, err = g.driver.Connect(t.Context(), g.config); err != nil {
		t.Fatal(err)
	}
	return g
}

// alone is a reconciler with an API server in memory and one ApiToken.
type alone struct {
	*testing.T
	client.Client
	clock *testutil.Clock
	rec   *apitoken.Reconciler
	token *v1alpha1.ApiToken
}

// rests reconciles, and lets short waits pass, until nothing is due within a minute. It
// reports whether the ApiToken still exists.
func (a *alone) rests() bool {
	a.Helper()
	key := client.ObjectKeyFromObject(a.token)
	for range 100 {
		was := a.token.ResourceVersion
		result, err := a.rec.Reconcile(a.Context(), ctrl.Request{NamespacedName: key})
		if err != nil {
			a.Fatal(err)
		}
		a.token = &v1alpha1.ApiToken{}
		if err := a.Get(a.Context(), key, a.token); client.IgnoreNotFound(err) != nil {
			a.Fatal(err)
		} else if err != nil {
			return false
		}
		if a.token.ResourceVersion != was {
			continue
		}
		if result.RequeueAfter == 0 || result.RequeueAfter > time.Minute {
			return true
		}
		a.clock.Advance(result.RequeueAfter)
	}
	a.Fatalf("it does not come to rest: %+v", a.token.Status)
	return false
}

// TestRevokedTokensDoNotFillTheLedger: after more rotations than the ledger has room for,
// the ledger only has the credential in use, and a deletion ends, although GitLab still
// lists every token.
func TestRevokedTokensDoNotFillTheLedger(t *testing.T) {
	t.Parallel()
	const rotations = 33
	clock := testutil.NewClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	sim := restsim.NewGitLab(clock.Now, gitLabToken)
	sim.Old = true
	c := apifake.NewServer(clock.Now).Client(nil)
	a := &alone{T: t, Client: c, clock: clock, rec: apitoken.New(apitoken.Options{
		Client: c, Live: c, Clock: clock, Cluster: "cccccccc", Providers: newGitLab(t, sim),
	})}
	a.token = &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "pull"}, Spec: v1alpha1.ApiTokenSpec{
		ProviderRef: v1alpha1.ProviderReference{Kind: v1alpha1.KindTokenProvider, Name: "gitlab"}, Scopes: []v1alpha1.Scope{"registry:read"},
	}}
	for _, object := range []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ml"}}, a.token} {
		if err := c.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	a.rests()
	for range rotations {
		was := active(a.token).Name
		clock.Advance(a.token.Status.RotatesAt.Sub(clock.Now()))
		a.rests()
		clock.Advance(2 * time.Hour) // the overlap
		a.rests()
		if entries := a.token.Status.Credentials; len(entries) != 1 || active(a.token).Name == was {
			t.Fatalf("after a rotation the ledger has %+v", entries)
		}
	}
	if n := len(sim.Tokens()); n != rotations+1 {
		t.Fatalf("GitLab lists %d tokens, want %d", n, rotations+1)
	}
	if err := c.Delete(t.Context(), a.token); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		if !a.rests() {
			break
		}
		clock.Advance(time.Minute)
	}
	if a.token.Name != "" {
		t.Errorf("the deletion does not end: %+v", a.token.Status)
	}
	for _, token := range sim.Tokens() {
		if !token.Revoked {
			t.Errorf("%s is not revoked", token.Name)
		}
	}
}
