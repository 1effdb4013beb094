package apitoken

import (
	"maps"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/memory"
)

// TestRepairedCredentialsCountAsDrifting: Repair must not go through all credentials, a few at a
// time, because the provider has lost its list.
func TestRepairedCredentialsCountAsDrifting(t *testing.T) {
	now := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	token := func(name string, edit func(*v1alpha1.LedgerEntry)) v1alpha1.ApiToken {
		issued := metav1.NewTime(now.Add(-time.Hour))
		e := v1alpha1.LedgerEntry{State: v1alpha1.StateActive, Reason: "CredentialMissing", IssuedAt: &issued}
		edit(&e)
		out := v1alpha1.ApiToken{Status: v1alpha1.ApiTokenStatus{Credentials: []v1alpha1.LedgerEntry{e}}}
		out.Name = name
		return out
	}
	old := metav1.NewTime(now.Add(-memory.DriftPeriod))
	deleted := token("deleted", func(*v1alpha1.LedgerEntry) {})
	deleted.DeletionTimestamp = &old
	got, all := driftingOf([]v1alpha1.ApiToken{
		token("repaired", func(*v1alpha1.LedgerEntry) {}),
		token("drifts", func(e *v1alpha1.LedgerEntry) { e.Reason, e.Drift = "Initial", v1alpha1.DriftChanged }),
		token("repaired-long-ago", func(e *v1alpha1.LedgerEntry) { e.IssuedAt = &old }),
		token("neither", func(e *v1alpha1.LedgerEntry) { e.Reason = "Scheduled" }),
		token("not-in-use", func(e *v1alpha1.LedgerEntry) { e.State = v1alpha1.StateRetiring }),
		deleted,
	}, now)
	want := map[types.NamespacedName]bool{{Name: "repaired"}: true, {Name: "drifts"}: true}
	if !maps.Equal(got, want) || all != 4 {
		t.Errorf("of %d, %v drift", all, got)
	}
}
