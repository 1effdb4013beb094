package apitoken

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/internal/ledger"
)

// rejection is what an explicit rejection means for the ledger. The process remembers
// it, because a change of the ApiToken can beat the write that records it.
type rejection struct {
	attempt string
	// revision is that of the attempt, recorded what the ledger had before it.
	revision, recorded int64
	// refunds: the attempt's charge is given back, because the backoff paces what is
	// rejected. A credential that a person submits stays charged: the next one is tried at
	// once.
	refunds bool
	// pause is how long, from at, the provider wants not to be asked.
	at    time.Time
	pause time.Duration
	// failed is what the ApiToken says of it.
	failed error
}

// withdraw takes the reservation of a rejected attempt back, and says why it was rejected.
func (r *Reconciler) withdraw(p *pass, name string) error {
	why, ok := r.sightings.rejection(nameOf(p.token), name)
	if !ok {
		return fmt.Errorf("nothing is known of a rejection of %s", name)
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
