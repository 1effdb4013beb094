package cli

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
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

func orNone(s string) string {
	if s == "" {
		return none
	}
	return s
}

func join[S ~string](values []S) string {
	parts := make([]string, 0, len(values))
	for _, v := range values {
		parts = append(parts, string(v))
	}
	return orNone(strings.Join(parts, ", "))
}

// keyOf names a credential as people see it at the provider.
func keyOf(e *v1alpha1.LedgerEntry) string {
	if e.ID != "" {
		return oneLine(e.ID)
	}
	return oneLine(e.Name)
}

// compact writes a duration without its empty parts: 1h, not 1h0m0s.
func compact(d time.Duration) string { return plan.Short(d) }

// activeOf is the entry in use (ledger.Active), for commands that do not read the Secret.
func activeOf(t *v1alpha1.ApiToken) *v1alpha1.LedgerEntry { return ledger.Active(&t.Status, "") }

// indent puts a prefix before every line.
func indent(prefix, text string) string {
	return prefix + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+prefix)
}
