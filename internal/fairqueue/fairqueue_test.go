package fairqueue

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/testutil"
)

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

// made returns a queue with a clock that stands still.
func made(t *testing.T) (*queue, *testutil.Clock) {
	t.Helper()
	clock := testutil.NewClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Nanosecond, time.Nanosecond)
	q, ok := New(clock, nil)("", limiter).(*queue)
	if !ok {
		t.Fatal("it makes another queue")
	}
	t.Cleanup(q.ShutDown)
	return q, clock
}

// takes takes the next requests, and says which.
func takes(q *queue, n int) []string {
	var out []string
	for range n {
		r, _, _ := q.GetWithPriority()
		q.Done(r)
		out = append(out, r.String())
	}
	return out
}

// TestNamespacesTakeTurns: a namespace that comes after 1,500 requests of another
// one is next after one of them.
func TestNamespacesTakeTurns(t *testing.T) {
	q, _ := made(t)
	for n := range 1500 {
		q.Add(request("many", fmt.Sprint(n)))
	}
	q.Add(request("victim", "a"))
	q.Add(request("victim", "b"))
	if got, want := takes(q, 4), []string{"many/0", "victim/a", "many/1", "victim/b"}; !slices.Equal(got, want) {
		t.Errorf("taken are %v, want %v", got, want)
	}
	if q.Len() != 1498 {
		t.Errorf("%d are left", q.Len())
	}
}

// TestObjectsWithoutNamespaceTakeTurns: each stands for itself.
func TestObjectsWithoutNamespaceTakeTurns(t *testing.T) {
	q, _ := made(t)
	for n := range 5 {
		q.Add(request("many", fmt.Sprint(n)))
	}
	q.Add(request("", "a"))
	q.Add(request("", "b"))
	if got, want := takes(q, 4), []string{"many/0", "/a", "/b", "many/1"}; !slices.Equal(got, want) {
		t.Errorf("taken are %v, want %v", got, want)
	}
}

// TestHighestPriorityGoesFirst in a namespace, and equal ones in the order of their arrival.
func TestHighestPriorityGoesFirst(t *testing.T) {
	q, _ := made(t)
	add := func(name string, priority int) {
		q.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, request("x", name))
	}
	Later(q, request("x", "old-1"))
	add("old-2", handler.LowPriority)
	q.Add(request("x", "new"))
	add("old-3", handler.LowPriority)
	q.Add(request("x", "old-3"))
	add("new", handler.LowPriority)
	add("woken", Urgent)
	if got, want := takes(q, 5), []string{"x/woken", "x/new", "x/old-3", "x/old-1", "x/old-2"}; !slices.Equal(got, want) {
		t.Errorf("taken are %v, want %v", got, want)
	}
	add("woken", Urgent)
	add("old", handler.LowPriority)
	for _, want := range []int{0, handler.LowPriority} {
		r, priority, _ := q.GetWithPriority()
		if priority != want {
			t.Errorf("%s is repeated with the priority %d, want %d", r, priority, want)
		}
		q.Done(r)
	}
	if n := len(q.order.priorities) + len(q.order.taken) + len(q.order.waiting) + len(q.order.groups); n != 0 {
		t.Errorf("%d things are remembered of an empty queue", n)
	}
}

// TestObjectsOfAStartHaveLowPriority, because the handlers of controller-runtime recognize
// the queue as a PriorityQueue.
func TestObjectsOfAStartHaveLowPriority(t *testing.T) {
	q, _ := made(t)
	token := func(name string) client.Object {
		o := &v1alpha1.ApiToken{}
		o.SetNamespace("x")
		o.SetName(name)
		return o
	}
	h := &handler.EnqueueRequestForObject{}
	h.Create(t.Context(), event.CreateEvent{Object: token("old"), IsInInitialList: true}, q)
	h.Create(t.Context(), event.CreateEvent{Object: token("new")}, q)
	if got, want := takes(q, 2), []string{"x/new", "x/old"}; !slices.Equal(got, want) {
		t.Errorf("taken are %v, want %v", got, want)
	}
}

// TestRequestIsProcessedOnceAtATime: one that is added while it is processed is processed
// again afterwards.
func TestRequestIsProcessedOnceAtATime(t *testing.T) {
	q, _ := made(t)
	r := request("x", "a")
	q.Add(r)
	q.Add(r)
	if got, _, _ := q.GetWithPriority(); got != r || q.Len() != 0 {
		t.Fatalf("got %s, and %d wait", got, q.Len())
	}
	q.AddRateLimited(r)
	q.Done(r)
	if got, _, _ := q.GetWithPriority(); got != r || q.NumRequeues(r) != 1 {
		t.Errorf("got %s, and %d requeues", got, q.NumRequeues(r))
	}
	q.AddAfter(r, time.Nanosecond)
	q.Done(r)
	if got, _, _ := q.GetWithPriority(); got != r {
		t.Errorf("got %s", got)
	}
	q.Done(r)
}

func TestOldestWaitIsObserved(t *testing.T) {
	q, clock := made(t)
	q.Add(request("x", "a"))
	clock.Advance(time.Minute)
	q.Add(request("x", "b"))
	clock.Advance(time.Second)
	if n, got := q.order.stats(); n != 2 || got != time.Minute+time.Second {
		t.Errorf("got %s", got)
	}
	takes(q, 1)
	if n, got := q.order.stats(); n != 1 || got != time.Second {
		t.Errorf("got %s", got)
	}
	takes(q, 1)
	if n, got := q.order.stats(); n != 0 || got != 0 {
		t.Errorf("got %s", got)
	}
}
