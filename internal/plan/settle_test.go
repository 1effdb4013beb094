package plan_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// TestOnlyARejectionUndoesTheReservation: after any other error the attempt is abandoned.
func TestOnlyARejectionUndoesTheReservation(t *testing.T) {
	charged := plan.Issue{Charged: true}
	quota := &provider.Error{Code: provider.CodeQuota, NotExecuted: true, RetryAfter: time.Minute}
	doubt := &provider.Error{Code: provider.CodeUnavailable, RetryAfter: time.Minute}
	cases := map[string]struct {
		reason   string
		err      error
		attempt  plan.Issue
		manual   bool
		want     plan.Rejection
		rejected bool
	}{
		"rejected":              {"the charge is returned", quota, charged, false, plan.Rejection{Refunds: true, Pause: time.Minute}, true},
		"rejected, not charged": {"there is no charge", quota, plan.Issue{}, false, plan.Rejection{Pause: time.Minute}, true},
		"no answer":             {"it may have been carried out", doubt, charged, false, plan.Rejection{Pause: time.Minute}, false},
		"another error":         {"it is unknown whether it was carried out", errors.New("x"), charged, false, plan.Rejection{}, false},
		"submitted, refused":    {"another one can follow at once, and is charged", provider.Invalid("x"), charged, true, plan.Rejection{AtOnce: true}, true},
		"submitted, quota":      {"the same one can succeed later", quota, charged, true, plan.Rejection{Pause: time.Minute}, true},
		"minted, refused":       {"the same request is refused each time", provider.Invalid("x"), plan.Issue{}, false, plan.Rejection{}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, rejected := plan.MintFailed(tc.err, tc.attempt, tc.manual)
			if got != tc.want || rejected != tc.rejected {
				t.Errorf("%s: got %+v, rejected %t, want %+v and %t", tc.reason, got, rejected, tc.want, tc.rejected)
			}
		})
	}
}

// TestErrorsOfUpdatesEditsAndPublishesAreClassified: what follows from an error of each call.
func TestErrorsOfUpdatesEditsAndPublishesAreClassified(t *testing.T) {
	of := func(code provider.Code, notExecuted bool) error {
		return &provider.Error{Code: code, NotExecuted: notExecuted}
	}
	for name, tc := range map[string]struct{ got, want bool }{
		"a change that was not sent":      {plan.UpdateCanRetry(of(provider.CodeUnavailable, true)), true},
		"a change that is rate-limited":   {plan.UpdateCanRetry(of(provider.CodeRateLimited, true)), true},
		"a change without an answer":      {plan.UpdateCanRetry(of(provider.CodeUnavailable, false)), false},
		"a change that is invalid":        {plan.UpdateCanRetry(of(provider.CodeInvalid, true)), false},
		"an edited credential is invalid": {plan.RefusesEdit(of(provider.CodeInvalid, false)), true},
		"an edit without an answer":       {plan.RefusesEdit(of(provider.CodeUnavailable, false)), false},
		"an edit that is rate-limited":    {plan.RefusesEdit(of(provider.CodeRateLimited, true)), false},
		"a publish that is refused":       {plan.NeedsNoFence(plan.SecretRefused{}), true},
		"a publish without an answer":     {plan.NeedsNoFence(plan.NotSent{}), false},
		"a publish after another write":   {plan.NeedsNoFence(plan.Superseded{}), false},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %t", name, tc.got)
		}
	}
}

// TestRotationIsCountedWhenACredentialReplacesAnother: the first credential is not a rotation.
func TestRotationIsCountedWhenACredentialReplacesAnother(t *testing.T) {
	entries := func(of ...string) *v1alpha1.ApiTokenStatus {
		s := &v1alpha1.ApiTokenStatus{}
		for i := 0; i+2 < len(of); i += 3 {
			s.Credentials = append(s.Credentials, v1alpha1.LedgerEntry{Name: of[i], State: v1alpha1.CredentialState(of[i+1]), Reason: of[i+2]})
		}
		return s
	}
	counts := func(reasons ...plan.IssueReason) []plan.IssueReason { return reasons }
	for name, c := range map[string]struct {
		before, after *v1alpha1.ApiTokenStatus
		want          []plan.IssueReason
	}{
		"the first one":       {entries("a", "Minting", "Initial"), entries("a", "Active", "Initial"), nil},
		"one after a restore": {entries(), entries("a", "Active", "Restored"), nil},
		"a scheduled one": {entries("a", "Active", "Initial", "b", "Minting", "Scheduled"),
			entries("a", "Retiring", "Initial", "b", "Active", "Scheduled"), counts(plan.IssueScheduled)},
		"one that was adopted":  {entries("b", "Abandoned", "SpecChanged"), entries("b", "Active", "SpecChanged"), counts(plan.IssueSpecChanged)},
		"a write without it":    {entries("b", "Active", "SecretLost"), entries("b", "Active", "SecretLost"), nil},
		"a reservation":         {entries("a", "Active", "Initial"), entries("a", "Active", "Initial", "b", "Minting", "RotationRequested"), nil},
		"the first one, manual": {entries("a", "Minting", "HandedOver"), entries("a", "Active", "HandedOver"), nil},
		"another one, manual": {entries("a", "Active", "HandedOver", "b", "Minting", "HandedOver"),
			entries("a", "Retiring", "HandedOver", "b", "Active", "HandedOver"), counts(plan.IssueHandedOver)},
		"one after the Secret's end": {entries("a", "Retiring", "Initial", "b", "Minting", "SecretChanged"),
			entries("b", "Active", "SecretChanged"), counts(plan.IssueSecretChanged)},
		"a reason of another version": {entries("b", "Minting", "Later"), entries("b", "Active", "Later"), counts("Later")},
	} {
		equal(t, name, plan.Rotated(c.before, c.after), c.want)
	}
}

func TestRepeatedOrWaitingAttemptIsNotAFailedRotation(t *testing.T) {
	failed := plan.Failed{Err: errors.New("x")}
	for name, c := range map[string]struct {
		reason plan.IssueReason
		out    plan.Outcome
		want   bool
	}{
		"it succeeds":             {plan.IssueScheduled, nil, false},
		"the provider fails":      {plan.IssueScheduled, callFailed(provider.CodeUnknown), true},
		"the Secret is refused":   {plan.IssueSpecChanged, plan.SecretRefused{}, true},
		"it was superseded":       {plan.IssueScheduled, plan.Superseded{}, false},
		"it has no place":         {plan.IssueScheduled, plan.NoPlace{}, false},
		"a user has not acted":    {plan.IssueScheduled, plan.NeedsUser{}, false},
		"the first one":           {plan.IssueInitial, failed, false},
		"the first one, manual":   {plan.IssueHandedOver, failed, false},
		"the deadline has passed": {plan.IssueSecretLost, plan.Unfinished{Why: plan.TooLate}, true},
	} {
		if got := plan.RotationFailed(c.reason, &v1alpha1.ApiTokenStatus{}, c.out); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

// TestCredentialThatExpiredOnArrivalIsInDoubt: it is abandoned and revoked, and not published.
func TestCredentialThatExpiredOnArrivalIsInDoubt(t *testing.T) {
	for name, c := range map[string]struct {
		expires time.Time
		want    string
	}{
		"expiry unknown":   {time.Time{}, ""},
		"expires later":    {now.Add(time.Second), ""},
		"expires now":      {now, "the provider returned a credential that expired at " + now.Format(time.RFC3339)},
		"expired long ago": {now.Add(-time.Hour), "valid until " + now.Add(time.Hour).Format(time.RFC3339)},
	} {
		err := plan.ExpiredOnArrival(provider.Credential{ExpiresAt: c.expires}, now.Add(time.Hour), now)
		if (err == nil) != (c.want == "") || err != nil && (!provider.InDoubt(err) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
