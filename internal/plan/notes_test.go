package plan_test

import (
	"fmt"
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

func TestNoteSaysWhatRetainDoesWithTheSecret(t *testing.T) {
	entry := func(edit func(*v1alpha1.LedgerEntry)) *v1alpha1.LedgerEntry {
		e := active("own-1").LedgerEntry
		e.ID = "K1"
		edit(&e)
		return &e
	}
	retiring := func(in time.Duration) func(*v1alpha1.LedgerEntry) {
		return func(e *v1alpha1.LedgerEntry) { e.State, e.RetireAt = v1alpha1.StateRetiring, at(now.Add(in)) }
	}
	const (
		kept    = `Secret "training" and its credential%s are kept because deletionPolicy is Retain; the operator will not revoke the credential`
		revoked = `deletionPolicy is Retain, but the credential in Secret "training" was already revoked`
	)
	cases := map[string]struct{ got, want string }{
		"in use":             {plan.SecretKept("training", entry(func(*v1alpha1.LedgerEntry) {}), now), fmt.Sprintf(kept, " own-1 (K1)")},
		"overlap":            {plan.SecretKept("training", entry(retiring(time.Hour)), now), fmt.Sprintf(kept, " own-1 (K1)")},
		"not in the ledger":  {plan.SecretKept("training", nil, now), fmt.Sprintf(kept, "")},
		"revocation started": {plan.SecretKept("training", entry(retiring(0)), now), `Secret "training" is kept because deletionPolicy is Retain. The operator had started to revoke its credential K1, which may no longer work`},
		"revoked":            {plan.SecretNotKept("training", ""), revoked + ": the Secret is deleted"},
		"not deleted":        {plan.SecretNotKept("training", "Forbidden"), revoked + ", and the Secret could not be deleted (Forbidden)"},
	}
	for name, c := range cases {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}

// TestNoteSaysHowACredentialEnded: the operator does not revoke manual credentials itself.
func TestNoteSaysHowACredentialEnded(t *testing.T) {
	for want, e := range map[string]v1alpha1.LedgerEntry{
		"credential own-1 (K1) is revoked: the provider no longer shows it, or shows it as ended":                     {ID: "K1"},
		"credential own-1 (K1) is no longer tracked: the provider rejects it, or a user confirmed that it is deleted": {ID: "K1", ByHand: true, Gone: true},
		"attempt own-1 is no longer tracked: it has no credential of its own":                                         {ByHand: true},
	} {
		e.Name = "own-1"
		if got := plan.Revoked(&e); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
