package apitoken

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/plan"
)

// How long an answer holds that the credential of a Secret is not live: the first
// wait doubles with every answer that says the same.
const (
	firstAbsence = time.Minute
	maxAbsence   = time.Hour
)

// absences remember that the provider did not show the credential that a Secret
// names. No ledger holds such an answer, and a reconcile that does not remember it
// asks again at every event, its own status writes included.
type absences struct {
	mu    sync.Mutex
	known map[types.NamespacedName]absence
}

// claim is what an answer is about. Another claim is asked about again.
type claim struct {
	uid                 types.UID
	credential, account string
	// secret is the version of the Secret where its values are tried; empty elsewhere.
	secret string
}

type absence struct {
	claim   claim
	account string
	asked   time.Duration
	wait    time.Duration
}

// note remembers an answer and returns how long it holds.
func (a *absences) note(token types.NamespacedName, c claim, account string, now time.Duration) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	wait := firstAbsence
	if last, ok := a.known[token]; ok && last.claim == c {
		wait = min(maxAbsence, 2*last.wait)
	}
	if a.known == nil {
		a.known = map[types.NamespacedName]absence{}
	}
	a.known[token] = absence{claim: c, account: account, asked: now, wait: wait}
	return wait
}

// of returns the answer that still holds, or nil.
func (a *absences) of(token types.NamespacedName, c claim, now time.Duration) *plan.Restored {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, ok := a.known[token]
	if left := last.asked + last.wait - now; ok && last.claim == c && left > 0 {
		return &plan.Restored{Account: last.account, Remembered: true, AsksIn: left}
	}
	return nil
}

// forget drops what is remembered of an ApiToken that is gone.
func (a *absences) forget(token types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.known, token)
}

// claimOf is what FindRestored asks about in this pass.
func claimOf(p *pass) claim {
	c := claim{uid: p.token.UID, credential: p.seen.View.Credential, account: p.facts.Account.ID}
	if p.obs.Provider.Form != nil {
		c.secret = p.seen.Version
	}
	return c
}
