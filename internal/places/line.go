package places

import (
	"container/heap"
	"slices"
)

func (w Want) tenant() string {
	if w.Who.Namespace == "" {
		return "/" + w.Who.Name
	}
	return w.Who.Namespace
}

// line returns the line of a Want, its number of places, and that of each tenant.
func (s *Places) line(w Want) (name string, limit, each int) {
	switch {
	case w.Account != "":
		return "account " + w.Account, s.limits.Account, 0
	case w.Shared:
		return "provider " + w.Provider, s.limits.Shared, s.limits.SharedEach
	default:
		return "provider " + w.Provider, s.limits.Provider, 0
	}
}

// ask adds a Want to its line, unless it is there already, and serves it if possible.
func (s *Places) ask(w Want) *ticket {
	name, limit, each := s.line(w)
	s.count++
	t := &ticket{want: w, number: s.count, since: s.clock.Monotonic()}
	if known := s.tickets[w.Who]; known != nil {
		switch same := known.group.line.name == name; {
		case same && known.state == waiting:
			known.want = w
			heap.Fix(&known.group.waiting, known.index)
			s.serve(known.group)
			return known
		case same && (known.state == turn || known.state == held) && known.want.Provider == w.Provider:
			return known
		case same:
			t.number, t.since = known.number, known.since
		}
		s.drop(known)
	}
	t.group = s.group(name, w.tenant())
	t.group.line.limit, t.group.line.each = limit, each
	t.group.tenant.members++
	s.tickets[w.Who] = t
	s.enter(t)
	s.serve(t.group)
	return t
}

// claim turns a turn into a place.
func (s *Places) claim(t *ticket) {
	t.state = held
	s.turns = without(s.turns, t)
	s.woken = without(s.woken, t.want.Who)
}

// group returns the group of a tenant in a line; an empty one if it is new.
func (s *Places) group(name, tenantName string) *group {
	l := s.lines[name]
	if l == nil {
		l = &line{name: name, by: map[*tenant]int{}}
		s.lines[name] = l
	}
	who := s.tenants[tenantName]
	if who == nil {
		who = &tenant{name: tenantName}
		s.tenants[tenantName] = who
	}
	for _, g := range who.groups {
		if g.line == l {
			return g
		}
	}
	return &group{line: l, tenant: who}
}

// enter adds a ticket to its line.
func (s *Places) enter(t *ticket) {
	g := t.group
	if len(g.waiting) == 0 {
		g.line.groups = append(g.line.groups, g)
		g.tenant.groups = append(g.tenant.groups, g)
		if len(g.tenant.groups) == 1 {
			s.order = append(s.order, g.tenant)
		}
	}
	t.state = waiting
	heap.Push(&g.waiting, t)
}

// exit removes a ticket from its line.
func (s *Places) exit(t *ticket) {
	g := t.group
	heap.Remove(&g.waiting, t.index)
	if len(g.waiting) > 0 {
		return
	}
	g.line.groups = without(g.line.groups, g)
	g.tenant.groups = without(g.tenant.groups, g)
	if len(g.tenant.groups) == 0 {
		s.order = without(s.order, g.tenant)
	}
}

func without[T comparable](all []T, one T) []T {
	return slices.DeleteFunc(all, func(x T) bool { return x == one })
}

// toBack moves an element to the end, if it is there.
func toBack[T comparable](all []T, one T) {
	if i := slices.Index(all, one); i >= 0 {
		copy(all[i:], all[i+1:])
		all[len(all)-1] = one
	}
}

// serve gives the first ticket of a group its turn, if there is a place for it.
func (s *Places) serve(g *group) bool {
	if len(g.waiting) == 0 {
		return false
	}
	t := g.waiting[0]
	if !s.possible(t) {
		return false
	}
	s.exit(t)
	toBack(g.line.groups, g)
	toBack(g.tenant.groups, g)
	toBack(s.order, g.tenant)
	t.state, t.until = turn, s.clock.Monotonic()+TurnFor
	g.occupy()
	g.tenant.mints += oneIf(t.want.Mints)
	s.busy++
	if t.granted != nil {
		t.state = held
		close(t.granted)
		return true
	}
	s.turns = append(s.turns, t)
	s.woken = append(s.woken, t.want.Who)
	return true
}

// possible reports whether there is a place for a ticket.
func (s *Places) possible(t *ticket) bool {
	g := t.group
	return !full(g.line.used, g.line.limit) && !full(g.line.by[g.tenant], g.line.each) && !full(g.tenant.used, s.limits.Namespace) &&
		!full(s.busy, s.limits.InAll) && (!t.want.Mints || !full(g.tenant.mints, s.limits.Asleep))
}

// occupy counts a place of the line as taken by the tenant.
func (g *group) occupy() {
	g.line.used++
	g.line.by[g.tenant]++
	g.tenant.used++
}

// vacate reverts occupy.
func (g *group) vacate() {
	g.line.used--
	if g.line.by[g.tenant]--; g.line.by[g.tenant] == 0 {
		delete(g.line.by, g.tenant)
	}
	g.tenant.used--
}

func full(used, limit int) bool { return limit > 0 && used >= limit }

// freed serves the tickets that can have a place after one of a group has ended. If all
// places were taken, that can be any ticket; otherwise only tickets of the same line or
// tenant.
func (s *Places) freed(g *group, wasFull bool) {
	if wasFull {
		for s.serveAny() {
		}
		return
	}
	for s.serveFirst(g.line.groups) {
	}
	for s.serveFirst(g.tenant.groups) {
	}
}

func (s *Places) serveFirst(groups []*group) bool { return slices.ContainsFunc(groups, s.serve) }

func (s *Places) serveAny() bool {
	return slices.ContainsFunc(s.order, func(t *tenant) bool { return s.serveFirst(t.groups) })
}

// drop ends a ticket in any state, and serves others.
func (s *Places) drop(t *ticket) {
	was, wasFull := t.state, full(s.busy, s.limits.InAll)
	if was == left {
		return
	}
	t.state = left
	if s.tickets[t.want.Who] == t {
		delete(s.tickets, t.want.Who)
	}
	g := t.group
	g.tenant.members--
	switch was {
	case waiting:
		s.exit(t)
	case turn, held:
		g.vacate()
		fallthrough
	case asleep:
		g.tenant.mints -= oneIf(t.want.Mints)
		s.busy--
	case late, left:
	}
	s.turns = without(s.turns, t)
	s.woken = without(s.woken, t.want.Who)
	s.freed(g, wasFull)
	s.tidy(g)
}

// fallAsleep takes the place from a ticket that holds one.
func (s *Places) fallAsleep(t *ticket) {
	if t.state != held {
		return
	}
	t.state = asleep
	t.group.vacate()
	s.freed(t.group, false)
}

// expire hands on the turns that were not claimed in time.
func (s *Places) expire() {
	now := s.clock.Monotonic()
	for len(s.turns) > 0 {
		t := s.turns[0]
		if t.state == turn && t.until > now {
			return
		}
		s.turns = s.turns[1:]
		if t.state != turn {
			continue
		}
		wasFull := full(s.busy, s.limits.InAll)
		t.state = late
		t.group.vacate()
		t.group.tenant.mints -= oneIf(t.want.Mints)
		s.busy--
		s.freed(t.group, wasFull)
	}
}

// tidy drops lines and tenants without tickets.
func (s *Places) tidy(g *group) {
	if len(g.line.groups) == 0 && g.line.used == 0 && s.lines[g.line.name] == g.line {
		delete(s.lines, g.line.name)
	}
	if g.tenant.members == 0 && s.tenants[g.tenant.name] == g.tenant {
		delete(s.tenants, g.tenant.name)
	}
}
