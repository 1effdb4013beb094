package explore

import (
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"apitoken.dev/operator/test/support/apifake"
)

// obstacle is a state that blocks part of the work until everything else has come to
// rest.
// The explorer checks that resting state before it removes the obstacle.
type obstacle string

const (
	// notAdmitted: the provider does not admit the namespace.
	notAdmitted obstacle = "a lost admission"
	// sealed: admission rejects every write and deletion of the Secret.
	sealed obstacle = "a sealed Secret"
	// held: the Secret has a finalizer of another controller.
	held obstacle = "a finalizer on the Secret"
	// yearOff: the wall clock is a year ahead or behind.
	yearOff obstacle = "a wrong wall clock"
)

const (
	year          = 365 * 24 * time.Hour
	holdFinalizer = "example.com/hold"
)

// behind returns the current obstacles, in a fixed order.
func (w *world) behind() []obstacle {
	var out []obstacle
	for o, stands := range w.obstacles {
		if stands {
			out = append(out, o)
		}
	}
	slices.Sort(out)
	return out
}

// put adds an obstacle and notifies every process.
func (w *world) put(o obstacle) {
	w.note("%s stands in the way", o)
	w.obstacles[o] = true
	w.wakeAll()
}

// lift checks the resting state, then removes the obstacles.
func (w *world) lift() {
	if !w.obstacles[yearOff] { // with a wrong clock, overlaps and waits have other lengths
		w.rested()
	}
	if w.obstacles[held] {
		w.letGo()
	}
	if w.obstacles[yearOff] {
		w.skew = 0
	}
	w.note("%v: gone", w.behind())
	clear(w.obstacles)
	w.disturbed = w.now
	w.wakeAll()
}

func (w *world) wakeAll() {
	for _, p := range w.processes {
		p.woken = true
	}
	if w.neighbour != nil {
		w.neighbour.woken = true
	}
}

// hold adds another controller's finalizer to the Secret.
func (w *world) hold() {
	w.put(held)
	w.editSecret(func(s *corev1.Secret) { controllerutil.AddFinalizer(s, holdFinalizer) })
}

func (w *world) letGo() {
	w.editSecret(func(s *corev1.Secret) { controllerutil.RemoveFinalizer(s, holdFinalizer) })
}

// jump moves the wall clocks of the processes by a year, until lift corrects them.
func (w *world) jump(d time.Duration) {
	w.skew = d
	// A clock that is behind issues credentials that have already expired. The operator
	// must recover from that.
	w.restored = w.restored || d < 0
	w.put(yearOff)
}

// refuses returns the admission error for a request, or nil.
func (w *world) refuses(c apifake.Call) error {
	if !w.obstacles[sealed] || c.Kind != apifake.KindSecret || c.Verb == apifake.VerbGet || c.Verb == apifake.VerbList {
		return nil
	}
	return forbidden(c)
}

func forbidden(c apifake.Call) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: c.Kind}, c.Name, errors.New("a policy does not allow it"))
}
