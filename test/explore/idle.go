package explore

// resume continues a paused process other than p. It reports false if no other process is
// paused.
func (w *world) resume(p *process) bool {
	for _, id := range []string{"a", "b"} {
		if other := w.processes[id]; other != p && other.at != nil {
			w.note("%s continues at last", id)
			w.current = other
			return true
		}
	}
	return false
}

// idle continues the story when no process has work to do now. It reports false when
// there is nothing left to wait for.
func (w *world) idle(p *process) bool {
	w.backend.Reveal()
	if w.server.Peek(apifakeToken) == nil {
		w.server.CollectGarbage()
	}
	if len(w.behind()) > 0 && w.now-w.disturbed > long {
		w.lift() // the remaining work is retried by timers
		return true
	}
	if w.turnsPage(p) {
		return true
	}
	if w.resume(p) {
		return true
	}
	if len(w.later) > 0 {
		w.advance(landsWithin)
		return true
	}
	if len(w.behind()) > 0 {
		w.lift()
		return true
	}
	return false
}

// sooner reports whether the timer of n fires before that of p.
func (n *process) sooner(p *process) bool { return n.wake > 0 && (p.wake == 0 || n.wake < p.wake) }

// turnsPage waits for the next timer, or continues the story. It reports false if there
// is neither.
func (w *world) turnsPage(p *process) bool {
	limit := horizon
	if len(w.story) > 0 {
		limit = w.patience
	}
	if other := w.other(p); w.both && other.at == nil && other.sooner(p) {
		p = other
		w.current = other
	}
	if n := w.neighbour; n != nil && n.sooner(p) && w.now-w.disturbed <= long {
		p = n // it retries until it has a slot
	}
	if p.wake > 0 && p.wake-w.now <= limit {
		w.advance(p.wake - w.now)
		return true
	}
	if len(w.story) == 0 {
		return false
	}
	next := w.story[0]
	w.story = w.story[1:]
	next(w)
	w.disturbed = w.now
	return true
}
