package apitoken_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/fake"
)

type secretObject = corev1.Secret

// Pods can still use the credential of the lost Secret, so it stays valid for the overlap.
func TestLostSecretIsReplacedWithAnOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name

	w.deleteSecret("training")
	token := w.waitReplaced("training", first)
	second := activeOf(token)
	if second.Reason != "SecretLost" || w.usableCredential("training") != second.Name {
		t.Errorf("the new credential: %+v", second)
	}
	w.expectOverlap("training", first)

	w.editSecret("training", func(s *corev1.Secret) { s.Data[fake.KeySecret] = []byte("something else") })
	token = w.waitReplaced("training", second.Name)
	third := activeOf(token)
	if third.Reason != "SecretChanged" || w.usableCredential("training") != third.Name {
		t.Errorf("the new credential: %+v", third)
	}
	w.expectOverlap("training", second.Name)

	w.editSecret("training", func(s *corev1.Secret) { s.Data["added"] = []byte("by a user") })
	token = w.waitReplaced("training", third.Name)
	if _, ok := w.secret("training").Data["added"]; ok {
		t.Error("a key that a user added still exists")
	}
	w.advance(2 * time.Hour)
	w.expectLive(activeOf(token).Name)
}

// expectOverlap checks that a credential stays valid until the end of its overlap.
func (w *world) expectOverlap(name, credential string) {
	w.Helper()
	if !w.backend.Live(credential) {
		w.Errorf("%s was revoked without an overlap", credential)
	}
	for _, e := range w.token(name).Status.Credentials {
		if want := w.clock.Now().Add(time.Hour + time.Second); e.Name == credential && (e.State != v1alpha1.StateRetiring || !e.RetireAt.Time.Equal(want)) {
			w.Errorf("%s is %s until %v, want Retiring until %v", credential, e.State, e.RetireAt, want)
		}
	}
}

// A Secret with another owner is reported.
func TestForeignSecretIsNotTouched(t *testing.T) {
	t.Parallel()
	yes := true
	cases := map[string]struct {
		meta metav1.ObjectMeta
		says string
	}{
		"controlled": {metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "ConfigMap", Name: "vault", UID: "c0ffee", Controller: &yes},
		}}, `ConfigMap "vault"`},
		"labelled":  {metav1.ObjectMeta{Labels: map[string]string{"app.kubernetes.io/managed-by": "Helm"}}, `"Helm"`},
		"anonymous": {metav1.ObjectMeta{}, "an unknown owner (no owner reference)"},
		"other":     {metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.AnnotationToken: "other-token"}}, `ApiToken "other-token"`},
	}
	w := newWorld(t)
	for name, c := range cases {
		c.meta.Namespace, c.meta.Name = w.ns, name
		w.OK(w.Create(w.Context(), &corev1.Secret{ObjectMeta: c.meta, Data: map[string][]byte{"key": []byte("theirs")}}))
		w.declare(name)
	}
	for name, c := range cases {
		w.expectStalled(name, v1alpha1.ReasonSecretNotOwned, "spec.secret.name", c.says, "delete this one")
		token := w.waitIdle(name)
		if len(token.Status.Credentials) > 0 || token.Status.Revision > 0 {
			t.Errorf("%s: something was reserved: %+v", name, token.Status.Credentials)
		}
		if s := w.secret(name); string(s.Data["key"]) != "theirs" || len(s.Data) != 1 || s.Labels[v1alpha1.LabelManaged] != "" {
			t.Errorf("%s was touched: %+v", name, s)
		}
	}
	w.expectMints(0)

	w.deleteSecret("labelled")
	w.advance(time.Minute)
	w.waitReady("labelled")
	w.usableCredential("labelled")

	// Deleting an ApiToken without credentials does not change the other's Secret.
	w.delete("anonymous")
	w.expectGone("anonymous")
	if w.secret("anonymous") == nil {
		t.Error("the Secret of another owner was deleted")
	}
}

// Another client replaces the Secret with its own.
func TestReplacedSecretIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name
	w.operator.stop(w)
	w.deleteSecret("training")
	w.OK(w.Create(w.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "training"}, Data: map[string][]byte{"key": []byte("theirs")}}))
	w.start()
	w.expectStalled("training", v1alpha1.ReasonSecretNotOwned)
	w.waitIdle("training")
	w.expectMints(1)
	w.expectLive(first) // pods can still use it, for an unknown time
	w.deleteSecret("training")
	w.advance(time.Minute)
	w.waitReplaced("training", first)
	w.usableCredential("training")
}

// expectMetadata waits until the Secret training has labels and annotations; an empty value means absent.
func (w *world) expectMetadata(labels, annotations map[string]string) {
	w.Helper()
	w.Until(func() string {
		s := w.secret("training")
		for _, pair := range []struct{ want, have map[string]string }{{labels, s.Labels}, {annotations, s.Annotations}} {
			for k, v := range pair.want {
				if pair.have[k] != v {
					return "of the Secret, " + k + " is " + pair.have[k] + ", want " + v
				}
			}
		}
		return ""
	})
}
