package plan_test

import (
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

func TestNoteSaysWhatHappensToTheSecretOfAnExpiredCredential(t *testing.T) {
	cases := map[string]struct {
		secret plan.Secret
		want   string
	}{
		"gone":          {plan.Secret{}, `, and Secret "training" is deleted`},
		"of another":    {plan.Secret{Exists: true, Foreign: true}, ""},
		"has finalizer": {plan.Secret{Exists: true, Deleting: true, HeldBy: "a/b"}, `, and Secret "training" is being deleted, and waits for its finalizers (a/b)`},
		"not deleted":   {plan.Secret{Exists: true}, `, and Secret "training" could not be deleted`},
	}
	for name, c := range cases {
		if got := plan.SecretAtEnd("training", &c.secret); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestNoteListsAtMostFiveCredentials(t *testing.T) {
	cases := map[string]struct {
		names []string
		want  string
	}{
		"one":  {[]string{"a"}, "a"},
		"five": {[]string{"a", "b", "c", "d", "e"}, "a, b, c, d, e"},
		"more": {[]string{"a", "b", "c", "d", "e", "f", "g"}, "a, b, c, d, e and 2 more"},
	}
	for name, c := range cases {
		if got := plan.Listed(c.names); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestNoteNamesWhoChangedTheSecret(t *testing.T) {
	for manager, want := range map[string]string{"": "another client", "kubectl": `field manager "kubectl"`} {
		if got := plan.ManagedBy(manager); got != want {
			t.Errorf("%q: %q, want %q", manager, got, want)
		}
	}
}

func TestNoteNamesTheCredentialsThatRetainLeavesLive(t *testing.T) {
	retiring := func(name string, in time.Duration) v1alpha1.LedgerEntry {
		e := active(name).LedgerEntry
		e.State, e.RetireAt = v1alpha1.StateRetiring, at(now.Add(in))
		return e
	}
	held := active("own-active").LedgerEntry
	attempt := v1alpha1.LedgerEntry{Name: "own-attempt", State: v1alpha1.StateAbandoned}
	const (
		live     = ". Other credentials of this ApiToken stay live until you revoke them at the provider: "
		doubtful = ". The operator had started to revoke others; check at the provider whether they are gone: "
	)
	cases := map[string]struct {
		entries []v1alpha1.LedgerEntry
		want    string
	}{
		"only the one in the Secret": {[]v1alpha1.LedgerEntry{held}, ""},
		"overlap":                    {[]v1alpha1.LedgerEntry{retiring("own-old", time.Hour), held}, live + "AKIAown-old"},
		"unknown outcome":            {[]v1alpha1.LedgerEntry{held, attempt}, live + "own-attempt"},
		"revocation started":         {[]v1alpha1.LedgerEntry{retiring("own-old", 0), held}, doubtful + "AKIAown-old"},
		"both": {[]v1alpha1.LedgerEntry{retiring("own-old", -time.Hour), held, attempt},
			live + "own-attempt" + doubtful + "AKIAown-old"},
	}
	for name, c := range cases {
		if got := plan.AlsoRetained(c.entries, held.Name, now); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
