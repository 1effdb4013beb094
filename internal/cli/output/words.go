package output

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

// None stands in a cell that has no value.
const None = "-"

// Away says how far a time is from now, for example "in 59d" or "3h ago".
func Away(t, now time.Time) string {
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

// Until is away for a cell of a table.
func Until(t *metav1.Time, now time.Time) string {
	if t == nil {
		return None
	}
	return Away(t.Time, now)
}

// At is a time with how far it is.
func At(t *metav1.Time, now time.Time) string {
	if t == nil {
		return "never"
	}
	return fmt.Sprintf("%s (%s)", Stamp(t.Time), Away(t.Time, now))
}

// Stamp is a time in UTC, as RFC 3339 writes it.
func Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Join lists values on one line; None if the list is empty.
func Join[S ~string](values []S) string {
	parts := make([]string, 0, len(values))
	for _, v := range values {
		parts = append(parts, string(v))
	}
	return cmp.Or(strings.Join(parts, ", "), None)
}

// Indent puts a prefix before every line.
func Indent(prefix, text string) string {
	return prefix + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+prefix)
}
