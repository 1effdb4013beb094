package apitoken

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/ledger"
)

// rejection is an attempt that the provider explicitly rejected. The process remembers
// it because the write that records it can conflict with another change of the ApiToken.
type rejection struct {
	attempt string
	// revision is the attempt's own, recorded the ledger's before the attempt.
	revision, recorded int64
	// refunds: the charge is given back, because the backoff already limits how often a
	// rejected attempt is retried. A submitted credential stays charged: the next one is
	// tried at once.
	refunds bool
	// pause is how long the provider asks to be left alone, counted from at.
	at    time.Time
	pause time.Duration
	// failed is the error that the ApiToken reports.
	failed error
}

// withdraw takes back the reservation of a rejected attempt. It returns why the provider
// rejected it.
func (r *Reconciler) withdraw(p *pass, name string) error {
	why, ok := r.sightings.rejection(nameOf(p.token), name)
	if !ok {
		return fmt.Errorf("no rejection of %s is known", name)
	}
	status := &p.token.Status
	ledger.Reject(status, name, why.recorded)
	if why.refunds {
		ledger.Refund(status, p.obs.Now)
	}
	ledger.Pause(status, why.at, why.pause)
	return why.failed
}

// rejected notes that the provider rejected an attempt of this process.
func (s *sightings) rejected(key types.NamespacedName, why rejection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.began[key]
	b.rejection = why
	s.began[key] = b
}

// rejection returns how an attempt of this process was rejected, if it was.
func (s *sightings) rejection(key types.NamespacedName, attempt string) (rejection, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	why := s.began[key].rejection
	return why, attempt != "" && why.attempt == attempt
}
