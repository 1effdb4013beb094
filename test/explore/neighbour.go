package explore

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/test/support/apifake"
)

// The neighbour is an older ApiToken of the same account. It is suspended until the
// story lets it ask for a slot, and its own operator makes no mistakes.
var (
	neighbourKey     = types.NamespacedName{Namespace: tokenKey.Namespace, Name: "neighbour"}
	apifakeNeighbour = apifake.Key{Kind: "ApiToken", Namespace: neighbourKey.Namespace, Name: neighbourKey.Name}
)

// moveIn creates the neighbour, which has to come before the ApiToken.
func (w *world) moveIn() {
	t := w.declared.DeepCopy()
	t.Name, t.Spec.Suspend = neighbourKey.Name, true
	must(w.server.Client(nil).Create(context.Background(), t))
	w.advance(time.Second) // its age is counted in seconds
}

func (w *world) bootNeighbour() {
	w.neighbour = w.boot("n")
	w.neighbour.key, w.neighbour.smooth = neighbourKey, true
}

// runNeighbour runs one pass of the neighbour's operator.
func (w *world) runNeighbour() {
	n := w.neighbour
	n.cache.Refresh()
	n.seen = w.server.Revision()
	n.start()
	w.await(n)
}

// neighbourAsks lets the neighbour ask for a slot once the ApiToken has its first
// credential: before that, the older one may have the slot.
func neighbourAsks(w *world) {
	t, ok := w.server.Peek(apifakeNeighbour).(*v1alpha1.ApiToken)
	if token := w.token(); !ok || token == nil || ledger.Active(&token.Status, "") == nil {
		return
	}
	w.note("the neighbour is no longer suspended")
	t = t.DeepCopy()
	t.Spec.Suspend = false
	w.write(client.Object(t))
}
