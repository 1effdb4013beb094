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

// The neighbour is an older ApiToken of the same account. It is suspended until the story
// lets it request a slot. Its own operator makes no mistakes.
var (
	neighbourKey     = types.NamespacedName{Namespace: tokenKey.Namespace, Name: "neighbour"}
	apifakeNeighbour = apifake.Key{Kind: "ApiToken", Namespace: neighbourKey.Namespace, Name: neighbourKey.Name}
)

// moveIn creates the neighbour. It must be older than the ApiToken.
func (w *world) moveIn() {
	t := w.declared.DeepCopy()
	t.Name, t.Spec.Suspend = neighbourKey.Name, true
	must(w.server.Client(nil).Create(context.Background(), t))
	w.advance(time.Second) // creation times are in whole seconds
}

func (w *world) bootNeighbour() {
	w.neighbour = w.boot("n")
	w.neighbour.key, w.neighbour.smooth = neighbourKey, true
}

// runNeighbour runs one reconcile of the neighbour's operator.
func (w *world) runNeighbour() {
	n := w.neighbour
	n.cache.Refresh()
	n.seen = w.server.Revision()
	n.start()
	w.await(n)
}

// neighbourAsks lets the neighbour request a slot once the ApiToken has its first
// credential.
// Before that, the older one is entitled to the slot.
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
