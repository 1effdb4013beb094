package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
)

const none = "-"

// away says how far a time is from now, for example "in 59d" or "3h ago".
func away(t, now time.Time) string {
	d := t.Sub(now)
	switch {
	case d > -time.Second && d < time.Second:
		return "now"
	case d > 0:
		return "in " + duration.HumanDuration(d)
	default:
		return duration.HumanDuration(-d) + " ago"
	}
}

// until is away for a cell of a table.
func until(t *metav1.Time, now time.Time) string {
	if t == nil {
		return none
	}
	return away(t.Time, now)
}

// at is a time with how far it is.
func at(t *metav1.Time, now time.Time) string {
	if t == nil {
		return "never"
	}
	return fmt.Sprintf("%s (%s)", stamp(t.Time), away(t.Time, now))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func join[S ~string](values []S) string {
	parts := make([]string, 0, len(values))
	for _, v := range values {
		parts = append(parts, string(v))
	}
	return cmp.Or(strings.Join(parts, ", "), none)
}

// keyOf names a credential as people see it at the provider.
func keyOf(e *v1alpha1.LedgerEntry) string {
	return oneLine(cmp.Or(e.ID, e.Name))
}

// activeOf is the entry in use (ledger.Active), for commands that do not read the Secret.
func activeOf(t *v1alpha1.ApiToken) *v1alpha1.LedgerEntry { return ledger.Active(&t.Status, "") }

// indent puts a prefix before every line.
func indent(prefix, text string) string {
	return prefix + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+prefix)
}
