package apitoken

import (
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
)

// rejection is an attempt that the provider explicitly rejected. The process remembers
// it because the write that records it can conflict with another change of the ApiToken.
type rejection struct {
	attempt string
	// revision is the attempt's own, recorded the ledger's before the attempt.
	revision, recorded int64
	// how the reservation is taken back; the pause is counted from at.
	how plan.Rejection
	at  time.Time
	// failed is the error that the ApiToken reports.
	failed error
}

// reject takes back the reservation of the attempt, because nothing was issued. It
// returns why.
func (a *Attempt) reject(failed error, how plan.Rejection) error {
	why := rejection{
		attempt: a.name, revision: a.action.Revision, recorded: a.recorded,
		how: how, at: a.r.Clock.Now(), failed: withoutAnswer(failed),
	}
	a.r.sightings.rejected(nameOf(a.p.token), why)
	a.p.takeBack(&why)
	return failed
}

// withdraw takes back the reservation of a rejected attempt whose record conflicted. It
// returns why the attempt was rejected.
func (r *Reconciler) withdraw(p *pass, name string) error {
	why, ok := r.sightings.rejection(nameOf(p.token), name)
	if !ok {
		return fmt.Errorf("no rejection of %s is known", name)
	}
	p.takeBack(&why)
	return why.failed
}

// takeBack takes back the reservation of a rejected attempt.
func (p *pass) takeBack(why *rejection) {
	status := &p.token.Status
	ledger.Reject(status, why.attempt, why.recorded)
	if why.how.Refunds {
		ledger.Refund(status, p.obs.Now)
	}
	if why.how.AtOnce {
		ledger.EndBackoff(status)
	}
	ledger.Pause(status, why.at, why.how.Pause)
}

// withoutAnswer is an error that can be remembered: without the cause, in which a driver
// may keep a whole answer of the provider.
func withoutAnswer(err error) error {
	var call *callError
	if !errors.As(err, &call) {
		return err
	}
	bare := *call.cause
	bare.Err = nil
	if errors.Is(err, account.ErrEndpointUnverified) {
		bare.Err = account.ErrEndpointUnverified
	}
	return &callError{verb: call.verb, cause: &bare}
}

// rejected notes that the provider rejected an attempt of this process.
func (s *sightings) rejected(key types.NamespacedName, why rejection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(key, func(b *begun) { b.rejection = why })
}

// rejection returns how an attempt of this process was rejected, if it was.
func (s *sightings) rejection(key types.NamespacedName, attempt string) (rejection, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	why := s.began[key].rejection
	return why, attempt != "" && why.attempt == attempt
}
