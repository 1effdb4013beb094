package apitoken

import (
	"testing"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/testutil"
)

// A rotation is counted when the ledger has another credential in use.
func TestRotationsAreCounted(t *testing.T) {
	entries := func(of ...string) *v1alpha1.ApiTokenStatus {
		s := &v1alpha1.ApiTokenStatus{}
		for i := 0; i+2 < len(of); i += 3 {
			s.Credentials = append(s.Credentials, v1alpha1.LedgerEntry{Name: of[i], State: v1alpha1.CredentialState(of[i+1]), Reason: of[i+2]})
		}
		return s
	}
	for name, c := range map[string]struct {
		before, after *v1alpha1.ApiTokenStatus
		reason        string
		want          float64
	}{
		"the first one":              {entries("a", "Minting", "Initial"), entries("a", "Active", "Initial"), "Initial", 0},
		"one after a restore":        {entries(), entries("a", "Active", "Restored"), "Restored", 0},
		"a scheduled one":            {entries("a", "Active", "Initial", "b", "Minting", "Scheduled"), entries("a", "Retiring", "Initial", "b", "Active", "Scheduled"), "Scheduled", 1},
		"one that was adopted":       {entries("b", "Abandoned", "SpecChanged"), entries("b", "Active", "SpecChanged"), "SpecChanged", 1},
		"a write without a change":   {entries("b", "Active", "SecretLost"), entries("b", "Active", "SecretLost"), "SecretLost", 0},
		"a reservation":              {entries("a", "Active", "Initial"), entries("a", "Active", "Initial", "b", "Minting", "RotationRequested"), "RotationRequested", 0},
		"the first manual one":       {entries("a", "Minting", "HandedOver"), entries("a", "Active", "HandedOver"), "HandedOver", 0},
		"another manual one":         {entries("a", "Active", "HandedOver", "b", "Minting", "HandedOver"), entries("a", "Retiring", "HandedOver", "b", "Active", "HandedOver"), "HandedOver", 1},
		"one after the Secret's end": {entries("a", "Retiring", "Initial", "b", "Minting", "SecretChanged"), entries("b", "Active", "SecretChanged"), "SecretChanged", 1},
	} {
		rotated(name, c.before, c.after)
		if got := testutil.Series(t, "apitoken_rotations_total", map[string]string{"driver": name, "reason": c.reason, "result": "ok"}).GetCounter().GetValue(); got != c.want {
			t.Errorf("%s: counted %g times, want %g", name, got, c.want)
		}
	}
}

// TestFailedRotationsAreCounted: which attempts count is decided in internal/plan.
func TestFailedRotationsAreCounted(t *testing.T) {
	for name, c := range map[string]struct {
		out  plan.Outcome
		want float64
	}{
		"it works":           {nil, 0},
		"the provider fails": {plan.CallFailed{Verb: "mint", Cause: &provider.Error{}}, 1},
	} {
		rotationFailed(name, plan.IssueScheduled, &v1alpha1.ApiTokenStatus{}, c.out)
		if got := testutil.Series(t, "apitoken_rotations_total", map[string]string{"driver": name, "reason": string(plan.IssueScheduled), "result": "failed"}).GetCounter().GetValue(); got != c.want {
			t.Errorf("%s: counted %g times, want %g", name, got, c.want)
		}
	}
}
