package places

import (
	"cmp"
	"time"
)

// state of a ticket.
type state int

const (
	// waiting: in line.
	waiting state = iota
	// turn: a place is reserved for it, until it is claimed or expires.
	turn
	// late: its turn expired. It keeps its position for its next request.
	late
	// held: it has a place.
	held
	// asleep: it released its place, and still counts in Limits.InAll and Limits.Asleep.
	asleep
	// left: it ended.
	left
)

// ticket is a request for a place.
type ticket struct {
	want  Want
	state state
	group *group
	// number is its position; since is the monotonic time of its first request.
	number uint64
	since  time.Duration
	until  time.Duration
	index  int
	// granted is closed when its turn comes; nil unless it was made by Await.
	granted chan struct{}
}

// line has the tickets for the same places.
type line struct {
	name        string
	limit, used int
	// each is the number of places that one tenant can have here; by is the number it has.
	each int
	by   map[*tenant]int
	// groups are the waiting tenants, in the order in which they are served.
	groups []*group
}

// tenant is a namespace, or an object without one.
type tenant struct {
	name        string
	used, mints int
	// groups are the lines where it waits, in the order in which they are served.
	groups []*group
	// members is the number of its tickets, in all states.
	members int
}

// group has the waiting tickets of one tenant in one line.
type group struct {
	line    *line
	tenant  *tenant
	waiting ordered
}

// ordered is the heap of a group's tickets.
type ordered []*ticket

func (o ordered) Len() int { return len(o) }

func (o ordered) Less(i, j int) bool {
	a, b := o[i], o[j]
	return cmp.Or(cmp.Compare(a.want.Class, b.want.Class), compareDue(a.want.Due, b.want.Due), cmp.Compare(a.number, b.number)) < 0
}

func compareDue(a, b time.Time) int {
	if a.IsZero() || b.IsZero() {
		return cmp.Compare(oneIf(a.IsZero()), oneIf(b.IsZero()))
	}
	return a.Compare(b)
}

func oneIf(is bool) int {
	if is {
		return 1
	}
	return 0
}

func (o ordered) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].index, o[j].index = i, j
}

// Push implements heap.Interface.
func (o *ordered) Push(x any) {
	t, _ := x.(*ticket)
	t.index = len(*o)
	*o = append(*o, t)
}

// Pop implements heap.Interface.
func (o *ordered) Pop() any {
	last := len(*o) - 1
	t := (*o)[last]
	(*o)[last] = nil
	*o = (*o)[:last]
	return t
}
