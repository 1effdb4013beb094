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

// obstacle is something that stands in the way for a while: until everything else
// has come to rest. What rests behind it is judged before it is lifted.
type obstacle string

const (
	// notAdmitted: the provider does not serve the namespace.
	notAdmitted obstacle = "a lost admission"
	// sealed: admission refuses every write and deletion of the Secret.
	sealed obstacle = "a sealed Secret"
	// held: a finalizer of another controller is on the Secret.
	held obstacle = "a finalizer on the Secret"
	// yearOff: the wall clock is a year ahead or behind.
	yearOff obstacle = "a wrong wall clock"
)

const (
	year          = 365 * 24 * time.Hour
	holdFinalizer = "example.com/hold"
)

// behind are the obstacles that stand, in a fixed order.
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

// put puts an obstacle in the way, which every process learns.
func (w *world) put(o obstacle) {
	w.note("%s stands in the way", o)
	w.obstacles[o] = true
	w.wakeAll()
}

// lift judges what has come to rest, and takes the obstacles away.
func (w *world) lift() {
	if !w.obstacles[yearOff] { // overlaps and waits are as long as the clock says
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

// hold puts another controller's finalizer on the Secret.
func (w *world) hold() {
	w.put(held)
	w.editSecret(func(s *corev1.Secret) { controllerutil.AddFinalizer(s, holdFinalizer) })
}

func (w *world) letGo() {
	w.editSecret(func(s *corev1.Secret) { controllerutil.RemoveFinalizer(s, holdFinalizer) })
}

// jump sets the processes' wall clocks off by a year, until they are set right.
func (w *world) jump(d time.Duration) {
	w.skew = d
	// What is issued by a clock that is behind has run out when it is issued. It has to heal.
	w.restored = w.restored || d < 0
	w.put(yearOff)
}

// refuses is the answer of admission to a request, or nil.
func (w *world) refuses(c apifake.Call) error {
	if !w.obstacles[sealed] || c.Kind != apifake.KindSecret || c.Verb == apifake.VerbGet || c.Verb == apifake.VerbList {
		return nil
	}
	return forbidden(c)
}

func forbidden(c apifake.Call) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: c.Kind}, c.Name, errors.New("a policy does not allow it"))
}
