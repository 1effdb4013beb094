package apitoken

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

// TestColumnsAreShort: a list is not JSON, and a time has only the parts that a reader needs.
func TestColumnsAreShort(t *testing.T) {
	day := func(d, h, m int) *metav1.Time { return &metav1.Time{Time: time.Date(2030, 1, d, h, m, 0, 0, time.UTC)} }
	cases := map[string]struct {
		lifetime         string
		expires, rotates *metav1.Time
		buckets          []v1alpha1.Bucket
		want             v1alpha1.Columns
	}{
		"nothing issued": {"2160h", nil, nil, nil, v1alpha1.Columns{Scopes: "a:b,c:d"}},
		"long-lived": {"2160h", day(31, 8, 30), day(20, 1, 2), []v1alpha1.Bucket{"x", "y"},
			v1alpha1.Columns{Scopes: "a:b,c:d", Buckets: "x,y", Expires: "2030-01-31", Rotates: "2030-01-20"}},
		"a week":      {"168h", day(8, 8, 30), nil, nil, v1alpha1.Columns{Scopes: "a:b,c:d", Expires: "2030-01-08"}},
		"short-lived": {"2h", day(1, 8, 30), day(1, 7, 50), nil, v1alpha1.Columns{Scopes: "a:b,c:d", Expires: "01-01T08:30Z", Rotates: "01-01T07:50Z"}},
	}
	for name, c := range cases {
		token := &v1alpha1.ApiToken{Spec: v1alpha1.ApiTokenSpec{Scopes: []v1alpha1.Scope{"a:b", "c:d"}, Buckets: c.buckets}}
		token.Status.ExpiresAt, token.Status.RotatesAt, token.Status.Effective.ExpiresIn = c.expires, c.rotates, c.lifetime
		if got := columnsOf(token); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	long := column([]string{strings.Repeat("a", 200), strings.Repeat("b", 200)})
	if len(long) != maxColumn || !strings.HasSuffix(long, "b...") {
		t.Errorf("%d bytes: %s", len(long), long)
	}
}
