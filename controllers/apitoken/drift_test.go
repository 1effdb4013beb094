package apitoken_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
)

// newSweepingWorld returns a world whose operator sweeps each hour.
func newSweepingWorld(t *testing.T) *world {
	t.Helper()
	w := newEmptyWorld(t)
	w.createMinter()
	w.createProvider()
	w.startSweeping()
	return w
}

// startSweeping starts the operator with a sweep each hour.
func (w *world) startSweeping(edits ...func(*operator.Options)) {
	w.Helper()
	w.start(append(edits, func(o *operator.Options) { o.SweepInterval = time.Hour })...)
}

// longLived declares a lifetime of ten years, so that no rotation is due in these tests.
func longLived(t *v1alpha1.ApiToken) {
	t.Spec.ExpiresIn = &metav1.Duration{Duration: 87600 * time.Hour}
}

// advanceHoursUntil advances the clock hour by hour until why returns "".
func (w *world) advanceHoursUntil(why func() string) {
	w.Helper()
	w.Until(func() string {
		w.clock.Advance(time.Hour)
		return why()
	})
}

// expectDrift advances the clock hour by hour until the credential in use has this drift.
func (w *world) expectDrift(want v1alpha1.CredentialDrift) {
	w.Helper()
	w.advanceHoursUntil(func() string {
		if e := activeOf(w.token("training")); e == nil || e.Drift != want {
			return "the ledger does not say that the drift is " + string(want)
		}
		return ""
	})
}

// declareRepair declares spec.drift: Repair.
func (w *world) declareRepair() {
	w.Helper()
	kit.Change(w.Kit, &v1alpha1.TokenProvider{ObjectMeta: metaOf(w.ns, storeName)}, func(p *v1alpha1.TokenProvider) { p.Spec.Drift = v1alpha1.DriftRepair })
}

// The provider lost the credential in use. Ready is False and says what to do. With Repair, another
// credential is issued.
func TestMissingCredentialIsReportedAndRepairedOnDemand(t *testing.T) {
	t.Parallel()
	w := newSweepingWorld(t)
	first := activeOf(w.issue("training", longLived)).Name
	w.backend.Delete(first)
	w.expectDrift(v1alpha1.DriftMissing)
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonCredentialMissing, "no longer exists at the provider", "spec.rotation.generation")
	w.expectCondition("training", v1alpha1.ConditionDrifted, v1alpha1.ReasonCredentialMissing)
	w.expectEvent("CredentialDrifted", "no longer exists")
	if n := len(w.minted()); n != 1 {
		t.Errorf("%d credentials were issued", n)
	}
	w.declareRepair()
	token := w.waitReplaced("training", first)
	if e := activeOf(token); e.Reason != "CredentialMissing" || e.Drift != "" {
		t.Errorf("the new entry is %+v", e)
	}
	w.usableCredential("training")
	if meta.FindStatusCondition(token.Status.Conditions, v1alpha1.ConditionDrifted) != nil {
		t.Error("the condition Drifted stays")
	}
	if token.Status.MintBudget.Remaining > 4 {
		t.Errorf("the repair was not charged: %+v", token.Status.MintBudget)
	}
}

// The ApiToken becomes Ready again when the credential is enabled.
func TestDisabledCredentialIsNeverReplaced(t *testing.T) {
	t.Parallel()
	w := newSweepingWorld(t)
	w.declareRepair()
	name := activeOf(w.issue("training", longLived)).Name
	w.backend.Disable(name)
	w.expectDrift(v1alpha1.DriftDisabled)
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonCredentialDisabled, "is disabled at the provider")
	w.backend.Enable(name)
	w.expectDrift("")
	w.expectEvent("CredentialRecovered", "as it was issued")
	token := w.waitReady("training")
	if meta.FindStatusCondition(token.Status.Conditions, v1alpha1.ConditionDrifted) != nil || len(w.minted()) != 1 {
		t.Errorf("conditions %v, issued %v", token.Status.Conditions, w.minted())
	}
}

// The condition says that the credential allows more than declared.
func TestWidenedCredentialStaysReady(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.backend.ShowsGrants = true
	w.createMinter()
	w.createProvider()
	w.startSweeping()
	w.declareRepair()
	name := activeOf(w.issue("training", longLived)).Name
	w.backend.Grants(name, provider.Grant{Scopes: []string{"objectstorage:object-read-only"}, Buckets: []string{"*"}})
	w.expectDrift(v1alpha1.DriftChanged)
	token := w.expectCondition("training", v1alpha1.ConditionDrifted, v1alpha1.ReasonCredentialChanged, "more access")
	if !meta.IsStatusConditionTrue(token.Status.Conditions, v1alpha1.ConditionReady) || len(w.minted()) != 1 {
		t.Errorf("conditions %v, issued %v", token.Status.Conditions, w.minted())
	}
	w.expectEvent("CredentialDrifted", "more access")
}

// The list omits a credential that Find returns.
func TestListAloneChangesNoApiToken(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.createMinter()
	w.createProvider()
	drivers, err := registry.New(registry.Entry{Driver: listless{w.driver}, Settings: func(s registry.Spec) (any, bool) { return nil, s.AWS != nil }})
	w.OK(err)
	w.startSweeping(func(o *operator.Options) { o.Registry = drivers })
	w.declareRepair()
	w.issue("training", longLived)
	finds := w.backend.Count(fake.Find)
	w.advanceHoursUntil(func() string {
		if w.backend.Count(fake.Find) < finds+3 {
			return "the provider was not asked three times"
		}
		return ""
	})
	token := w.waitIdle("training")
	if activeOf(token).Drift != "" || !meta.IsStatusConditionTrue(token.Status.Conditions, v1alpha1.ConditionReady) || len(w.minted()) != 1 {
		t.Errorf("status %+v, issued %v", token.Status, w.minted())
	}
}

// listless is a driver whose List returns nothing.
type listless struct{ *fake.Driver }

func (d listless) Connect(ctx context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	c, account, err := d.Driver.Connect(ctx, cfg)
	return listlessClient{c}, account, err
}

type listlessClient struct{ provider.Client }

func (listlessClient) List(context.Context, provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(func(provider.Credential, error) bool) {}
}

// No list contains manual credentials. The operator probes each once a day, and again an hour after a
// rejection.
func TestManualCredentialIsMissingAfterTwoRejections(t *testing.T) {
	t.Parallel()
	w := newPanelWorld(t)
	w.operator.stop(w)
	w.startSweeping()
	w.declare("training", longLived)
	w.expectActionRequired(v1alpha1.ReasonCreateCredential)
	id := w.handOver()
	w.waitReady("training")
	w.backend.DeleteManual(id)
	w.expectDrift(v1alpha1.DriftMissing)
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonCredentialMissing, id)
	w.declareRepair()
	w.expectActionRequired(v1alpha1.ReasonCreateCredential, "Panel > Add")
}
