package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

func TestStatusHasTheTimesOfTheCredentialInUse(t *testing.T) {
	suspended := func(o *plan.Observation) { o.Token.Spec.Suspend = true }
	ninety := v1alpha1.EffectiveValues{ExpiresIn: "2160h", Before: "720h", Overlap: "1h"}
	expires := at(now.Add(89 * 24 * time.Hour))
	cases := map[string]struct {
		given   []change
		reason  string
		want    plan.Times
		rotates bool
	}{
		"credential in use": {
			reason: "It expires, and the schedule replaces it.",
			want:   plan.Times{ExpiresAt: expires, Effective: ninety}, rotates: true,
		},
		"nothing issued": {
			given:  given(func(o *plan.Observation) { o.Ledger = nil }),
			reason: "The values that the first credential will have are shown.",
			want:   plan.Times{Effective: ninety},
		},
		"suspended": {
			given:  given(suspended),
			reason: "The schedule is stopped, so neither the time nor how long before the expiry is shown.",
			want:   plan.Times{ExpiresAt: expires, Effective: v1alpha1.EffectiveValues{ExpiresIn: "2160h", Overlap: "1h"}},
		},
		"deleting": {
			given:  given(func(o *plan.Observation) { o.Token.Deleting = true }),
			reason: "A credential that is about to be revoked is not rotated.",
			want:   plan.Times{ExpiresAt: expires, Effective: v1alpha1.EffectiveValues{ExpiresIn: "2160h", Overlap: "1h"}},
		},
		"no longer than the hard end": {
			given: given(func(o *plan.Observation) {
				o.Token.Spec.ExpiresAt = written(now.Add(89 * 24 * time.Hour))
				o.Ledger[0].Fingerprint = plan.Fingerprint(&o.Token.Spec)
			}),
			reason: "Access ends with the credential, so it is not replaced.",
			want:   plan.Times{ExpiresAt: expires, Effective: v1alpha1.EffectiveValues{ExpiresIn: "2160h", Overlap: "1h"}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := observe(c.given...)
			token := &v1alpha1.ApiToken{Spec: o.Token.Spec}
			token.UID = "0b0e2f8a-6a5d-4a53-9a61-000000000001"
			got := plan.TimesOf(token, &o)
			if rotates := got.RotatesAt != nil; rotates != c.rotates {
				t.Errorf("%s: rotates at %v", c.reason, got.RotatesAt)
			}
			if c.rotates {
				due := plan.RotationDue(o.Token.UID, &o.Token.Spec, &o.Ledger[0].LedgerEntry)
				c.want.RotatesAt = at(due.UTC().Truncate(time.Second))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s -want +got:\n%s", c.reason, diff)
			}
		})
	}
}

// A list is not shown as JSON, and a time has only the parts that a reader needs.
func TestColumnsAreShort(t *testing.T) {
	day := func(d, h, m int) *metav1.Time { return at(time.Date(2030, 1, d, h, m, 0, 0, time.UTC)) }
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
		if got := plan.ColumnsOf(token); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestLongColumnIsCutToTheLengthOfTheSchema(t *testing.T) {
	const schema = 256
	token := &v1alpha1.ApiToken{Spec: v1alpha1.ApiTokenSpec{Scopes: []v1alpha1.Scope{
		v1alpha1.Scope(strings.Repeat("a", 200)), v1alpha1.Scope(strings.Repeat("b", 200)),
	}}}
	if long := plan.ColumnsOf(token).Scopes; len(long) != schema || !strings.HasSuffix(long, "b...") {
		t.Errorf("%d bytes: %s", len(long), long)
	}
}
