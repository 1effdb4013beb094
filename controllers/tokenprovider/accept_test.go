package tokenprovider

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

// server is a provider's server. All servers have accounts of the same name.
type server struct {
	backend *fake.Backend
	client  provider.Client
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{backend: fake.NewBackend(clock.NewReal())}
	var err error
	if s.client, _, err = fake.New(s.backend).Connect(t.Context(), provider.Config{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// mint mints a credential and returns its ledger entry.
func (s *server) mint(t *testing.T, name string) v1alpha1.LedgerEntry {
	t.Helper()
	m, err := s.client.Mint(t.Context(), provider.MintRequest{Name: name, Owner: provider.Owner{Cluster: "testtest", Namespace: "n", Token: "t"}})
	if err != nil {
		t.Fatal(err)
	}
	now := metav1.NewTime(clock.NewReal().Now())
	return v1alpha1.LedgerEntry{Name: name, ID: m.Credential.ID, State: v1alpha1.StateActive, Account: fake.DefaultAccount, IssuedAt: &now}
}

// at is a connection to the server under a URL.
func (s *server) at(url string) connections.Connection {
	return connections.Connection{Client: s.client, Account: provider.Account{ID: fake.DefaultAccount, Former: []string{fake.DefaultAccount + "@" + url}},
		Endpoint:     account.Endpoint{Driver: fake.Type, URL: url, Field: "spec.fake.endpoint"},
		Capabilities: provider.Capabilities{Relocates: true, ExpiryEnforcedBy: provider.EnforcedByProvider}}
}

// moved returns a provider whose status records an endpoint, and the reconciler that checks
// it.
func moved(t *testing.T, account, endpoint string, entries ...v1alpha1.LedgerEntry) (*Reconciler, account.Object) {
	t.Helper()
	w := newWorld(t)
	key := w.provider("p", "minter")
	o := w.get(key)
	o.Status.Account, o.Status.Driver, o.Status.Endpoint = account, fake.Type, endpoint
	if endpoint == "" {
		o.Status.Driver = ""
	}
	for i := 0; i < len(entries); i += 16 {
		token := w.token(fmt.Sprintf("t%d", i), key)
		token.Status.Credentials = entries[i:min(i+16, len(entries))]
		if err := w.Status().Update(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	return &Reconciler{Kind: key.Kind, Client: w.Client, Live: w.Client, Clock: clock.NewReal(), Namespace: w.namespace, Cluster: "testtest"}, o
}

const first, second = "http://first.example.com", "https://second.example.com"

func TestTheSameServerUnderAnotherNameIsAccepted(t *testing.T) {
	s := newServer(t)
	var entries []v1alpha1.LedgerEntry
	for i := range 2 * findMost {
		entries = append(entries, s.mint(t, fmt.Sprintf("credential-%d", i)))
	}
	minting := v1alpha1.LedgerEntry{Name: "in-doubt", State: v1alpha1.StateMinting, Account: fake.DefaultAccount}
	r, o := moved(t, fake.DefaultAccount, first, append(entries, minting)...)
	if err := r.accept(t.Context(), o, s.at(second)); err != nil {
		t.Fatal(err)
	}
	if lists, finds := s.backend.Count(fake.List), s.backend.Count(fake.Find); lists != 1 || finds != 0 {
		t.Errorf("%d lists and %d finds for %d credentials", lists, finds, len(entries))
	}
}

// TestAnotherServerIsRefused: the server has an account of the same name, and even
// credentials of the same names, with other ids.
func TestAnotherServerIsRefused(t *testing.T) {
	a, b := newServer(t), newServer(t)
	b.mint(t, "another") // the fake numbers its credentials
	entry := a.mint(t, "same-name")
	b.mint(t, "same-name")
	r, o := moved(t, fake.DefaultAccount, first, entry)
	err := r.accept(t.Context(), o, b.at(second))
	v, ok := refusedMove(err)
	if !ok || v.reason != v1alpha1.ReasonEndpointUnverified || !v.stalled {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{"spec.fake.endpoint", first, second, entry.ID, "back to " + first, "Retain"} {
		if !strings.Contains(v.message, part) {
			t.Errorf("%q does not say %q", v.message, part)
		}
	}
	if err := r.accept(t.Context(), o, a.at(first)); err != nil {
		t.Errorf("changing back: %v", err)
	}
}

func TestEndpointMustShowTheCredentialsOfTheLedgers(t *testing.T) {
	a, empty := newServer(t), newServer(t)
	past, now := metav1.NewTime(clock.NewReal().Now().Add(-time.Hour)), metav1.NewTime(clock.NewReal().Now())
	doubt := v1alpha1.LedgerEntry{Name: "doubt", State: v1alpha1.StateAbandoned, Account: fake.DefaultAccount}
	unidentified := v1alpha1.LedgerEntry{Name: "adopted", State: v1alpha1.StateActive, Account: fake.DefaultAccount, IssuedAt: &now}
	same, madeUp := a.mint(t, "same"), unidentified
	madeUp.Name, madeUp.State, madeUp.Reason = "made-up", v1alpha1.StateRetiring, "Restored"
	ended := v1alpha1.LedgerEntry{Name: "ended", ID: "x", State: v1alpha1.StateRetiring, IssuedAt: &past, ExpiresAt: &past}
	other := v1alpha1.LedgerEntry{Name: "other", ID: "x", State: v1alpha1.StateActive, Account: "another-account", IssuedAt: &now}
	former := a.mint(t, "former")
	former.Account = fake.DefaultAccount + "@" + second
	cannotShow := a.at(second)
	cannotShow.Capabilities.Relocates = false
	otherDriver := a.at(first)
	otherDriver.Endpoint.Driver = "other"
	for name, c := range map[string]struct {
		account, endpoint string
		entries           []v1alpha1.LedgerEntry
		connection        connections.Connection
		reason            string // empty means accepted
	}{
		"a new provider":                               {"", "", nil, empty.at(first), ""},
		"no credentials":                               {fake.DefaultAccount, first, nil, empty.at(second), ""},
		"only an attempt in doubt":                     {fake.DefaultAccount, first, []v1alpha1.LedgerEntry{doubt}, empty.at(second), v1alpha1.ReasonEndpointUnverified},
		"adopted, without an id":                       {fake.DefaultAccount, first, []v1alpha1.LedgerEntry{unidentified}, empty.at(second), v1alpha1.ReasonEndpointUnverified},
		"only a Secret names it, and another is shown": {fake.DefaultAccount, first, []v1alpha1.LedgerEntry{same, madeUp}, a.at(second), ""},
		"only a Secret names it, and nothing is shown": {fake.DefaultAccount, first, []v1alpha1.LedgerEntry{madeUp}, empty.at(second), v1alpha1.ReasonEndpointUnverified},
		"ended by the provider":                        {fake.DefaultAccount, first, []v1alpha1.LedgerEntry{ended}, empty.at(second), ""},
		"a driver that cannot show":                    {fake.DefaultAccount, first, []v1alpha1.LedgerEntry{former}, cannotShow, v1alpha1.ReasonEndpointUnverified},
		"another driver at the same URL":               {fake.DefaultAccount, first, []v1alpha1.LedgerEntry{ended}, otherDriver, v1alpha1.ReasonEndpointUnverified},
		"another account at another URL":               {fake.DefaultAccount, first, []v1alpha1.LedgerEntry{other}, a.at(second), v1alpha1.ReasonProviderAccountChanged},
		"another account was recorded by mistake":      {"wrong", second, []v1alpha1.LedgerEntry{former}, a.at(second), ""},
		"a lost status, shown":                         {"", "", []v1alpha1.LedgerEntry{former}, a.at(second), ""},
		"a lost status, not shown":                     {"", "", []v1alpha1.LedgerEntry{former}, empty.at(second), v1alpha1.ReasonEndpointUnverified},
		"an earlier version, the same host":            {fake.DefaultAccount + "@" + second, "", []v1alpha1.LedgerEntry{former}, empty.at(second), ""},
		"an earlier version, another host":             {fake.DefaultAccount + "@" + first, "", []v1alpha1.LedgerEntry{former}, empty.at(second), v1alpha1.ReasonEndpointUnverified},
	} {
		t.Run(name, func(t *testing.T) {
			r, o := moved(t, c.account, c.endpoint, c.entries...)
			err := r.accept(t.Context(), o, c.connection)
			v, _ := refusedMove(err)
			if v.reason != c.reason || (err == nil) != (c.reason == "") {
				t.Errorf("got %v, want reason %q", err, c.reason)
			}
		})
	}
}

// TestVerificationContinuesInTheNextTurn: it keeps the credentials that the endpoint has
// shown.
func TestVerificationContinuesInTheNextTurn(t *testing.T) {
	s := newServer(t)
	entries := []v1alpha1.LedgerEntry{s.mint(t, "one"), s.mint(t, "two"), s.mint(t, "three")}
	var wanted []entry
	for _, e := range entries {
		wanted = append(wanted, entry{LedgerEntry: e})
	}
	finds := 0
	v := &verification{client: s.client, caps: provider.Capabilities{Listed: 100}, shown: &shown{ids: map[string][]string{}},
		late: func() bool { finds++; return finds > 2 }}
	if _, err := v.missing(t.Context(), wanted); !errors.Is(err, errLater) || v.count(wanted) != 2 {
		t.Fatalf("after a turn %d are shown: %v", v.count(wanted), err)
	}
	v.late = func() bool { return false }
	if missing, err := v.missing(t.Context(), wanted); err != nil || len(missing) > 0 || s.backend.Count(fake.Find) != 3 {
		t.Errorf("%v are missing after %d finds: %v", missing, s.backend.Count(fake.Find), err)
	}
}
