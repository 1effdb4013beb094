package memory

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Failures remember which rules failed last, so that their actions do not block other rules
// (plan.Observation.Failed).
type Failures struct{ last *byToken[failures] }

type failures struct {
	rules map[string]bool
	// texts are how each rule failed last, since an action last succeeded.
	texts map[string]string
	// changes counts the texts that differed from the one before, and at is when one was
	// reported last.
	changes int
	at      time.Duration
}

// A failure whose text changes is reported at once freeChanges times, and then every
// changeInterval: each text is a change of the status that brings the next reconcile at
// once, so a provider whose answers alternate would be called without a pause.
const (
	freeChanges    = 5
	changeInterval = 10 * time.Second
)

// Outcome is how the action of a decision ended.
type Outcome struct {
	Rule string
	// Waits: there was nothing to do but wait.
	Waits bool
	// Failure says how the action failed; empty: it succeeded.
	Failure string
}

func newFailures(m *Memory) *Failures { return &Failures{perToken[failures](m)} }

// Note records an outcome. When a failed rule runs again, or there is nothing to do but
// wait, the other failed rules get another turn. It returns the rules that failed last, and
// whether the failure must not be reported now: it was reported before, or must wait.
func (f *Failures) Note(token types.NamespacedName, o Outcome, now time.Duration) (failed map[string]bool, reported bool) {
	f.last.edit(token, func(last *failures) bool {
		failed = map[string]bool{}
		if !o.Waits && !last.rules[o.Rule] {
			maps.Copy(failed, last.rules)
		}
		if o.Failure == "" {
			*last = failures{rules: failed}
			return len(failed) > 0
		}
		failed[o.Rule] = true
		last.rules = failed
		reported = last.report(o, now)
		return true
	})
	return failed, reported
}

// report records the text of a failure. It returns true if the text must not be reported
// now, because it was reported before or must wait.
func (f *failures) report(o Outcome, now time.Duration) (reported bool) {
	if f.texts == nil {
		f.texts = map[string]string{}
	}
	switch {
	case f.texts[o.Rule] == o.Failure:
		reported = len(f.texts) > 1
	case f.changes >= freeChanges && now-f.at < changeInterval:
		reported = true
	default:
		f.changes, f.at = f.changes+1, now
	}
	f.texts[o.Rule] = o.Failure
	return reported
}

// Of returns the rules that failed last. Do not change the map.
func (f *Failures) Of(token types.NamespacedName) map[string]bool {
	last, _ := f.last.get(token)
	return last.rules
}
