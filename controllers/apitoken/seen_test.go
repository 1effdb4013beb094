package apitoken

import (
	"context"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/testutil"
)

// ofTest is the cluster identity of these tests.
const ofTest = "cccccccc"

// moved is a provider whose minting credentials were replaced after the facts were gathered. The facts
// are of the first account, and the connection is of the second.
type moved struct {
	Providers
	conn connections.Connection
}

func (m *moved) Connect(context.Context, account.Key, *places.Place) (connections.Connection, error) {
	return m.conn, nil
}

// untouched is a client that must not be called.
type untouched struct{ client.Client }

// reconcileOf returns a reconcile with the entry e in the ledger, at the fake provider.
func reconcileOf(t *testing.T, driver *fake.Driver, e v1alpha1.LedgerEntry) (*Reconciler, *reconciliation) {
	t.Helper()
	clock := testutil.NewClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	c, of, err := driver.Connect(t.Context(), provider.Config{Cluster: ofTest})
	if err != nil {
		t.Fatal(err)
	}
	r := New(Options{Client: untouched{}, Live: untouched{}, Clock: clock, Cluster: ofTest,
		Providers: &moved{conn: connections.Connection{Client: c, Account: of}}})
	token := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "training"}}
	token.Status.Credentials = []v1alpha1.LedgerEntry{e}
	p := &reconciliation{token: token, base: token.Status.DeepCopy(), key: account.KeyFor(token)}
	p.facts.Account, p.facts.Capabilities = provider.Account{ID: e.Account}, driver.Caps
	p.seen.View.Facts.Account = e.Account
	p.obs = plan.Observation{Now: clock.Now(), Provider: plan.Provider{Found: true, Ready: true, Admitted: true, Account: e.Account}}
	return r, p
}

// The facts about a provider can be older than the connection. If the ledger belongs to another account
// than the connection, nothing is minted and nothing counts as revoked.
func TestAccountOfTheConnectionDecides(t *testing.T) {
	for name, act := range map[string]func(*Reconciler, *reconciliation) plan.Outcome{
		"mint": func(r *Reconciler, p *reconciliation) plan.Outcome {
			_, out := r.connectToMint(t.Context(), p)
			return out
		},
		"purge":                func(r *Reconciler, p *reconciliation) plan.Outcome { return r.purge(t.Context(), p, true) },
		"purge, not settled":   func(r *Reconciler, p *reconciliation) plan.Outcome { return r.purge(t.Context(), p, false) },
		"revoke":               func(r *Reconciler, p *reconciliation) plan.Outcome { return r.revoke(t.Context(), p, []string{"one"}) },
		"ask for the id":       func(r *Reconciler, p *reconciliation) plan.Outcome { return r.identify(t.Context(), p, "one") },
		"ask for what is held": func(r *Reconciler, p *reconciliation) plan.Outcome { return r.findRestored(t.Context(), p, "one") },
	} {
		t.Run(name, func(t *testing.T) {
			backend := fake.NewBackend(testutil.NewClock(time.Unix(0, 0)))
			backend.UseAccount("second")
			r, p := reconcileOf(t, fake.New(backend), v1alpha1.LedgerEntry{Name: "one", Account: "first", State: v1alpha1.StateRetiring})
			if out := act(r, p); !plan.Is[plan.AccountChanged](out) {
				t.Errorf("got %v, want that the account is another", out)
			}
			for _, call := range backend.Calls() {
				if call.Verb != fake.Connect {
					t.Errorf("%s was sent to another account", call.Verb)
				}
			}
			if len(p.token.Status.Credentials) != 1 {
				t.Errorf("the entry left the ledger")
			}
		})
	}
}

// The provider accepts a revocation and ignores it. The entry, and an ApiToken that is being deleted,
// stay until the provider shows no credential, or only ended ones. A disabled credential has not ended.
func TestEntryStaysUntilRevocationIsVerified(t *testing.T) {
	owner := provider.Owner{Cluster: ofTest, Namespace: "ml", Token: "training"}
	revoke := func(r *Reconciler, p *reconciliation) plan.Outcome { return r.revoke(t.Context(), p, []string{"one"}) }
	purge := func(r *Reconciler, p *reconciliation) plan.Outcome { return r.purge(t.Context(), p, true) }
	ignore := []fake.Fault{{Kind: fake.Ignore}, {Kind: fake.Ignore}} // for the ledger's entry, and for the listed credential
	for name, tc := range map[string]struct {
		driver func(*fake.Driver)
		then   func(*fake.Backend)
		faults []fake.Fault
		act    func(*Reconciler, *reconciliation) plan.Outcome
		gone   bool
	}{
		"revoke, ignored":                  {faults: ignore, act: revoke},
		"revoke, ignored, it is off":       {faults: ignore, act: revoke, then: func(b *fake.Backend) { b.Disable("one") }},
		"revoke":                           {act: revoke, gone: true},
		"revoke, it is still shown":        {act: revoke, gone: true, driver: func(d *fake.Driver) { d.Backend.KeepsEnded = true }},
		"revoke, it had ended":             {act: revoke, gone: true, driver: func(d *fake.Driver) { d.Backend.KeepsEnded = true }, then: func(b *fake.Backend) { b.End("one") }},
		"purge, ignored":                   {faults: ignore, act: purge},
		"purge, ignored, it is off":        {faults: ignore, act: purge, then: func(b *fake.Backend) { b.Disable("one") }},
		"purge, ignored, it is not listed": {faults: ignore, act: purge, driver: func(d *fake.Driver) { d.Caps.Listed = 2 }, then: func(b *fake.Backend) { b.Stranger(3) }},
	} {
		t.Run(name, func(t *testing.T) {
			backend := fake.NewBackend(testutil.NewClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)))
			driver := fake.New(backend)
			if tc.driver != nil {
				tc.driver(driver)
			}
			r, p := reconcileOf(t, driver, v1alpha1.LedgerEntry{Name: "one", Account: fake.DefaultAccount, State: v1alpha1.StateRetiring})
			conn, err := r.Providers.Connect(t.Context(), p.key, nil)
			if err != nil {
				t.Fatal(err)
			}
			minted, err := conn.Client.Mint(t.Context(), provider.MintRequest{Name: "one", Owner: owner})
			if err != nil {
				t.Fatal(err)
			}
			p.token.Status.Credentials[0].ID = minted.Credential.ID
			if tc.then != nil {
				tc.then(backend)
			}
			backend.Script(fake.Revoke, tc.faults...)
			out := tc.act(r, p)
			if (out == nil) != tc.gone || out != nil && !plan.Is[plan.Unfinished](out) {
				t.Errorf("got %v, want it gone: %t", out, tc.gone)
			}
			if left := len(p.token.Status.Credentials) > 0; left == tc.gone {
				t.Errorf("the entry is in the ledger: %t", left)
			}
		})
	}
}
