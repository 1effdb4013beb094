package orphansweep

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/testutil"
)

// doubts returns a sweeper, and a function that returns the sorted names that were doubted
// since its last call.
func (w *world) doubts() (*Sweeper, func() []string) {
	var doubted []string
	w.missed = map[string]bool{}
	w.options.Doubt = func(token types.NamespacedName, credential string, missed bool) {
		if token.Namespace != w.namespace {
			w.Errorf("%s is doubted in another namespace", credential)
		}
		if missed {
			w.missed[credential] = true
		}
		doubted = append(doubted, credential)
	}
	return New(w.options), func() []string {
		out := doubted
		doubted = nil
		slices.Sort(out)
		return out
	}
}

// inUse creates an ApiToken with a live credential, and edits its entry.
func (w *world) inUse(name string, edits ...func(*v1alpha1.LedgerEntry)) string {
	w.Helper()
	credential := w.mint(w.cluster, name, 1)
	token := w.token(name, 1)
	e := v1alpha1.LedgerEntry{Name: credential, State: v1alpha1.StateActive, ID: w.backend.IDOf(credential), Account: w.account}
	for _, edit := range edits {
		edit(&e)
	}
	token.Status.Credentials = []v1alpha1.LedgerEntry{e}
	w.OK(w.Status().Update(w.Context(), token))
	return credential
}

// doubted sweeps once and compares the doubted names.
func (w *world) doubted(s *Sweeper, got func() []string, want ...string) {
	w.Helper()
	w.clock.at += time.Hour
	w.sweep(s)
	slices.Sort(want)
	if found := got(); !slices.Equal(found, want) {
		w.Errorf("doubted are %v, want %v", found, want)
	}
}

func (w *world) drifted(drift v1alpha1.CredentialDrift) float64 {
	w.Helper()
	return testutil.Series(w.T, "apitoken_drifted_credentials", map[string]string{"provider_kind": "TokenProvider",
		"provider_namespace": w.namespace, "provider": "p", "drift": string(drift)}).GetGauge().GetValue()
}

// TestMissingNeedsTwoLists: a credential that two consecutive complete lists do not show is
// doubted at each sweep until its ledger records the drift. A credential that the lists
// show is not.
func TestMissingNeedsTwoLists(t *testing.T) {
	w := newWorld(t, Report)
	gone, lives := w.inUse("gone"), w.inUse("lives")
	s, got := w.doubts()
	w.doubted(s, got)
	w.backend.Delete(gone)
	w.doubted(s, got)
	w.doubted(s, got, gone)
	w.doubted(s, got, gone)
	if !w.missed[gone] {
		t.Error("the doubt does not say that two lists missed it")
	}
	if n := w.drifted(v1alpha1.DriftMissing); n != 1 {
		t.Errorf("the metric is %v, want 1", n)
	}
	if !w.backend.Live(lives) {
		t.Error("the sweep revoked a credential in use")
	}
}

// TestDisabledAndRecoveredAreDoubtedAtOnce: one list is enough.
func TestDisabledAndRecoveredAreDoubtedAtOnce(t *testing.T) {
	w := newWorld(t, Report)
	off := w.inUse("off")
	back := w.inUse("back", func(e *v1alpha1.LedgerEntry) { e.Drift = v1alpha1.DriftMissing })
	known := w.inUse("known", func(e *v1alpha1.LedgerEntry) { e.Drift = v1alpha1.DriftDisabled })
	w.backend.Disable(off)
	w.backend.Disable(known)
	s, got := w.doubts()
	w.doubted(s, got, off, back)
	if len(w.missed) > 0 {
		t.Errorf("%v counts as missed by two lists", w.missed)
	}
	if n := w.drifted(v1alpha1.DriftDisabled); n != 2 {
		t.Errorf("the metric is %v, want 2", n)
	}
}

// TestWidenedIsDoubted: the provider shows more access than declared.
func TestWidenedIsDoubted(t *testing.T) {
	w := newWorld(t, Report)
	w.backend.ShowsGrants = true
	declared := plan.Fingerprint(&v1alpha1.ApiTokenSpec{Scopes: []v1alpha1.Scope{"billing:read-only"}})
	wide := w.inUse("wide", func(e *v1alpha1.LedgerEntry) { e.Fingerprint = declared })
	w.inUse("as-declared", func(e *v1alpha1.LedgerEntry) { e.Fingerprint = declared })
	w.backend.Grants(wide, provider.Grant{Scopes: []string{"billing:read-only", "billing:write"}})
	s, got := w.doubts()
	w.doubted(s, got, wide)
	if n := w.drifted(v1alpha1.DriftChanged); n != 1 {
		t.Errorf("the metric is %v, want 1", n)
	}
}

// TestAnotherCredentialOfTheNameIsNotTheOneInUse: the ids must be equal.
func TestAnotherCredentialOfTheNameIsNotTheOneInUse(t *testing.T) {
	w := newWorld(t, Report)
	replaced := w.inUse("replaced", func(e *v1alpha1.LedgerEntry) { e.ID = "FAKE-another" })
	s, got := w.doubts()
	w.doubted(s, got)
	w.doubted(s, got, replaced)
}

// TestCredentialsThatAListNeedNotShowAreNotMissing: they have expired, are not in use,
// belong to another account, or their ApiToken is being deleted.
func TestCredentialsThatAListNeedNotShowAreNotMissing(t *testing.T) {
	w := newWorld(t, Report)
	ended := metav1.NewTime(w.clock.Now().Add(time.Hour + plan.NearEnd))
	for name, edit := range map[string]func(*v1alpha1.LedgerEntry){
		"expired":  func(e *v1alpha1.LedgerEntry) { e.ExpiresAt = &ended },
		"minting":  func(e *v1alpha1.LedgerEntry) { e.State = v1alpha1.StateMinting },
		"retiring": func(e *v1alpha1.LedgerEntry) { e.State = v1alpha1.StateRetiring },
		"account":  func(e *v1alpha1.LedgerEntry) { e.Account = "another" },
		"unnamed":  func(e *v1alpha1.LedgerEntry) { e.Account = "" },
	} {
		w.backend.Delete(w.inUse(name, edit))
	}
	s, got := w.doubts()
	w.doubted(s, got)
	w.doubted(s, got)
	w.doubted(s, got)
}
