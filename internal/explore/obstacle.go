package explore

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// obstacle is something that stands in the way for a while: until everything else
// has come to rest. What rests behind it is judged before it is lifted.
type obstacle string

const (
	// notAdmitted: the provider does not serve the namespace.
	notAdmitted obstacle = "a lost admission"
	// held: a finalizer of another controller is on the Secret.
	held obstacle = "a finalizer on the Secret"
)

const holdFinalizer = "example.com/hold"

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
	w.rested()
	if w.obstacles[held] {
		w.letGo()
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
}

// hold puts another controller's finalizer on the Secret.
func (w *world) hold() {
	w.put(held)
	w.editSecret(func(s *corev1.Secret) { controllerutil.AddFinalizer(s, holdFinalizer) })
}

func (w *world) letGo() {
	w.editSecret(func(s *corev1.Secret) { controllerutil.RemoveFinalizer(s, holdFinalizer) })
}
