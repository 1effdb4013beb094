package apitoken_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/testutil"
)

var secretUpdate = testutil.Request{Verb: "update", Resource: "secrets"}

const theirManager = "their-controller"

// revertLabel resets the label team of the Secret training whenever it is "ml". The returned function
// stops it.
func (w *world) revertLabel() func() {
	w.Helper()
	c, err := client.NewWithWatch(env.Config, client.Options{Scheme: kit.Scheme()})
	w.OK(err)
	watcher, err := c.Watch(w.Context(), &corev1.SecretList{}, client.InNamespace(w.ns))
	w.OK(err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range watcher.ResultChan() {
			if s, ok := event.Object.(*corev1.Secret); ok && s.Name == "training" && s.Labels["team"] == "ml" {
				patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"team":"theirs"}}}`))
				_ = c.Patch(w.Context(), s, patch, client.FieldOwner(theirManager)) // at the end the Secret may be gone
			}
		}
	}()
	return func() {
		watcher.Stop()
		<-done
	}
}

// Another controller writes another value. The condition names its field manager, and the credential
// is not affected.
func TestContestedLabelIsRestoredAtALimitedRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	labelled := func(t *v1alpha1.ApiToken) { t.Spec.Secret.Labels = map[string]string{"team": "ml"} }
	w.issue("training", labelled)
	w.waitIdle("training")
	w.requests.Take()
	end := w.revertLabel()
	w.Cleanup(end)
	contested := func(parts ...string) {
		w.Helper()
		w.expectCondition("training", v1alpha1.ConditionReconciling, v1alpha1.ReasonSecretContested, append(parts, `label "team"`, theirManager)...)
	}
	contested("waits 5s")
	w.expectEvent(v1alpha1.ReasonSecretContested, theirManager)
	token := w.waitIdle("training")
	if n := w.requests.Take()[secretUpdate]; n != 6 {
		t.Errorf("the operator wrote the Secret %d times before it waits, want 6", n)
	}
	if !meta.IsStatusConditionTrue(token.Status.Conditions, v1alpha1.ConditionReady) {
		t.Error("a label makes the ApiToken not Ready")
	}
	for _, wait := range []struct {
		passes time.Duration
		then   string
	}{{5 * time.Second, "waits 10s"}, {10 * time.Second, "waits 20s"}, {20 * time.Second, "waits 40s"}} {
		w.waitIdle("training")
		w.requests.Take()
		w.advance(wait.passes)
		contested(wait.then)
		w.waitIdle("training")
		if n := w.requests.Take()[secretUpdate]; n != 1 {
			t.Errorf("the operator wrote the Secret %d times in %s, want 1", n, wait.passes)
		}
	}
	w.expectMints(1)

	end()
	w.advance(40 * time.Second)
	w.expectMetadata(map[string]string{"team": "ml"}, nil)
	w.Until(func() string {
		if meta.FindStatusCondition(w.token("training").Status.Conditions, v1alpha1.ConditionReconciling) != nil {
			return "it still shows Reconciling"
		}
		return ""
	})

	// After a long time without a contest, the next change is repaired at once.
	w.advance(time.Hour)
	w.waitIdle("training")
	w.editSecret("training", func(s *corev1.Secret) { s.Labels["team"] = "manual" })
	w.expectMetadata(map[string]string{"team": "ml"}, nil)
}

// PublishRefused also ends when there is nothing left to write.
func TestPublishRefusedEndsWithTheNextSuccessfulWrite(t *testing.T) {
	t.Parallel()
	label := func(value string) func(*v1alpha1.ApiToken) {
		return func(t *v1alpha1.ApiToken) { t.Spec.Secret.Labels = map[string]string{"team": value} }
	}
	for name, resolve := range map[string]func(w *world, lift func()){
		"the write succeeds": func(w *world, lift func()) {
			lift()
			w.touch("training")
			w.expectMetadata(map[string]string{"team": "x"}, nil)
		},
		"there is nothing to write": func(w *world, _ func()) { w.edit("training", label("ml")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.issue("training", label("ml"))
			lift := w.forbidSecretUpdates()
			w.edit("training", label("x"))
			w.expectCondition("training", v1alpha1.ConditionPublished, v1alpha1.ReasonPublishRefused)
			resolve(w, lift)
			w.expectCondition("training", v1alpha1.ConditionPublished, v1alpha1.ReasonPublished)
			w.expectMints(1)
		})
	}
}
