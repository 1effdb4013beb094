package apitoken_test

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
)

// advance advances the clock and triggers reconciles of the ApiTokens.
func (w *world) advance(d time.Duration) {
	w.Helper()
	w.clock.Advance(d)
	w.triggerReconciles()
}

// touch triggers a reconcile with an annotation that the operator ignores. It can cause a write
// conflict. The ApiToken can be missing.
func (w *world) touch(name string) {
	w.Helper()
	t := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"example.com/touch":"%d"}}}`, w.touches.Add(1))
	w.OK(client.IgnoreNotFound(w.Patch(w.Context(), t, client.RawPatch("application/merge-patch+json", []byte(patch)))))
}

// reconcile triggers a reconcile of an ApiToken and waits for it. The reconcile can fail.
func (w *world) reconcile(name string) {
	w.Helper()
	w.waitForCaches(name)
	count := w.reconcileCount(name)
	w.triggerReconciles()
	w.waitForReconcile(count, name)
	count = w.reconcileCount(name)
	if w.requeues(name) {
		w.waitForReconcile(count, name)
	}
}

// waitForReconcile waits until reconcileCount differs from count.
func (w *world) waitForReconcile(count int, name string) {
	w.Helper()
	w.Until(func() string {
		if w.reconcileCount(name) == count {
			return "the operator does not reconcile " + name
		}
		return ""
	})
}

// advanceUntil advances the clock in steps until a check returns "". After each step it waits for a
// reconcile. The clock must not move during a reconcile: on a busy computer, a call that waits for
// its place would time out.
func (w *world) advanceUntil(step time.Duration, name string, check func() string) {
	w.Helper()
	why := check()
	for range 200 {
		if why == "" {
			return
		}
		w.clock.Advance(step)
		w.reconcile(name)
		why = check()
	}
	w.Fatalf("%s\n%s", why, w.dump())
}

// waitIdle returns once the operator has reconciled an ApiToken and found nothing to do.
func (w *world) waitIdle(name string) *v1alpha1.ApiToken {
	w.Helper()
	for range 40 {
		before := w.writtenState(name)
		for range 2 { // a reconcile that was already running when it was triggered does not count
			w.reconcile(name)
		}
		if before == w.writtenState(name) && !w.requeues(name) && !w.reconcileFailed(name) {
			return w.token(name)
		}
	}
	w.Fatalf("the operator does not stop reconciling %s; last log line: %s\n%s", name, w.log.Last(w.reconcileLog(name)...), w.dump())
	return nil
}

// requeues reports whether the last reconcile of an ApiToken requeues it after a second, such as
// after a write conflict.
func (w *world) requeues(name string) bool {
	return strings.Contains(w.log.Last(w.reconcileLog(name)...), `requeueing after 1s"`)
}

// reconcileFailed reports whether the last reconcile of an ApiToken returned an error.
func (w *world) reconcileFailed(name string) bool {
	return strings.Contains(w.log.Last(w.reconcileLog(name)...), `"Reconciler error"`)
}

// reconcileLog returns the parts of the log line at the end of a reconcile.
func (w *world) reconcileLog(name string) []string {
	return []string{`"controller"="apitoken"`, `"namespace"="` + w.ns + `"`, `"name"="` + name + `"`, `"msg"="Reconcile`}
}

// writtenState returns everything that the operator writes: status, finalizers and the Secret.
func (w *world) writtenState(name string) string {
	w.Helper()
	t := w.token(name)
	if t == nil {
		return "gone"
	}
	raw, err := yaml.Marshal(t.Status)
	w.OK(err)
	return fmt.Sprintf("%v %s %s", t.Finalizers, w.managedVersion(t.SecretName()), raw)
}

// reconcileCount returns how often the operator has reconciled an ApiToken.
func (w *world) reconcileCount(name string) int {
	return w.log.Count(w.reconcileLog(name)...)
}
