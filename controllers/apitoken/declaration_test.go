package apitoken_test

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

func TestDeclarationChangesIssueOneCredentialEach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issue("training", func(t *v1alpha1.ApiToken) {
		t.Spec.Scopes = []v1alpha1.Scope{"objectstorage:object-read-only", "billing:read-only"}
		t.Spec.Buckets = []v1alpha1.Bucket{"datasets", "models"}
		t.Spec.Restrictions.AllowedIPs = []v1alpha1.IPRange{"203.0.113.7", "2001:DB8::/32"}
	})
	steps := []struct {
		name  string
		mints bool
		edit  func(*v1alpha1.ApiTokenSpec)
	}{
		{"description", false, func(s *v1alpha1.ApiTokenSpec) { s.Description = "nightly training" }},
		{"label of the Secret", false, func(s *v1alpha1.ApiTokenSpec) { s.Secret.Labels = map[string]string{"team": "ml"} }},
		{"order of scopes", false, func(s *v1alpha1.ApiTokenSpec) { slices.Reverse(s.Scopes) }},
		{"order of buckets", false, func(s *v1alpha1.ApiTokenSpec) { slices.Reverse(s.Buckets) }},
		{"spelling of an IP", false, func(s *v1alpha1.ApiTokenSpec) {
			s.Restrictions.AllowedIPs = []v1alpha1.IPRange{"2001:db8::/32", "203.0.113.7/32"}
		}},
		{"before and overlap", false, func(s *v1alpha1.ApiTokenSpec) {
			s.Rotation.Before, s.Rotation.Overlap = &metav1.Duration{Duration: 100 * time.Hour}, &metav1.Duration{Duration: time.Hour}
		}},
		{"the default lifetime, spelled out", false, func(s *v1alpha1.ApiTokenSpec) { s.ExpiresIn = &metav1.Duration{Duration: 90 * day} }},
		{"deletion policy", false, func(s *v1alpha1.ApiTokenSpec) { s.DeletionPolicy = v1alpha1.DeletionRetain }},
		{"and back", false, func(s *v1alpha1.ApiTokenSpec) { s.DeletionPolicy = v1alpha1.DeletionRevoke }},
		{"a scope less", true, func(s *v1alpha1.ApiTokenSpec) { s.Scopes = []v1alpha1.Scope{"objectstorage:object-read-only"} }},
		{"a bucket less", true, func(s *v1alpha1.ApiTokenSpec) { s.Buckets = []v1alpha1.Bucket{"datasets"} }},
		{"an IP less", true, func(s *v1alpha1.ApiTokenSpec) { s.Restrictions.AllowedIPs = []v1alpha1.IPRange{"203.0.113.7"} }},
		{"a shorter lifetime", true, func(s *v1alpha1.ApiTokenSpec) { s.ExpiresIn = &metav1.Duration{Duration: 30 * day} }},
	}
	want := 1
	for _, step := range steps {
		before := activeOf(w.token("training")).Name
		w.edit("training", func(t *v1alpha1.ApiToken) { step.edit(&t.Spec) })
		if step.mints {
			want++
			w.waitReplaced("training", before)
		} else {
			w.waitReady("training")
			w.waitIdle("training")
		}
		if got := len(w.minted()); got != want {
			t.Fatalf("%s: %d credentials were minted, want %d\n%s", step.name, got, want, w.dump())
		}
		w.usableCredential("training")
		w.clock.Advance(10 * time.Minute) // refills the budget
	}
	grant, _ := w.backend.GrantOf(activeOf(w.token("training")).Name)
	if !slices.Equal(grant.AllowedIPs, []string{"203.0.113.7"}) || !slices.Equal(grant.Buckets, []string{"datasets"}) {
		t.Errorf("granted %+v", grant)
	}
	w.advance(2 * time.Hour)
	w.expectLive(activeOf(w.token("training")).Name)
}

// A client changes the declaration again and again.
func TestMintBudgetLimitsDeclarationChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.issue("training")
	for generation := int64(1); generation < 5; generation++ {
		before := activeOf(token).Name
		w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = generation })
		token = w.waitReplaced("training", before)
	}
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 5 })
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonMintBudgetExhausted, "00:10:00", "still holds credential")
	w.waitIdle("training")
	w.expectMints(5)
	w.usableCredential("training")
	before := activeOf(token).Name
	w.advance(10 * time.Minute)
	w.waitReplaced("training", before)
	w.expectMints(6)
}

// The metadata includes the owner reference and the operator's label.
func TestSecretMetadataFollowsTheDeclaration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issue("training", func(t *v1alpha1.ApiToken) {
		t.Spec.Secret.Labels = map[string]string{"team": "ml", "tier": "gold"}
		t.Spec.Secret.Annotations = map[string]string{"example.com/a": "1"}
	})
	data := w.secret("training").Data
	w.editSecret("training", func(s *secretObject) { s.Labels["theirs"] = "stays" })
	w.edit("training", func(t *v1alpha1.ApiToken) {
		t.Spec.Secret.Labels = map[string]string{"team": "research"}
		t.Spec.Secret.Annotations = map[string]string{"example.com/b": "2"}
	})
	w.expectMetadata(map[string]string{"team": "research", "tier": "", "theirs": "stays"}, map[string]string{"example.com/a": "", "example.com/b": "2"})
	strips := map[string]func(*secretObject){
		"a declared label":      func(s *secretObject) { delete(s.Labels, "team") },
		"a declared annotation": func(s *secretObject) { s.Annotations["example.com/b"] = "3" },
		"the operator's label":  func(s *secretObject) { delete(s.Labels, v1alpha1.LabelManaged) },
		"the owner":             func(s *secretObject) { s.OwnerReferences = nil },
	}
	for name, strip := range strips {
		w.waitReady("training")
		w.waitIdle("training")
		w.editSecret("training", strip)
		w.Until(func() string {
			if s := w.secret("training"); s.Labels[v1alpha1.LabelManaged] != "true" || metav1.GetControllerOf(s) == nil {
				return name + " is not repaired"
			}
			return ""
		})
		w.expectMetadata(map[string]string{"team": "research"}, map[string]string{"example.com/b": "2"})
	}
	w.waitReady("training")
	w.expectData("training", data)
	w.expectMints(1)
}

func TestConnectionKeysFollowTheDeclaration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issue("training")
	before := activeOf(w.token("training")).Name
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Buckets = []v1alpha1.Bucket{"datasets", "models"} })
	w.waitReplaced("training", before)
	if _, ok := w.secret("training").Data["BUCKET_NAME"]; ok {
		t.Error("the Secret for two buckets names one")
	}
	w.usableCredential("training")
}
