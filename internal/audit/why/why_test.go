package why

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/audit"
)

// TestEndedNamesTheFirstCause: of several causes the one that leaves no choice is named.
func TestEndedNamesTheFirstCause(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	at := metav1.NewTime(now)
	entry := func(name, reason string, state v1alpha1.CredentialState) v1alpha1.LedgerEntry {
		return v1alpha1.LedgerEntry{Name: name, Reason: reason, State: state, IssuedAt: &at}
	}
	deleted := func(t *v1alpha1.ApiToken) { t.DeletionTimestamp = &at }
	expired := func(t *v1alpha1.ApiToken) {
		end := v1alpha1.Timestamp("2029-12-31T00:00:00Z")
		t.Spec.ExpiresAt = &end
	}
	unanswered := func(t *v1alpha1.ApiToken) { t.Status.Credentials[0].IssuedAt = nil }
	requested := func(t *v1alpha1.ApiToken) { t.Annotations = map[string]string{v1alpha1.AnnotationEnd: "old"} }
	gap := func(t *v1alpha1.ApiToken) { t.Status.GapSince = &at }
	alone := func(t *v1alpha1.ApiToken) { t.Status.Credentials = t.Status.Credentials[:1] }
	for name, c := range map[string]struct {
		given []func(*v1alpha1.ApiToken)
		want  audit.Why
	}{
		"deleted":            {[]func(*v1alpha1.ApiToken){deleted, unanswered, requested, expired}, audit.Why{Reason: audit.ReasonDeleted, AskedBy: audit.AskedByDeletion}},
		"without an answer":  {[]func(*v1alpha1.ApiToken){unanswered, requested, expired}, audit.Why{Reason: audit.ReasonAttemptAbandoned, AskedBy: audit.AskedByRecovery}},
		"its end requested":  {[]func(*v1alpha1.ApiToken){requested, gap, alone, expired}, audit.Why{Reason: audit.ReasonEndRequested, AskedBy: audit.AskedByEnd}},
		"room needed":        {[]func(*v1alpha1.ApiToken){gap, alone, expired}, audit.Why{Reason: audit.ReasonRoomNeeded, AskedBy: audit.AskedByStrategy}},
		"access ended":       {[]func(*v1alpha1.ApiToken){expired, alone}, audit.Why{Reason: audit.ReasonAccessEnded, AskedBy: audit.AskedByExpiresAt}},
		"expired by itself":  {[]func(*v1alpha1.ApiToken){alone}, audit.Why{Reason: audit.ReasonAccessEnded, AskedBy: audit.AskedBySchedule}},
		"replaced by a next": {nil, audit.Why{Reason: audit.ReasonReplaced, AskedBy: audit.AskedBySchedule}},
	} {
		token := &v1alpha1.ApiToken{}
		token.Status.Credentials = []v1alpha1.LedgerEntry{
			entry("old", "Initial", v1alpha1.StateRetiring), entry("given-up", "SpecChanged", v1alpha1.StateAbandoned),
			entry("next", "Scheduled", v1alpha1.StateRetiring), entry("active", "SecretLost", v1alpha1.StateActive),
		}
		for _, given := range c.given {
			given(token)
		}
		var active *v1alpha1.LedgerEntry
		if entries := token.Status.Credentials; len(entries) > 1 {
			active = &entries[len(entries)-1]
		}
		if got := Ended(token, &token.Status.Credentials[0], active, now); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestUnknownReasonsAreNotWritten: a status can hold a reason of a newer version, or of an
// attacker.
func TestUnknownReasonsAreNotWritten(t *testing.T) {
	if got := Issued("Whim"); got != (audit.Why{}) {
		t.Errorf("got %+v", got)
	}
}
