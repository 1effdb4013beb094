package secretstore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// submit creates a handover Secret as a user does.
func (b *bench) submit(label, value string) {
	b.Helper()
	b.ok(b.Create(b.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "training-handover", Labels: map[string]string{v1alpha1.LabelManaged: label}},
		Data:       map[string][]byte{"key": []byte(value)},
	}))
}

func TestSubmittedCredentialIsReadAndDeleted(t *testing.T) {
	b := newBench(t)
	if version, err := b.store.HandoverVersion(t.Context(), b.target); err != nil || version != "" {
		t.Errorf("without a Secret: version %q, error %v", version, err)
	}
	if _, found, err := b.store.Handover(t.Context(), b.target); err != nil || found {
		t.Errorf("without a Secret: found %t, error %v", found, err)
	}
	b.submit(v1alpha1.ManagedHandover, "CANARY-value\r\n")
	version, err := b.store.HandoverVersion(t.Context(), b.target)
	b.ok(err)
	submitted, found, err := b.store.Handover(t.Context(), b.target)
	b.ok(err)
	if !found || version == "" || submitted.Version() != version {
		t.Errorf("found %t at %q, want version %q", found, submitted.Version(), version)
	}
	if got := submitted.Values()["key"].Reveal(); got != "CANARY-value" {
		t.Errorf("the value is %q", got)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, submitted); strings.Contains(text, "CANARY") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	b.ok(b.store.DeleteHandover(t.Context(), b.target, submitted))
	b.ok(b.store.DeleteHandover(t.Context(), b.target, submitted)) // already deleted
	if _, found, err := b.store.Handover(t.Context(), b.target); err != nil || found {
		t.Errorf("deleted: found %t, error %v", found, err)
	}
}

// TestDeleteHandoverConflictsWithANewSubmission: a credential submitted again is not
// deleted with the one that was read.
func TestDeleteHandoverConflictsWithANewSubmission(t *testing.T) {
	b := newBench(t)
	b.submit(v1alpha1.ManagedHandover, "first")
	submitted, _, err := b.store.Handover(t.Context(), b.target)
	b.ok(err)
	var secret corev1.Secret
	b.ok(b.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "training-handover"}, &secret))
	secret.Data["key"] = []byte("second")
	b.ok(b.Update(t.Context(), &secret))
	b.conflicts("deleting a changed handover", b.store.DeleteHandover(t.Context(), b.target, submitted))
}

// TestHandoverWithoutLabelIsIgnored: another Secret of that name is not a handover.
func TestHandoverWithoutLabelIsIgnored(t *testing.T) {
	b := newBench(t)
	b.submit("true", "theirs")
	if version, err := b.store.HandoverVersion(t.Context(), b.target); err != nil || version != "" {
		t.Errorf("version %q, error %v", version, err)
	}
	if _, found, err := b.store.Handover(t.Context(), b.target); err != nil || found {
		t.Errorf("found %t, error %v", found, err)
	}
}

// TestHandoverNamesItsApiToken: a user creates it, so its annotations do not count.
func TestHandoverNamesItsApiToken(t *testing.T) {
	for name, c := range map[string]struct {
		meta metav1.ObjectMeta
		want string
	}{
		"handover": {metav1.ObjectMeta{
			Name: "training-handover", Labels: map[string]string{v1alpha1.LabelManaged: v1alpha1.ManagedHandover},
			Annotations: map[string]string{v1alpha1.AnnotationToken: "other"},
		}, "training"},
		"stored copy": {metav1.ObjectMeta{
			Name: "at1-x", Labels: map[string]string{v1alpha1.LabelManaged: v1alpha1.ManagedKept},
			Annotations: map[string]string{v1alpha1.AnnotationToken: "training"},
		}, "training"},
		"any other": {metav1.ObjectMeta{Name: "training-handover"}, ""},
	} {
		if got := TokenOf(&corev1.Secret{ObjectMeta: c.meta}); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestCopyIsStoredAndDeleted(t *testing.T) {
	b := newBench(t)
	grant := provider.Grant{Scopes: []string{"objectstorage:object-read-only"}, Buckets: []string{"datasets"}}
	values := map[string]provider.Value{"key": provider.NewValue("CANARY-value")}
	b.ok(b.store.SaveCopy(t.Context(), b.target, "at1-x", grant, values))
	b.conflicts("storing it twice", b.store.SaveCopy(t.Context(), b.target, "at1-x", grant, values))
	kept, found, err := b.store.ReadCopy(t.Context(), b.target, "at1-x")
	b.ok(err)
	if !found || !kept.Values()["key"].Equal(values["key"]) {
		t.Errorf("found %t", found)
	}
	if diff := cmp.Diff(grant, kept.Grant); diff != "" {
		t.Errorf("grant (-want +got):\n%s", diff)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, kept); strings.Contains(text, "CANARY") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	b.ok(b.store.DeleteCopy(t.Context(), b.target, "at1-x"))
	b.ok(b.store.DeleteCopy(t.Context(), b.target, "at1-x"))
	if _, found, err := b.store.ReadCopy(t.Context(), b.target, "at1-x"); err != nil || found {
		t.Errorf("deleted: found %t, error %v", found, err)
	}
}

// TestCopyOfAnotherApiTokenIsIgnored: a Secret that is no stored copy of this ApiToken is
// neither read nor deleted.
func TestCopyOfAnotherApiTokenIsIgnored(t *testing.T) {
	b := newBench(t)
	for name, m := range map[string]metav1.ObjectMeta{
		"unlabelled": {Annotations: map[string]string{v1alpha1.AnnotationToken: "training"}},
		"another's":  {Labels: map[string]string{v1alpha1.LabelManaged: v1alpha1.ManagedKept}, Annotations: map[string]string{v1alpha1.AnnotationToken: "other"}},
	} {
		m.Namespace, m.Name = namespace, strings.ReplaceAll(name, "'", "")
		b.ok(b.Create(t.Context(), &corev1.Secret{ObjectMeta: m}))
		if _, found, err := b.store.ReadCopy(t.Context(), b.target, m.Name); err != nil || found {
			t.Errorf("%s: found %t, error %v", name, found, err)
		}
		b.ok(b.store.DeleteCopy(t.Context(), b.target, m.Name))
		b.ok(b.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: m.Name}, &corev1.Secret{}))
	}
}

// TestEditChangesTheGrantOfTheCopy: after an edit at the provider, the copy has the new
// grant.
func TestEditChangesTheGrantOfTheCopy(t *testing.T) {
	b := newBench(t)
	b.ok(b.store.RecordEdit(t.Context(), b.target, "at1-x", provider.Grant{}))
	b.ok(b.store.SaveCopy(t.Context(), b.target, "at1-x", provider.Grant{Buckets: []string{"a"}}, map[string]provider.Value{"k": provider.NewValue("v")}))
	b.target.Fingerprint = "beef"
	b.ok(b.store.RecordEdit(t.Context(), b.target, "at1-x", provider.Grant{Buckets: []string{"b"}}))
	kept, found, err := b.store.ReadCopy(t.Context(), b.target, "at1-x")
	b.ok(err)
	if !found || kept.Fingerprint != "beef" || len(kept.Grant.Buckets) != 1 || kept.Grant.Buckets[0] != "b" || kept.Values()["k"].Empty() {
		t.Errorf("found %t: %+v of %q", found, kept.Grant, kept.Fingerprint)
	}
}
