package conformance

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
)

var describing = []Requirement{
	{
		Name: "CapabilitiesAreConstant", Test: capabilitiesAreConstant,
		Sentence: "A driver MUST name itself and MUST return the same Capabilities each time, with a settle time, an enforcer of expiry and room for a credential name.",
	},
	{
		Name: "AccountIsStable", Test: accountIsStable,
		Sentence: "Connect MUST return the same account ID each time it reaches the same account.",
	},
	{
		Name: "WrongCredentialsAreUnauthenticated", Test: wrongCredentials,
		Sentence: "Connect MUST fail with CodeUnauthenticated when the minting credentials are not accepted.",
		Applies:  func(h Harness) bool { return len(h.Config.Credentials) > 0 },
		Needs:    func(h Harness) bool { return h.Wrong != nil },
	},
	{
		Name: "ConnectionHoldsNoSecrets", Test: connectionHoldsNoSecrets,
		Sentence: "Connection MUST return the same keys each time and MUST NOT return secrets or the keys of the credential. Keys of SettingsKeys MUST be the same for every grant.",
		Applies:  func(h Harness) bool { _, ok := provider.As[provider.Connector](h.Driver); return ok },
	},
}

var minting = []Requirement{
	{
		Name: "MintReturnsNameIDAndSecret", Test: mintReturns,
		Sentence: "Mint MUST return the name asked for, an ID, and every key that SecretKeys names, with a value.",
		Needs:    obtains,
	},
	{
		Name: "ExpiryIsReturned", Test: expiryIsReturned,
		Sentence: "Mint MUST return when the credential ends, not later than asked, if the provider ends it.",
		Needs:    obtains,
	},
	{
		Name: "MintedIsAccepted", Test: mintedIsAccepted,
		Sentence: "A minted credential MUST be accepted by the data plane.",
		Needs:    func(h Harness) bool { return obtains(h) && h.Alive != nil },
	},
	{
		Name: "TwoAreLiveAtOnce", Test: twoAreLive,
		Sentence: "Two credentials of one owner MUST be live at once, and revoking one MUST leave the other alone.",
		Applies:  roomForTwo,
	},
	{
		Name: "LongestNamesWork", Test: longestNames,
		Sentence: "Names up to Capabilities.MaxName MUST work.",
		Applies:  byAPI,
	},
	{
		Name: "ConcurrentMints", Test: concurrentMints,
		Sentence: "A Client MUST be safe for concurrent use.",
		Applies:  byAPI,
	},
}

func capabilitiesAreConstant(t *testing.T, h Harness) {
	if h.Driver.Type() == "" {
		t.Error("Type is empty")
	}
	caps := h.Driver.Capabilities()
	if diff := cmp.Diff(caps, h.Driver.Capabilities()); diff != "" {
		t.Errorf("Capabilities changed (-first +second):\n%s", diff)
	}
	if caps.Settle <= 0 {
		t.Errorf("Settle is %s: no provider forgets a request the moment its client gives up", caps.Settle)
	}
	enforcers := []provider.Enforcer{provider.EnforcedByProvider, provider.EnforcedByOperator, provider.EnforcedByUser}
	if !slices.Contains(enforcers, caps.ExpiryEnforcedBy) {
		t.Errorf("ExpiryEnforcedBy is %q, want one of %v", caps.ExpiryEnforcedBy, enforcers)
	}
	if caps.MaxName != 0 && caps.MaxName < credname.MinLength {
		t.Errorf("MaxName is %d: names of this operator need %d", caps.MaxName, credname.MinLength)
	}
}

func accountIsStable(t *testing.T, h Harness) {
	first, second := open(t, h), open(t, h)
	if first.account.ID == "" {
		t.Error("the account ID is empty")
	}
	if first.account.ID != second.account.ID {
		t.Errorf("the account ID changed from %q to %q", first.account.ID, second.account.ID)
	}
}

func wrongCredentials(t *testing.T, h Harness) {
	cfg := h.Config
	cfg.Credentials = h.Wrong
	if cfg.HTTP == nil {
		cfg.HTTP = http.DefaultClient
	}
	_, _, err := bound(t, h).Connect(t.Context(), cfg)
	if err == nil {
		t.Fatal("Connect accepted wrong credentials")
	}
	if got := provider.AsError(err).Code; got != provider.CodeUnauthenticated {
		t.Errorf("code: got %s (%v), want %s", got, err, provider.CodeUnauthenticated)
	}
	checkMessage(t, h, err)
}

func connectionHoldsNoSecrets(t *testing.T, h Harness) {
	connector, ok := provider.As[provider.Connector](h.Driver)
	if !ok {
		t.Fatal("not a Connector")
	}
	got := connector.Connection(h.Config, h.Grant())
	if diff := cmp.Diff(got, connector.Connection(h.Config, h.Grant())); diff != "" {
		t.Errorf("Connection changed (-first +second):\n%s", diff)
	}
	narrower := h.Grant()
	narrower.Buckets, narrower.Scopes = []string{"conformance-other"}, nil
	settings := provider.ConnectionOf(h.Driver, h.Config, h.Grant()).Settings
	if diff := cmp.Diff(settings, provider.ConnectionOf(h.Driver, h.Config, narrower).Settings); diff != "" {
		t.Errorf("keys of SettingsKeys follow from the declaration (-grant +another):\n%s", diff)
	}
	for key, value := range got {
		if slices.Contains(h.SecretKeys, key) {
			t.Errorf("key %s belongs to the credential", key)
		}
		for name, secret := range h.Config.Credentials {
			if !secret.Empty() && strings.Contains(value, secret.Reveal()) {
				t.Errorf("key %s holds the minting credential %s", key, name)
			}
		}
	}
}

func mintReturns(t *testing.T, h Harness) {
	w := open(t, h)
	req := w.request(w.owner("first"))
	minted := w.mint(req)
	if minted.Credential.Name != req.Name {
		t.Errorf("name: got %q, want %q", minted.Credential.Name, req.Name)
	}
	if minted.Credential.ID == "" {
		t.Error("the ID is empty")
	}
	if minted.Credential.State != provider.Live {
		t.Error("a minted credential is not live")
	}
	if minted.UsableAfter < 0 {
		t.Errorf("UsableAfter is %s", minted.UsableAfter)
	}
	for _, key := range h.SecretKeys {
		if minted.Secret[key].Empty() {
			t.Errorf("the key %s is missing or empty", key)
		}
	}
	if keyer, ok := provider.As[provider.SecretKeyer](h.Driver); !ok {
		t.Error("the driver is no SecretKeyer, so the plugin cannot tell the keys of its credentials from others")
	} else if diff := cmp.Diff(slices.Sorted(slices.Values(h.SecretKeys)), slices.Sorted(slices.Values(keyer.SecretKeys(h.Config, req.Grant)))); diff != "" {
		t.Errorf("SecretKeys (-Harness.SecretKeys +Driver):\n%s", diff)
	}
	for key := range minted.Secret {
		if !slices.Contains(h.SecretKeys, key) {
			t.Errorf("the key %s is not declared", key)
		}
	}
}

func expiryIsReturned(t *testing.T, h Harness) {
	w := open(t, h)
	req := w.request(w.owner("first"))
	got := w.mint(req).Credential.ExpiresAt
	if got.IsZero() && provider.CapabilitiesFor(h.Driver, req.Grant).ExpiryEnforcedBy == provider.EnforcedByProvider {
		t.Error("the provider ends it, but no expiry was returned")
	}
	if got.After(req.Grant.ExpiresAt) {
		t.Errorf("it ends at %s, later than the %s asked for", got, req.Grant.ExpiresAt)
	}
	for _, c := range w.find(req.Name) {
		if c.ExpiresAt.After(req.Grant.ExpiresAt) {
			t.Errorf("Find says it ends at %s, later than the %s asked for", c.ExpiresAt, req.Grant.ExpiresAt)
		}
	}
}

func mintedIsAccepted(t *testing.T, h Harness) {
	w := open(t, h)
	w.wantAlive(w.mint(w.request(w.owner("first"))), true)
}

func twoAreLive(t *testing.T, h Harness) {
	w := open(t, h)
	older, newer := w.mint(w.request(w.owner("first"))), w.mint(w.request(w.owner("first")))
	if older.Credential.ID == newer.Credential.ID {
		t.Error("both have the same ID")
	}
	w.wantAlive(older, true)
	w.wantAlive(newer, true)
	w.revoke(provider.Ref{Name: older.Credential.Name})
	w.wantAlive(newer, true)
	if got := live(w.find(newer.Credential.Name)); len(got) != 1 {
		t.Errorf("after revoking the older one, %d live are found under the newer name, want 1", len(got))
	}
}

func longestNames(t *testing.T, h Harness) {
	w := open(t, h)
	req := w.longest(w.owner("first"))
	w.mint(req)
	if got := live(w.find(req.Name)); len(got) != 1 {
		t.Errorf("%d live are found under the %d characters of %s, want 1", len(got), len(req.Name), req.Name)
	}
}

func concurrentMints(t *testing.T, h Harness) {
	w := open(t, h)
	n := most(h, 4)
	var wg sync.WaitGroup
	for range n {
		req := w.request(w.owner("first"))
		w.tidy(req.Name)
		wg.Go(func() {
			if _, err := w.client.Mint(w.ctx, req); err != nil {
				t.Errorf("Mint(%s): %v", req.Name, err)
			}
		})
	}
	wg.Wait()
	if got := live(w.list(w.owner("first"))); len(got) != n {
		t.Errorf("%d are listed, want %d", len(got), n)
	}
}
