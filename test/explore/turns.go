package explore

import "time"

// requestTakes is how long a request that changes the provider takes where both
// processes act.
const requestTakes = 10 * time.Second

// slow reports whether a process waits for the response to such a request.
func (p *process) slow() bool { return p.at != nil && p.at.after && p.at.provider }

// runs reports whether a process can act now.
func (p *process) runs() bool {
	if p.at == nil {
		return p.ready()
	}
	return !p.slow() || p.answers > 0 && p.answers <= p.w.now
}

// takesTurns selects the process that acts: the current one until it waits for the
// provider.
// It reports true if time passed instead, because both wait.
func (w *world) takesTurns() bool {
	p := w.current
	other := w.other(p)
	for _, each := range []*process{p, other} {
		if each.slow() && each.answers == 0 {
			each.answers = w.now + requestTakes
		}
	}
	switch {
	case p.runs():
	case other.runs():
		w.note("%s sees it", other.id)
		w.current = other
	case p.slow() || other.slow():
		next := p.answers
		if next == 0 || other.answers > 0 && other.answers < next {
			next = other.answers
		}
		w.advance(next - w.now)
		return true
	}
	return false
}

// other returns the process that is not p.
func (w *world) other(p *process) *process {
	for _, other := range w.processes {
		if other != p {
			return other
		}
	}
	return p
}
