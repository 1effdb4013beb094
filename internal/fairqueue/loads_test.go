package fairqueue

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/places"
)

// load is what others ask for, before and while the victim asks for one place.
type load struct {
	// tenants are how many namespaces, with objects each, at providers each.
	tenants, objects, providers int
	// sameProvider: all are at the victim's own provider.
	sameProvider bool
	// hangs: who has a place never gives it back. Otherwise it takes 50 rounds.
	hangs bool
	class places.Class
	// most is how many reconciles of others may come first.
	most int
}

// loads are those of docs/performance.md.
var loads = map[string]load{
	"64 ApiTokens at a slow provider":           {tenants: 1, objects: 64, providers: 1, hangs: true, most: 1},
	"1,500 ordinary ApiTokens of one namespace": {tenants: 1, objects: 1500, providers: 1, most: 1},
	"600 deletions":          {tenants: 1, objects: 600, providers: 1, class: places.Ends, most: 1},
	"24 slow TokenProviders": {tenants: 1, objects: 24, providers: 24, hangs: true, most: 1},
	"10 namespaces with 4 hanging TokenProviders each":    {tenants: 10, objects: 40, providers: 4, hangs: true, most: 10},
	"1,500 ApiTokens of one namespace, the same provider": {tenants: 1, objects: 1500, providers: 1, sameProvider: true, most: 1},
}

// workers of the operator under test, each a slot for a reconcile.
const workers = 256

// operator is the queue, the places and the workers, driven step by step.
type operator struct {
	*testing.T
	q      *queue
	places *places.Places
	wants  map[types.NamespacedName]places.Want
	hold   int
	// running are the places that are held, by the round in which they are given back.
	running map[int][]*places.Place
	busy    int
	round   int
	passes  int
	served  map[types.NamespacedName]bool
}

func (o *operator) add(w places.Want) {
	o.wants[w.Who] = w
	o.q.Add(request(w.Who.Namespace, w.Who.Name))
}

// step lets each free worker take one request, and ends the reconciles that are due.
func (o *operator) step() {
	o.round++
	for _, p := range o.running[o.round] {
		o.busy--
		p.Release()
	}
	delete(o.running, o.round)
	for free := workers - o.busy; free > 0 && o.q.Len() > 0; free-- {
		o.pass()
	}
}

func (o *operator) pass() {
	r, _, _ := o.q.GetWithPriority()
	o.passes++
	if p, ok := o.places.Take(o.wants[r.NamespacedName]); ok {
		o.served[r.NamespacedName] = true
		o.busy++
		if o.hold > 0 {
			o.running[o.round+o.hold] = append(o.running[o.round+o.hold], p)
		}
	}
	o.q.Done(r)
}

// TestEveryLoadLeavesRoomForOthers: under each load, an object of another namespace is
// served in time.
func TestEveryLoadLeavesRoomForOthers(t *testing.T) {
	for name, l := range loads {
		t.Run(name, func(t *testing.T) {
			q, clock := made(t)
			o := &operator{T: t, q: q, wants: map[types.NamespacedName]places.Want{}, served: map[types.NamespacedName]bool{},
				running: map[int][]*places.Place{}, hold: 50}
			if l.hangs {
				o.hold = 0
			}
			o.places = places.New(clock, places.Limits{Shared: 16, SharedEach: 12, Provider: 4, Namespace: 16, Asleep: 32, InAll: workers * 3 / 4})
			o.places.OnTurn(func(who types.NamespacedName) { Wake(q, request(who.Namespace, who.Name)) })
			for tenant := range l.tenants {
				for n := range l.objects {
					w := places.Want{Who: types.NamespacedName{Namespace: fmt.Sprintf("many-%d", tenant), Name: fmt.Sprint(n)}, Class: l.class,
						Provider: fmt.Sprintf("many-%d/%d", tenant, n%l.providers), Shared: l.sameProvider}
					if l.sameProvider {
						w.Provider = "shared"
					}
					o.add(w)
				}
			}
			for _, when := range []string{"first", "in the middle", "last"} {
				victim := places.Want{Who: types.NamespacedName{Namespace: "victim", Name: when}, Class: places.Issues, Provider: "shared", Shared: true}
				o.add(victim)
				before := o.passes
				for !o.served[victim.Who] {
					if o.q.Len() == 0 {
						t.Fatalf("%s: the victim waits, and no worker is busy", when)
					}
					o.pass()
				}
				if others := o.passes - before - 1; others > l.most {
					t.Errorf("%s: %d reconciles of others came first, %d at most", when, others, l.most)
				}
				for range 200 {
					o.step()
				}
			}
		})
	}
}
