package apitoken_test

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

// newUpdatingWorld returns a world whose provider changes scopes and expiry in place.
func newUpdatingWorld(t *testing.T) *world {
	t.Helper()
	w := newEmptyWorld(t)
	w.driver.Caps.Updates = []provider.Field{provider.FieldScopes, provider.FieldExpiry}
	w.createMinter()
	w.createProvider()
	w.start()
	return w
}

func readWrite(t *v1alpha1.ApiToken) {
	t.Spec.Scopes = []v1alpha1.Scope{"objectstorage:object-read-write"}
}

func TestUpdateInPlaceKeepsTheSecret(t *testing.T) {
	t.Parallel()
	w := newUpdatingWorld(t)
	first := activeOf(w.issue("training"))
	before := w.secret("training").Data
	w.edit("training", readWrite)
	token := w.waitReady("training")
	if e := activeOf(token); e.Name != first.Name || e.Updating != "" || e.Fingerprint == first.Fingerprint {
		t.Errorf("the credential after its update: %+v", e)
	}
	w.expectData("training", before)
	w.expectMints(1)
	if grant, _ := w.backend.GrantOf(first.Name); !slices.Equal(grant.Scopes, []string{"objectstorage:object-read-write"}) {
		t.Errorf("it gives %v", grant.Scopes)
	}
	w.expectEvent("Updated", first.ID)
	w.expectAudit(`"audit"="call"`, `"operation"="update"`, first.Name, first.ID, `"reason"="SpecChanged"`, `"askedBy"="spec"`)
	w.expectAudit(`"found"="Updated"`, first.Name, first.ID)

	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.ExpiresIn = &metav1.Duration{Duration: 100 * day} })
	token = w.waitReady("training")
	if want := epoch.Add(100 * day); !activeOf(token).ExpiresAt.Time.Equal(want) || !token.Status.ExpiresAt.Time.Equal(want) {
		t.Errorf("it ends at %v, want %v: counted from when it was issued", token.Status.ExpiresAt, want)
	}
	if got := w.secret("training").Annotations; got[v1alpha1.AnnotationExpiresAt] != epoch.Add(100*day).Format(time.RFC3339) ||
		got[v1alpha1.AnnotationFingerprint] != activeOf(token).Fingerprint {
		t.Errorf("the Secret says %v", got)
	}
	w.expectMints(1)
	w.waitIdle("training")
	if n := w.backend.Count(fake.Update); n != 2 {
		t.Errorf("%d updates, want 2", n)
	}

	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Buckets = []v1alpha1.Bucket{"models"} })
	w.waitReplaced("training", first.Name)
	w.expectMints(2)
}

// The cases are all outcomes of an update. At the end, the credential in use has exactly the declared
// grant.
func TestFailedUpdateStillReachesTheDeclaration(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		fault fake.Fault
		mints int
	}{
		"ignored":      {fake.Fault{Kind: fake.Ignore}, 2},
		"rejected":     {fake.Fault{Kind: fake.Reject, Code: provider.CodeInvalid}, 2},
		"in doubt":     {fake.Fault{Kind: fake.InDoubt}, 2},
		"lost answer":  {fake.Fault{Kind: fake.LoseAnswer}, 2},
		"landing late": {fake.Fault{Kind: fake.LandLate, At: epoch.Add(time.Minute)}, 2},
		"busy":         {fake.Fault{Kind: fake.Reject, Code: provider.CodeUnavailable}, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newUpdatingWorld(t)
			first := activeOf(w.issue("training")).Name
			w.backend.Script(fake.Update, c.fault)
			w.edit("training", readWrite)
			w.waitIdle("training")
			w.passTime(time.Minute, 2)
			w.passTime(2*time.Hour, 1)
			last := w.waitHealed("training")
			if (last == first) != (c.mints == 1) {
				t.Errorf("the credential is %s after %s", last, first)
			}
			if grant, _ := w.backend.GrantOf(last); !slices.Equal(grant.Scopes, []string{"objectstorage:object-read-write"}) {
				t.Errorf("it gives %v", grant.Scopes)
			}
			w.expectMints(c.mints)
			if c.fault.Kind == fake.InDoubt || c.fault.Kind == fake.LoseAnswer {
				w.expectAudit(`"found"="UpdateUnknown"`, first, `"reason"="SpecChanged"`)
			}
		})
	}
}

func TestDeclarationChangedDuringUpdateIsApplied(t *testing.T) {
	t.Parallel()
	w := newUpdatingWorld(t)
	w.issue("training")
	w.duringFirst(fake.Update, func() {
		w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Scopes = []v1alpha1.Scope{"objectstorage:object-write-only"} })
	})
	w.edit("training", readWrite)
	w.Until(func() string {
		if w.backend.Count(fake.Update) == 0 {
			return "no update"
		}
		return ""
	})
	w.waitIdle("training")
	w.passTime(2*time.Hour, 2) // the next credential may be issued in the first, and has an overlap
	last := w.waitHealed("training")
	if grant, _ := w.backend.GrantOf(last); !slices.Equal(grant.Scopes, []string{"objectstorage:object-write-only"}) {
		t.Errorf("it gives %v", grant.Scopes)
	}
}

// This provider enforces no expiry, and returns none from an update. The operator still rotates and
// revokes the credential on time.
func TestUpdateKeepsThePlannedExpiry(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.driver.Caps.Updates = []provider.Field{provider.FieldScopes, provider.FieldExpiry}
	w.driver.Caps.ExpiryEnforcedBy = provider.EnforcedByOperator
	w.createMinter()
	w.createProvider()
	w.start()
	first := activeOf(w.issue("training")).Name
	w.edit("training", readWrite)
	token := w.waitReady("training")
	if e := activeOf(token); e.Name != first || e.ExpiresAt == nil || !e.ExpiresAt.Time.Equal(epoch.Add(90*day)) {
		t.Fatalf("after the update the credential is %+v", e)
	}
	if token.Status.RotatesAt == nil || token.Status.ExpiresAt == nil {
		t.Errorf("it is never rotated: %+v", token.Status)
	}
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.ExpiresIn = &metav1.Duration{Duration: 100 * day} })
	token = w.waitReady("training")
	if e := activeOf(token); e.Name != first || !e.ExpiresAt.Time.Equal(epoch.Add(100*day)) {
		t.Fatalf("after the second update the credential is %+v", e)
	}
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true })
	w.advance(100 * day)
	w.expectLive() // nothing else ends it
}
