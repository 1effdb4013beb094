package plan

import (
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

// The wait for an attempt, or a change in place, of another process.
const (
	// AttemptTime is how long after its reservation an attempt may be under way: one
	// minute until its last request starts, and 30 seconds until that request is given
	// up. Package apitoken has the same two times.
	AttemptTime = 90 * time.Second
	// spareTime is how long the credential in use must still live. With less, a new
	// one is issued without waiting.
	spareTime = 5 * time.Minute
)

// waitsFor is how long this process waits for an attempt or a change in place that
// another process began; 0: it does not wait.
func (o *Observation) waitsFor(e *Entry) time.Duration {
	if !o.canSpare() {
		return 0
	}
	return o.theirs(e)
}

// theirs is how long another process may still work on an attempt or a change in place
// that it began; 0: no longer, or this process began it. The time ends AttemptTime after
// the reservation by the wall clock, and at the latest AttemptTime after this process
// first saw the entry. The time of the reservation was written by another process,
// or by anyone who may write the status, so it can only shorten it.
func (o *Observation) theirs(e *Entry) time.Duration {
	if e.Ours || !e.underWay() {
		return 0
	}
	wait := AttemptTime - e.SeenFor
	if e.State == v1alpha1.StateMinting && e.ReservedAt != nil {
		wait = min(wait, e.ReservedAt.Add(AttemptTime).Sub(o.Now))
	}
	return max(0, wait)
}

// underWay reports whether a process may still be working on the entry: an attempt,
// or a change in place.
func (e *Entry) underWay() bool {
	return e.State == v1alpha1.StateMinting || e.State == v1alpha1.StateActive && e.Updating != ""
}

// unresolved reports whether what becomes of the entry depends on the Secret: it is an
// attempt, or a change in place that another process may be working on.
func (e Entry) unresolved() bool {
	return e.State == v1alpha1.StateMinting || e.underWay() && !e.Ours && e.SeenFor < AttemptTime
}

// canSpare reports whether the workload has what it needs while this process waits:
// the Secret, read live, holds the Active credential unchanged, and that lives long
// enough. So a first credential, a gap of RevokeFirst, a lost Secret, a deletion and a
// hard end never wait.
func (o *Observation) canSpare() bool {
	e, s := o.active(), &o.Secret
	if e == nil || o.Token.Deleting || o.ended() {
		return false
	}
	lives := e.ExpiresAt == nil || e.ExpiresAt.Sub(o.Now) >= spareTime
	return lives && s.Live && o.holds(e.Name) && s.Intact && !s.Deleting
}

// attemptUnderWay: another process is issuing or changing a credential. Nothing is
// reserved until it has ended, or the wait for it has.
func attemptUnderWay(o *Observation) (Decision, bool) {
	var longest time.Duration
	var d Decision
	for i := range o.Ledger {
		e := &o.Ledger[i]
		if wait := o.waitsFor(e); wait > longest {
			longest, d = wait, UnderWay(&e.LedgerEntry)
		}
	}
	d.After = longest
	return d, longest > 0
}

// UnderWay is what the status says while an attempt, or a change in place, is under
// way. The process that began it and those that wait for it say the same, so that
// those that wait write nothing.
func UnderWay(e *v1alpha1.LedgerEntry) Decision {
	d := Decision{Action: Wait{}, State: Progressing, Reason: v1alpha1.ReasonIssuing, Message: "issuing credential " + e.Name}
	switch {
	case e.Updating != "":
		d.Reason, d.Message = v1alpha1.ReasonUpdating, "changing credential "+Called(e)+" at the provider"
	case IssueReason(e.Reason) == IssueScheduled:
		d.State = Steady
	}
	return d
}

func attemptUnderWayWait(o *Observation) (Decision, bool) {
	d, waits := attemptUnderWay(o)
	d.After = soonest(d.After, o.nextLook())
	return d, waits
}
