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
	// turn: a place is kept for it, until it is claimed or the time is up.
	turn
	// late: it was woken and did not come in time. It comes yet, and keeps its position.
	late
	// held: it has a place.
	held
	// asleep: it gave its place back, and still counts in all and among the mints.
	asleep
	// left: it is over.
	left
)

// ticket is one who asked.
type ticket struct {
	want  Want
	state state
	group *group
	// number is its position, since the moment it asked first, by the monotonic clock.
	number uint64
	since  time.Duration
	until  time.Duration
	index  int
	// granted is closed when its turn comes, for one who waits in Await.
	granted chan struct{}
}

// line is where those wait who want the same places.
type line struct {
	name        string
	limit, used int
	// each is how many places one tenant may have here, by how many it has.
	each int
	by   map[*tenant]int
	// groups are the tenants that wait here, in the order in which they are served.
	groups []*group
}

// tenant is a namespace, or an object without one.
type tenant struct {
	name        string
	used, mints int
	// groups are the lines in which it waits, in the order in which they are served.
	groups []*group
	// members are its tickets, in all states.
	members int
}

// group is what one tenant has in one line.
type group struct {
	line    *line
	tenant  *tenant
	waiting ordered
}

// ordered is a heap of those of one tenant in one line.
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
