package plan

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

// Times are the times in a status that are derived from the declaration and the credential
// in use.
type Times struct {
	// ExpiresAt and RotatesAt are nil if the credential in use does not expire or is not
	// rotated, or if no credential is in use.
	ExpiresAt, RotatesAt *metav1.Time
	Effective            v1alpha1.EffectiveValues
}

// TimesOf returns when the credential in use expires and is rotated.
func TimesOf(t *v1alpha1.ApiToken, o *Observation) Times {
	spec := &t.Spec
	active := ReadinessOf(o).Active
	out, lifetime := Times{}, Lifetime(spec)
	if active != nil {
		out.ExpiresAt, lifetime = active.ExpiresAt, LifetimeOf(spec, &active.LedgerEntry)
		if _, obstacle := o.NotReplaced(); !obstacle && !spec.Suspend && !o.Token.Deleting {
			out.RotatesAt = timeOf(RotationDue(string(t.UID), spec, &active.LedgerEntry))
		}
	}
	if lifetime <= 0 {
		return out
	}
	out.Effective = v1alpha1.EffectiveValues{ExpiresIn: Short(lifetime), Overlap: Short(Overlap(spec, lifetime))}
	if active == nil || out.RotatesAt != nil {
		out.Effective.Before = Short(Before(spec, lifetime))
	}
	return out
}

// shortLived is the lifetime below which kubectl get shows the time of day of an expiry.
const shortLived = 7 * 24 * time.Hour

// maxColumn is the maximum length of a column of kubectl get, in bytes, as in the schema.
const maxColumn = 256

// ColumnsOf returns the columns of kubectl get that are derived from the spec and from the
// times in the status.
func ColumnsOf(t *v1alpha1.ApiToken) v1alpha1.Columns {
	s := &t.Status
	layout := time.DateOnly
	if d, err := time.ParseDuration(s.Effective.ExpiresIn); err == nil && d < shortLived {
		layout = "01-02T15:04Z"
	}
	return v1alpha1.Columns{
		Scopes: column(t.Spec.Scopes), Buckets: column(t.Spec.Buckets),
		Expires: dateOf(s.ExpiresAt, layout), Rotates: dateOf(s.RotatesAt, layout),
	}
}

// column formats a list for one column.
func column[S ~string](list []S) string {
	parts := make([]string, 0, len(list))
	for _, s := range list {
		parts = append(parts, string(s))
	}
	out := strings.Join(parts, ",")
	const end = "..."
	if len(out) > maxColumn {
		return strings.ToValidUTF8(out[:maxColumn-len(end)], "") + end
	}
	return out
}

func dateOf(t *metav1.Time, layout string) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(layout)
}

func timeOf(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	out := metav1.NewTime(t.UTC().Truncate(time.Second))
	return &out
}
