package apitoken

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

// shortLived is how long a credential lives for which kubectl get shows the time of day.
const shortLived = 7 * 24 * time.Hour

// maxColumn is the longest list that kubectl get shows, in bytes; the schema has the same.
const maxColumn = 256

// columnsOf are the columns of kubectl get that follow from the spec and from the times in
// the status.
func columnsOf(t *v1alpha1.ApiToken) v1alpha1.Columns {
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

// column is a list in one column.
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
