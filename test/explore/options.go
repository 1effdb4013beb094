package explore

import (
	"strings"
	"time"
)

// otherRuns is the deviation that pauses the process and runs the other one.
const otherRuns = "the other process runs"

// neighbourRuns is the deviation that runs a reconcile of the other ApiToken.
const neighbourRuns = "the neighbour runs"

// option is something that can happen while a process is at a choice point.
type option struct {
	name string
	do   func(*world, *process)
}

// goOn continues a process, with a fault or without.
func goOn(f fault) option {
	return option{name: string(f), do: func(w *world, p *process) {
		p.resume <- command{fault: f}
		w.await(p)
	}}
}

// options returns what can happen at a point. The first is the ordinary course.
func (w *world) options(p *process) []option {
	at := *p.at
	out := []option{goOn(noFault), {name: "crash", do: crash}, {name: otherRuns, do: swap}}
	out = append(out, pause(70*time.Second), pause(10*time.Minute))
	out = append(out, faultsAt(at)...)
	if at.after {
		return out
	}
	for _, u := range users {
		if !w.used[u.name] && (u.possible == nil || u.possible(w)) {
			out = append(out, option{name: u.name, do: func(w *world, _ *process) { w.used[u.name] = true; u.do(w) }})
		}
	}
	if w.neighbour != nil && w.neighbour.ready() {
		out = append(out, option{name: neighbourRuns, do: func(w *world, _ *process) { w.runNeighbour() }})
	}
	if len(w.later) > 0 {
		out = append(out, option{name: "late requests land", do: func(w *world, _ *process) { w.landAll() }})
	}
	return out
}

// faultsAt returns the ways in which a request can fail at a point.
func faultsAt(at point) []option {
	switch {
	case at.after:
		return []option{goOn(answerLost)}
	case at.what == "check deadline":
		// The point does not say which request follows. Each request takes the faults it
		// supports.
		return []option{goOn(lost), goOn(late), goOn(answerLost), goOn(repeated), goOn(rejected), goOn(partial), goOn(hidden), goOn(refused)}
	case at.provider && at.what == "Mint":
		return []option{goOn(lost), goOn(late), goOn(answerLost), goOn(rejected), goOn(partial), goOn(hidden)}
	case at.provider && at.what == "Update":
		return []option{goOn(lost), goOn(late), goOn(answerLost), goOn(rejected), goOn(ignored)}
	case at.provider:
		return []option{goOn(lost), goOn(answerLost)}
	case at.write:
		return writeFaults(at)
	default:
		return nil
	}
}

// writeFaults returns the ways in which a write to the API server can fail.
func writeFaults(at point) []option {
	out := []option{goOn(lost), goOn(answerLost), goOn(repeated)}
	if strings.HasSuffix(at.what, " Secret") {
		out = append(out, goOn(refused))
	}
	if at.what == "create Secret" || at.what == "update Secret" {
		out = append(out, goOn(late))
	}
	return out
}

// atPoint selects and runs one option while a process is at a point.
func (w *world) atPoint(p *process) {
	options := w.options(p)
	names := make([]string, 0, len(options))
	for _, o := range options {
		names = append(names, o.name)
	}
	o := options[w.pick(p.at.String(), names)]
	if o.name == "" {
		w.note("%s  %s", p.id, p.at)
	} else {
		w.note("%s  %s: %s", p.id, p.at, o.name)
	}
	o.do(w, p)
}

func crash(w *world, p *process) {
	p.resume <- command{crash: true}
	w.await(p)
}

func swap(w *world, p *process) {
	other := w.other(p)
	other.woken = other.woken || other.at == nil
	w.current = other
}

func pause(d time.Duration) option {
	return option{name: "pause of " + d.String(), do: func(w *world, _ *process) { w.advance(d) }}
}

func (w *world) landAll() {
	later := w.later
	w.later = nil
	for _, l := range later {
		w.quiet(l.land)
	}
}
