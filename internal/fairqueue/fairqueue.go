// Package fairqueue is a work queue for controllers in which namespaces take turns. However
// many objects of one namespace are queued, at most one object of each other namespace is
// served before the first object of a new namespace.
package fairqueue

import (
	"container/heap"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"apitoken.dev/operator/internal/clock"
)

// Urgent is the priority of a request whose turn at a provider has come.
// controller-runtime uses 0, and handler.LowPriority for objects that a start or a resync
// brings unchanged.
const Urgent = 100

// Limiter delays the retries of a failed request.
type Limiter = workqueue.TypedRateLimiter[reconcile.Request]

// Queue is the work queue of a controller.
type Queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// Factory makes the queue of a controller.
type Factory = func(name string, limiter Limiter) Queue

// Wake adds a request whose turn at a provider has come.
func Wake(q Queue, r reconcile.Request) {
	if p, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		priority := Urgent
		p.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, r)
		return
	}
	q.Add(r)
}

// Later adds a request with the lowest priority.
func Later(q Queue, r reconcile.Request) {
	if p, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		priority := handler.LowPriority
		p.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, r)
		return
	}
	q.Add(r)
}

// New returns a function for controller.Options.NewQueue. If observe is set, it is called
// for each new queue with its name, and a function that returns the number of queued
// requests and how long the oldest has waited.
func New(c clock.Clock, observe func(name string, stats func() (waiting int, oldest time.Duration))) Factory {
	return func(name string, limiter Limiter) Queue {
		order := &order{clock: c, waiting: map[reconcile.Request]*item{}, groups: map[string]*group{},
			priorities: map[reconcile.Request]int{}, taken: map[reconcile.Request]int{}}
		inner := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[reconcile.Request]{Name: name, Queue: order})
		delayed := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[reconcile.Request]{Name: name, Queue: inner})
		if observe != nil {
			observe(name, order.stats)
		}
		return &queue{order: order, TypedRateLimitingInterface: workqueue.NewTypedRateLimitingQueueWithConfig(limiter,
			workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{Name: name, DelayingQueue: delayed})}
	}
}

// queue is client-go's queue with a fair order. It is a PriorityQueue, so the handlers of
// controller-runtime use a low priority for the objects of a start.
type queue struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	order *order
}

var _ priorityqueue.PriorityQueue[reconcile.Request] = (*queue)(nil)

// AddWithOpts implements priorityqueue.PriorityQueue. The highest priority of a request is
// used.
func (q *queue) AddWithOpts(o priorityqueue.AddOpts, requests ...reconcile.Request) {
	for _, r := range requests {
		priority := 0
		if o.Priority != nil {
			priority = *o.Priority
		}
		q.order.prioritize(r, priority)
		switch {
		case o.RateLimited:
			q.TypedRateLimitingInterface.AddRateLimited(r)
		case o.After > 0:
			q.TypedRateLimitingInterface.AddAfter(r, o.After)
		default:
			q.TypedRateLimitingInterface.Add(r)
		}
	}
}

// Add implements workqueue.TypedInterface.
func (q *queue) Add(r reconcile.Request) { q.AddWithOpts(priorityqueue.AddOpts{}, r) }

// AddAfter implements workqueue.TypedDelayingInterface.
func (q *queue) AddAfter(r reconcile.Request, after time.Duration) {
	q.AddWithOpts(priorityqueue.AddOpts{After: after}, r)
}

// AddRateLimited implements workqueue.TypedRateLimitingInterface.
func (q *queue) AddRateLimited(r reconcile.Request) {
	q.AddWithOpts(priorityqueue.AddOpts{RateLimited: true}, r)
}

// GetWithPriority implements priorityqueue.PriorityQueue. A controller retries a request
// with the priority that is returned here, so Urgent is not returned: it applies once.
func (q *queue) GetWithPriority() (reconcile.Request, int, bool) {
	r, shutdown := q.Get()
	return r, min(0, q.order.took(r)), shutdown
}

// order implements workqueue.Queue. Its lock protects the priorities, which are set without
// the lock of the workqueue.
type order struct {
	clock clock.Clock

	mu sync.Mutex
	// priorities of the queued requests, and taken of the requests in progress.
	priorities, taken map[reconcile.Request]int
	waiting           map[reconcile.Request]*item
	groups            map[string]*group
	// round has the groups in the order in which they are served.
	round []*group
	count uint64
}

// group has the queued requests of one namespace.
type group struct {
	tenant string
	items  items
}

type item struct {
	request  reconcile.Request
	priority int
	number   uint64
	since    time.Duration
	index    int
}

// items is a heap: the highest priority first, then the oldest.
type items []*item

func (x items) Len() int { return len(x) }

func (x items) Less(i, j int) bool {
	if x[i].priority != x[j].priority {
		return x[i].priority > x[j].priority
	}
	return x[i].number < x[j].number
}

func (x items) Swap(i, j int) {
	x[i], x[j] = x[j], x[i]
	x[i].index, x[j].index = i, j
}

// Push implements heap.Interface.
func (x *items) Push(v any) {
	i, _ := v.(*item)
	i.index = len(*x)
	*x = append(*x, i)
}

// Pop implements heap.Interface.
func (x *items) Pop() any {
	last := len(*x) - 1
	i := (*x)[last]
	(*x)[last] = nil
	*x = (*x)[:last]
	return i
}

// tenant is the namespace of a request, or its object if it has no namespace.
func tenant(r reconcile.Request) string {
	if r.Namespace == "" {
		return "/" + r.Name
	}
	return r.Namespace
}

// prioritize raises the priority of a request that is queued or will be.
func (o *order) prioritize(r reconcile.Request, priority int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if had, ok := o.priorities[r]; !ok || priority > had {
		o.priorities[r] = priority
	}
	if i := o.waiting[r]; i != nil && priority > i.priority {
		i.priority = priority
		heap.Fix(&o.groups[tenant(r)].items, i.index)
	}
}

// Touch implements workqueue.Queue. It is called for a queued request that is added again;
// prioritize has raised its priority already.
func (*order) Touch(reconcile.Request) {}

// Push implements workqueue.Queue.
func (o *order) Push(r reconcile.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	g := o.groups[tenant(r)]
	if g == nil {
		g = &group{tenant: tenant(r)}
		o.groups[g.tenant] = g
		o.round = append(o.round, g)
	}
	o.count++
	i := &item{request: r, priority: o.priorities[r], number: o.count, since: o.clock.Monotonic()}
	o.waiting[r] = i
	heap.Push(&g.items, i)
}

// Len implements workqueue.Queue.
func (o *order) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting)
}

// Pop implements workqueue.Queue.
func (o *order) Pop() reconcile.Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	g := o.round[0]
	i, _ := heap.Pop(&g.items).(*item)
	delete(o.waiting, i.request)
	o.round = o.round[1:]
	if len(g.items) > 0 {
		o.round = append(o.round, g)
	} else {
		delete(o.groups, g.tenant)
	}
	delete(o.priorities, i.request)
	o.taken[i.request] = i.priority
	return i.request
}

// took returns the priority of a request in progress.
func (o *order) took(r reconcile.Request) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	priority := o.taken[r]
	delete(o.taken, r)
	return priority
}

func (o *order) stats() (waiting int, longest time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.clock.Monotonic()
	for _, i := range o.waiting {
		longest = max(longest, now-i.since)
	}
	return len(o.waiting), longest
}
