package apitoken

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/secretstore"
	"apitoken.dev/operator/test/support/apifake"
	"apitoken.dev/operator/test/support/testutil"
)

// A credential expires while its ApiToken waits for a place, so Ready becomes False. Otherwise waiting
// writes nothing.
func TestExpiryIsReportedWhileWaitingForAPlace(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := testutil.NewClock(now)
	c := apifake.NewServer(func() time.Time { return now }).Client(nil)
	create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ml"}})
	token := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "training"}}
	if err := c.Create(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	expiry := metav1.NewTime(now.Add(time.Hour))
	token.Status.Credentials = []v1alpha1.LedgerEntry{{Name: "one", State: v1alpha1.StateActive, ExpiresAt: &expiry, Fingerprint: plan.Fingerprint(&token.Spec)}}
	meta.SetStatusCondition(&token.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady})
	if err := c.Status().Update(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	r := New(Options{Client: c, Live: c, Clock: clock})
	wait := func() bool {
		t.Helper()
		p := &reconciliation{token: token.DeepCopy(), base: token.Status.DeepCopy(), obs: plan.Observation{Now: clock.Now()}}
		p.target = secretstore.Target{Token: p.token}
		p.seen.View = plan.Secret{Exists: true, Live: true, Intact: true, Credential: "one"}
		r.refresh(p)
		if _, err := r.report(t.Context(), p, plan.Decision{}, plan.NoPlace{}); err != nil {
			t.Fatal(err)
		}
		if p.place != nil {
			t.Error("it has a place")
		}
		before := token.ResourceVersion
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(token), token); err != nil {
			t.Fatal(err)
		}
		return token.ResourceVersion != before
	}
	if wait() {
		t.Error("waiting with a credential that works wrote the status")
	}
	clock.Advance(time.Hour)
	if !wait() || meta.IsStatusConditionTrue(token.Status.Conditions, v1alpha1.ConditionReady) {
		t.Errorf("the credential expired, and the conditions are %+v", token.Status.Conditions)
	}
	if wait() {
		t.Error("waiting wrote the status again")
	}
}

// In a namespace, revocations come first, then rotations by remaining time, then first credentials, and
// last all actions for a credential that only a Secret claims.
func TestActionsAskForTheirClassOfPlace(t *testing.T) {
	const name = "training"
	due := &metav1.Time{Time: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	ledger := []v1alpha1.LedgerEntry{{Name: "own-active", State: v1alpha1.StateActive, ExpiresAt: due}}
	claimed := plan.Observation{
		Secret: plan.Secret{Live: true, Exists: true, Credential: "own-1"}, Token: plan.Token{Owns: func(string) bool { return true }}}
	admitted := plan.Observation{Provider: plan.Provider{Admitted: true}}
	for what, test := range map[string]struct {
		action plan.Action
		ledger []v1alpha1.LedgerEntry
		obs    plan.Observation
		class  places.Class
		due    time.Time
		mints  bool
	}{
		"a deletion":                    {action: plan.Purge{}, ledger: ledger, obs: admitted, class: places.Ends},
		"a revocation":                  {action: plan.Revoke{}, ledger: ledger, obs: admitted, class: places.Ends},
		"a rotation":                    {action: plan.Issue{}, ledger: ledger, obs: admitted, class: places.Rotates, due: due.Time, mints: true},
		"a change in place":             {action: plan.Update{}, ledger: ledger, obs: admitted, class: places.Rotates, due: due.Time},
		"a first credential":            {action: plan.Issue{}, obs: admitted, class: places.Issues, mints: true},
		"a deletion of what is claimed": {action: plan.Purge{}, obs: claimed, class: places.Rest},
		"a lookup of what is claimed":   {action: plan.FindRestored{}, obs: claimed, class: places.Rest},
	} {
		token := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: name}}
		token.Status.Credentials = test.ledger
		got := placeFor(&reconciliation{token: token, action: test.action, obs: test.obs})
		if got.Class != test.class || !got.Due.Equal(test.due) || got.Mints != test.mints || got.Who != nameOf(token) {
			t.Errorf("%s asks for %+v", what, got)
		}
	}
}

// A cache that lags shows the ApiToken with its finalizer. Its credentials are not revoked again.
func TestRemovedFinalizerIsNotRepeated(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	c := apifake.NewServer(func() time.Time { return now }).Client(nil)
	token := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "training", Finalizers: []string{v1alpha1.Finalizer}}}
	create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ml"}})
	if err := c.Create(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	r := New(Options{Client: c, Live: c, Clock: testutil.NewClock(now)})
	p := &reconciliation{token: token.DeepCopy(), base: token.Status.DeepCopy()}
	if err := r.removeFinalizer(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	token.ResourceVersion = p.token.ResourceVersion // as in the response of the API server
	if !r.memory.Writes.After(token) {
		t.Error("the version with the finalizer is treated as the newest")
	}
	if !r.memory.Writes.After(token) {
		t.Error("the second time it is treated as the newest")
	}
	without := token.DeepCopy()
	without.Finalizers = []string{"example.com/hold"}
	if r.memory.Writes.After(without) {
		t.Error("an object that another finalizer keeps is treated as an older version")
	}
}
