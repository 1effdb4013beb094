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

// handOver puts a Secret there as a person does.
func (b *bench) handOver(label, value string) {
	b.Helper()
	b.ok(b.Create(b.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "training-handover", Labels: map[string]string{v1alpha1.LabelManaged: label}},
		Data:       map[string][]byte{"key": []byte(value)},
	}))
}

func TestHandover(t *testing.T) {
	b := newBench(t)
	if version, err := b.store.HandoverVersion(t.Context(), b.target); err != nil || version != "" {
		t.Errorf("without a Secret: version %q, error %v", version, err)
	}
	if _, found, err := b.store.Handover(t.Context(), b.target); err != nil || found {
		t.Errorf("without a Secret: found %t, error %v", found, err)
	}
	b.handOver(v1alpha1.ManagedHandover, "CANARY-value\r\n")
	version, err := b.store.HandoverVersion(t.Context(), b.target)
	b.ok(err)
	handed, found, err := b.store.Handover(t.Context(), b.target)
	b.ok(err)
	if !found || version == "" || handed.Version() != version {
		t.Errorf("found %t at %q, want version %q", found, handed.Version(), version)
	}
	if got := handed.Values()["key"].Reveal(); got != "CANARY-value" {
		t.Errorf("the value is %q", got)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, handed); strings.Contains(text, "CANARY") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	b.ok(b.store.Accept(t.Context(), b.target, handed))
	b.ok(b.store.Accept(t.Context(), b.target, handed)) // it is gone already
	if _, found, err := b.store.Handover(t.Context(), b.target); err != nil || found {
		t.Errorf("accepted: found %t, error %v", found, err)
	}
}

// TestHandoverChanged: what was handed over anew is not deleted with what was read.
func TestHandoverChanged(t *testing.T) {
	b := newBench(t)
	b.handOver(v1alpha1.ManagedHandover, "first")
	handed, _, err := b.store.Handover(t.Context(), b.target)
	b.ok(err)
	var secret corev1.Secret
	b.ok(b.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "training-handover"}, &secret))
	secret.Data["key"] = []byte("second")
	b.ok(b.Update(t.Context(), &secret))
	b.conflicts("accepting what was changed", b.store.Accept(t.Context(), b.target, handed))
}

// TestHandoverOfOthers: a Secret of that name without the label is nobody's business here.
func TestHandoverOfOthers(t *testing.T) {
	b := newBench(t)
	b.handOver("true", "theirs")
	if version, err := b.store.HandoverVersion(t.Context(), b.target); err != nil || version != "" {
		t.Errorf("version %q, error %v", version, err)
	}
	if _, found, err := b.store.Handover(t.Context(), b.target); err != nil || found {
		t.Errorf("found %t, error %v", found, err)
	}
}

func TestKept(t *testing.T) {
	b := newBench(t)
	grant := provider.Grant{Scopes: []string{"objectstorage:object-read-only"}, Buckets: []string{"datasets"}}
	values := map[string]provider.Value{"key": provider.NewValue("CANARY-value")}
	b.ok(b.store.Keep(t.Context(), b.target, "at1-x", grant, values))
	b.conflicts("keeping it twice", b.store.Keep(t.Context(), b.target, "at1-x", grant, values))
	kept, found, err := b.store.Kept(t.Context(), b.target, "at1-x")
	b.ok(err)
	if !found || !kept.Values()["key"].Equal(values["key"]) {
		t.Errorf("found %t", found)
	}
	if diff := cmp.Diff(grant, kept.Grant); diff != "" {
		t.Errorf("what it gives (-want +got):\n%s", diff)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, kept); strings.Contains(text, "CANARY") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	b.ok(b.store.Drop(t.Context(), b.target, "at1-x"))
	b.ok(b.store.Drop(t.Context(), b.target, "at1-x"))
	if _, found, err := b.store.Kept(t.Context(), b.target, "at1-x"); err != nil || found {
		t.Errorf("dropped: found %t, error %v", found, err)
	}
}

// TestKeptOfOthers: a Secret that is not a kept credential of this ApiToken is
// neither read nor deleted.
func TestKeptOfOthers(t *testing.T) {
	b := newBench(t)
	for name, m := range map[string]metav1.ObjectMeta{
		"unlabelled": {Annotations: map[string]string{v1alpha1.AnnotationToken: "training"}},
		"another's":  {Labels: map[string]string{v1alpha1.LabelManaged: v1alpha1.ManagedKept}, Annotations: map[string]string{v1alpha1.AnnotationToken: "other"}},
	} {
		m.Namespace, m.Name = namespace, strings.ReplaceAll(name, "'", "")
		b.ok(b.Create(t.Context(), &corev1.Secret{ObjectMeta: m}))
		if _, found, err := b.store.Kept(t.Context(), b.target, m.Name); err != nil || found {
			t.Errorf("%s: found %t, error %v", name, found, err)
		}
		b.ok(b.store.Drop(t.Context(), b.target, m.Name))
		b.ok(b.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: m.Name}, &corev1.Secret{}))
	}
}

// TestKeptCredentialThatWasEdited: what it gives is what it was edited to give.
func TestKeptCredentialThatWasEdited(t *testing.T) {
	b := newBench(t)
	b.ok(b.store.Edited(t.Context(), b.target, "at1-x", provider.Grant{}))
	b.ok(b.store.Keep(t.Context(), b.target, "at1-x", provider.Grant{Buckets: []string{"a"}}, map[string]provider.Value{"k": provider.NewValue("v")}))
	b.target.Fingerprint = "beef"
	b.ok(b.store.Edited(t.Context(), b.target, "at1-x", provider.Grant{Buckets: []string{"b"}}))
	kept, found, err := b.store.Kept(t.Context(), b.target, "at1-x")
	b.ok(err)
	if !found || kept.Fingerprint != "beef" || len(kept.Grant.Buckets) != 1 || kept.Grant.Buckets[0] != "b" || kept.Values()["k"].Empty() {
		t.Errorf("found %t: %+v of %q", found, kept.Grant, kept.Fingerprint)
	}
}
