package plan

import (
	"fmt"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

// The wait for an attempt, or a change in place, of another process.
const (
	// AttemptTime is how long after its reservation an attempt can be in progress: its last
	// request starts within one minute, and is cancelled after 30 seconds. Package apitoken
	// has the same two times.
	AttemptTime = 90 * time.Second
	// spareTime is how long the credential in use must stay valid for this process to wait.
	// With less, it issues a new one without waiting.
	spareTime = 5 * time.Minute
)

// waitsFor is how long this process waits for an attempt or a change in place of another process;
// 0: it does not wait.
func (s *situation) waitsFor(e *Entry) time.Duration {
	if !s.canWait() {
		return 0
	}
	return s.otherProcessTime(e)
}

// otherProcessTime is how long another process can still work on an attempt or a change in
// place that it began; 0: it cannot, or this process began it. The time ends AttemptTime after
// the reservation by the wall clock, and at the latest AttemptTime after this process first
// saw the entry. Another process, or anyone who can write the status, wrote the time of the
// reservation, so that time can only shorten the wait.
func (o *Observation) otherProcessTime(e *Entry) time.Duration {
	if e.Ours || !e.inProgress() {
		return 0
	}
	wait := AttemptTime - e.SeenFor
	if e.State == v1alpha1.StateMinting && e.ReservedAt != nil {
		wait = min(wait, e.ReservedAt.Add(AttemptTime).Sub(o.Now))
	}
	return max(0, wait)
}

// inProgress reports whether the entry is an attempt, or is being changed in place.
func (e *Entry) inProgress() bool {
	return e.State == v1alpha1.StateMinting || e.State == v1alpha1.StateActive && e.Updating != ""
}

// needsSecret reports whether the Secret decides what happens to the entry: it is an
// attempt, or another process can be changing it in place.
func (e Entry) needsSecret() bool {
	return e.State == v1alpha1.StateMinting || e.inProgress() && !e.Ours && e.SeenFor < AttemptTime
}

// canWait reports whether the workload has what it needs while this process waits: the
// Secret, read live, holds the Active credential unchanged, and that stays valid for long
// enough. So a first credential, a gap, a lost Secret, a deletion and a hard end never wait.
func (s *situation) canWait() bool {
	e, secret := s.active, &s.Secret
	if e == nil || s.Token.Deleting || s.pastHardEnd() {
		return false
	}
	lives := e.ExpiresAt == nil || e.ExpiresAt.Sub(s.Now) >= spareTime
	return lives && secret.Live && s.holds(e.Name) && secret.Intact && !secret.Deleting
}

// attemptUnderWay: another process may be issuing or updating a credential. Nothing is
// reserved until it has ended, or the wait for it has.
func attemptUnderWay(s *situation) (Decision, bool) {
	var longest time.Duration
	var d Decision
	for i := range s.Ledger {
		e := &s.Ledger[i]
		if wait := s.waitsFor(e); wait > longest {
			longest, d = wait, UnderWay(&e.LedgerEntry)
		}
	}
	d.After = longest
	return d, longest > 0
}

// UnderWay is what the status says while an attempt, or a change in place, is in progress. A
// process that carries it out and one that waits for it write the same, so that a process that
// waits writes nothing.
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

func unresolvedMessage(e *Entry) string {
	return fmt.Sprintf("attempt %s has an unknown outcome", e.Name)
}
