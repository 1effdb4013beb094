// Package memory holds what one process remembers about ApiTokens between two reconciles.
// It has no client and reads no clock: callers pass the time of the monotonic clock.
//
// Correctness does not depend on it: a restart loses it all, and a full store drops
// entries. The ledger holds what must survive.
package memory

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
)

// Memory is the memory of one process. Create it with New. It is safe for concurrent use.
type Memory struct {
	// stores are all stores by ApiToken, for Forget.
	stores []forgetter

	// Attempts are the attempts and changes in place with an unknown outcome.
	Attempts *Attempts
	// Writes are the versions of ApiTokens that this process wrote last.
	Writes *Writes
	// Proofs schedule the checks whether a manual credential was deleted.
	Proofs *Tries
	// Finds schedule the searches for the ids of adopted credentials.
	Finds *Tries
	// Turns schedule the calls for ApiTokens if only their Secret says that a credential was
	// issued.
	Turns *Turns
	// Absences are credentials of Secrets that the provider did not show.
	Absences *Absences
	// Handovers are submitted credentials that cannot be used.
	Handovers *Handovers
	// Contests schedule the writes of metadata that another client reverts.
	Contests *Contests
	// Failures are the rules whose action failed last.
	Failures *Failures
	// Ends are ignored values of the annotation apitoken.dev/end.
	Ends *Ends
	// Doubts are credentials that the sweep saw in another state than the ledger has.
	Doubts *Doubts
	// Reservations count the reservations of each account whose provider lists only its
	// newest credentials.
	Reservations *Reservations
}

type forgetter interface{ forget(types.NamespacedName) }

// New returns an empty Memory.
func New() *Memory {
	m := &Memory{Reservations: newReservations()}
	m.Attempts = newAttempts(m)
	m.Writes = newWrites(m)
	m.Proofs, m.Finds = newTries(m), newTries(m)
	m.Turns = newTurns(m)
	m.Absences = newAbsences(m)
	m.Handovers = newHandovers(m)
	m.Contests = newContests(m)
	m.Failures = newFailures(m)
	m.Ends = newEnds(m)
	m.Doubts = newDoubts(m)
	return m
}

// Forget drops everything about an ApiToken that no longer exists.
func (m *Memory) Forget(token types.NamespacedName) {
	for _, s := range m.stores {
		s.forget(token)
	}
}

// Released drops everything about an ApiToken whose finalizer this process removed, except
// the removal itself: a stale cache still shows the ApiToken with its finalizer.
func (m *Memory) Released(token types.NamespacedName) {
	last, known := m.Writes.versions.get(token)
	m.Forget(token)
	if known {
		last.released = true
		m.Writes.versions.put(token, last)
	}
}

// Wrote records an ApiToken as this process wrote it.
func (m *Memory) Wrote(t *v1alpha1.ApiToken, now time.Duration) {
	m.Writes.remember(t)
	m.Attempts.See(t, now)
}

func nameOf(t *v1alpha1.ApiToken) types.NamespacedName {
	return types.NamespacedName{Namespace: t.Namespace, Name: t.Name}
}
