package memory

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/plan"
)

// How long the answer that the credential of a Secret is not live stays valid. The time
// doubles with every such answer.
const (
	firstAbsence = time.Minute
	maxAbsence   = time.Hour
)

// Absences remember that the provider did not show the credential that a Secret names. No
// ledger records such an answer. Without Absences, every event, including the operator's
// own status writes, would cause another call.
type Absences struct{ known *byToken[absence] }

// Claim identifies what an answer is about. The answer is not valid for another claim.
type Claim struct {
	UID                 types.UID
	Credential, Account string
	// Secret is the version of the Secret, if its values are tried; otherwise empty.
	Secret string
}

type absence struct {
	claim   Claim
	account string
	asked   time.Duration
	wait    time.Duration
}

func newAbsences(m *Memory) *Absences { return &Absences{perToken[absence](m)} }

// Note records an answer and returns how long it stays valid.
func (a *Absences) Note(token types.NamespacedName, c Claim, account string, now time.Duration) time.Duration {
	wait := firstAbsence
	a.known.edit(token, func(last *absence) bool {
		if last.wait > 0 && last.claim == c {
			wait = min(maxAbsence, 2*last.wait)
		}
		*last = absence{claim: c, account: account, asked: now, wait: wait}
		return true
	})
	return wait
}

// Of returns the answer that is still valid, or nil.
func (a *Absences) Of(token types.NamespacedName, c Claim, now time.Duration) *plan.Restored {
	last, known := a.known.get(token)
	if left := last.asked + last.wait - now; known && last.claim == c && left > 0 {
		return &plan.Restored{Account: last.account, Remembered: true, AsksIn: left}
	}
	return nil
}
