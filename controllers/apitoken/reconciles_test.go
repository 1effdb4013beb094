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

// advance moves the clock, and reconciles the ApiTokens as the operator would have by then.
func (w *world) advance(d time.Duration) {
	w.Helper()
	w.clock.Advance(d)
	w.wake()
}

// poke makes the operator reconcile an ApiToken, by a change that means nothing to it and
// that can make a write of the operator conflict.
// The operator may already have let the ApiToken go: then there is nothing to do.
func (w *world) poke(name string) {
	w.Helper()
	poke := w.pokes.Add(1)
	t := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"example.com/poke":"%d"}}}`, poke)
	w.OK(client.IgnoreNotFound(w.Patch(w.Context(), t, client.RawPatch("application/merge-patch+json", []byte(patch)))))
}

// look triggers a reconcile of an ApiToken and waits for it. The reconcile can fail.
func (w *world) look(name string) {
	w.Helper()
	w.shown(name)
	passes := w.passes(name)
	w.wake()
	w.passesAfter(passes, name)
	passes = w.passes(name)
	if w.beaten(name) { // it reconciles again by itself
		w.passesAfter(passes, name)
	}
}

// passesAfter returns once the operator has reconciled an ApiToken again.
func (w *world) passesAfter(passes int, name string) {
	w.Helper()
	w.Until(func() string {
		if w.passes(name) == passes {
			return "the operator does not reconcile " + name
		}
		return ""
	})
}

// passing lets time pass in steps until a check is empty, and has the operator look at an
// ApiToken after each. The clock stands while it looks: what waits at a provider for its turn
// would lose it to a clock that runs ahead of a busy computer.
func (w *world) passing(step time.Duration, name string, check func() string) {
	w.Helper()
	why := check()
	for range 200 {
		if why == "" {
			return
		}
		w.clock.Advance(step)
		w.look(name)
		why = check()
	}
	w.Fatalf("%s\n%s", why, w.dump())
}

// settle returns once the operator has reconciled an ApiToken and found nothing to do.
func (w *world) settle(name string) *v1alpha1.ApiToken {
	w.Helper()
	for range 40 {
		before := w.version(name)
		for range 2 { // a reconcile that was already running when it was woken does not count
			w.look(name)
		}
		if before == w.version(name) && !w.beaten(name) && !w.failed(name) {
			return w.token(name)
		}
	}
	w.Fatalf("the operator does not stop reconciling %s; last log line: %s\n%s", name, w.log.Last(w.passed(name)...), w.dump())
	return nil
}

// beaten reports whether the last reconcile of an ApiToken conflicted with another write,
// or is about to be repeated for another reason.
func (w *world) beaten(name string) bool {
	return strings.Contains(w.log.Last(w.passed(name)...), `requeueing after 1s"`)
}

// failed reports whether the last reconcile of an ApiToken returned an error.
func (w *world) failed(name string) bool {
	return strings.Contains(w.log.Last(w.passed(name)...), `"Reconciler error"`)
}

// passed returns the parts of the log line at the end of a reconcile.
func (w *world) passed(name string) []string {
	return []string{`"controller"="apitoken"`, `"namespace"="` + w.ns + `"`, `"name"="` + name + `"`, `"msg"="Reconcile`}
}

// version is the status, the finalizers and the Secret: what the operator writes.
func (w *world) version(name string) string {
	w.Helper()
	t := w.token(name)
	if t == nil {
		return "gone"
	}
	raw, err := yaml.Marshal(t.Status)
	w.OK(err)
	return fmt.Sprintf("%v %s %s", t.Finalizers, w.managedVersion(t.SecretName()), raw)
}

// passes returns how often the operator has reconciled an ApiToken.
func (w *world) passes(name string) int {
	return w.log.Count(w.passed(name)...)
}
