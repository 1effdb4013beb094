package plan

import (
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

// whileFound waits while an obstacle is found, even if no credential is needed. It wakes
// earlier if something else becomes due.
func whileFound(name string) func(*situation) (Decision, bool) {
	return func(s *situation) (Decision, bool) {
		d, ok := s.found(name)
		if !ok {
			return Decision{}, false
		}
		d.After = soonest(d.After, s.nextCheck())
		return d, true
	}
}

// needBlocked: a credential is needed, and an obstacle prevents issuing it.
func needBlocked(s *situation) (Decision, bool) {
	if !s.wanted() || !s.blocked() {
		return Decision{}, false
	}
	d, _ := s.obstacle()
	d = s.withLostAccess(d)
	d.After = soonest(d.After, s.nextCheck())
	return d, true
}

func nothingToDo(s *situation) (Decision, bool) {
	d := s.steadily(Wait{}, "")
	d.After = soonest(d.After, s.nextCheck())
	return d, true
}

// steadily returns a decision that keeps the state of the ApiToken. So an ApiToken that is
// blocked or has no access is also reported as such while old credentials are removed.
func (s *situation) steadily(a Action, message string) Decision {
	d := Decision{State: Steady, Reason: v1alpha1.ReasonReady, Message: message}
	if drift, drifted := s.drift(); drifted && s.active.Drift.NoAccess() {
		d = stalled(drift.Reason, drift.Message, 0)
	}
	if s.pastHardEnd() {
		d = stalled(v1alpha1.ReasonExpired, s.hardEndMessage(), 0)
	}
	if b, waits := s.found(RuleUnderWay); waits {
		d = b
	} else if s.wanted() {
		if b, blocked := s.obstacle(); blocked {
			d = s.withLostAccess(b)
		}
	} else if b, lasts := s.notReplaced(); lasts {
		d = s.withLostAccess(b)
	}
	d.Action = a
	return d
}

// nextCheck is how long until something is due that triggers no event; 0: never.
func (s *situation) nextCheck() time.Duration {
	var next time.Duration
	for i := range s.Ledger {
		next = soonest(next, s.entryDue(&s.Ledger[i]))
	}
	for _, end := range []time.Time{s.hardEnd(), s.expiryToEnforce()} {
		if !end.IsZero() && s.Now.Before(end) && !s.pastHardEnd() {
			next = soonest(next, s.until(end))
		}
	}
	if s.restorable() && s.Restored != nil {
		next = soonest(next, s.Restored.AsksIn)
	}
	if _, ok := s.contest(); ok {
		next = soonest(next, s.Secret.Contest.Wait)
	}
	return next
}

// entryDue is how long until something is due for one entry; 0: never.
func (s *situation) entryDue(e *Entry) time.Duration {
	switch e.State {
	case v1alpha1.StateAbandoned, v1alpha1.StateRetiring:
		switch {
		case !e.Settled:
			return max(e.SettlesIn, time.Second)
		case !e.retireDue(s.Now):
			return s.until(e.RetireAt.Time)
		case e.ProvesIn > 0:
			return e.ProvesIn
		default:
			return Recheck
		}
	case v1alpha1.StateActive:
		if s.pastHardEnd() {
			return 0
		}
		return soonest(s.waitsFor(e), soonest(soonest(e.FindsIn, e.ConfirmsIn), s.activeDue(e)))
	case v1alpha1.StateMinting:
		return s.waitsFor(e)
	}
	return 0
}

// activeDue is how long until the schedule has something to do for the credential in use;
// 0: never.
func (o *Observation) activeDue(e *Entry) time.Duration {
	if e.ExpiresAt == nil {
		return 0
	}
	if due := RotationDue(o.Token.UID, &o.Token.Spec, &e.LedgerEntry); o.Now.Before(due) {
		return o.until(due)
	}
	if o.Now.Before(e.ExpiresAt.Time) {
		return o.until(e.ExpiresAt.Time)
	}
	return 0
}

func (o *Observation) until(t time.Time) time.Duration { return max(t.Sub(o.Now), time.Millisecond) }

// soonest is the smaller of two delays, where 0 means never.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}
