// Package ledger edits the part of an ApiToken's status that describes its credentials:
// the entries of status.credentials, the mint budget, the backoff and the gap. Each function
// is one transition. The functions are pure: they read no clock, and only edit the status that
// they are given. No other package assigns these fields, which `make verify` checks
// (hack/verifyledger), so this package lists everything that can happen to a credential.
package ledger

import (
	"math"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

// Entry returns the entry of a name, or nil. Callers only read it.
func Entry(s *v1alpha1.ApiTokenStatus, name string) *v1alpha1.LedgerEntry {
	for i := range s.Credentials {
		if s.Credentials[i].Name == name {
			return &s.Credentials[i]
		}
	}
	return nil
}

// Active returns the entry that the workload should be using, or nil. It is the Active
// one. Among several, which only an edited or restored status has, it is the one that the
// Secret names (held), otherwise the first. An empty held means that the Secret names none,
// or was not read. Callers only read the entry.
func Active(s *v1alpha1.ApiTokenStatus, held string) *v1alpha1.LedgerEntry {
	return ActiveOf(s.Credentials, func(e *v1alpha1.LedgerEntry) *v1alpha1.LedgerEntry { return e }, held)
}

// ActiveOf is Active for entries that carry more than the ledger does. The function in
// returns the ledger's part of an entry.
func ActiveOf[E any](entries []E, in func(*E) *v1alpha1.LedgerEntry, held string) *E {
	var found *E
	for i := range entries {
		e := in(&entries[i])
		if e.State != v1alpha1.StateActive {
			continue
		}
		if found == nil || held != "" && e.Name == held {
			found = &entries[i]
		}
	}
	return found
}

// Reservation is a name that is written into the ledger before a credential with that name
// can exist.
type Reservation struct {
	// Name of the credential; Revision is the number in it.
	Name     string
	Revision int64
	// Account that will issue the credential.
	Account string
	// Reason it is issued for.
	Reason string
	// At is when the name is reserved, ExpiresAt when the credential will expire.
	At, ExpiresAt time.Time
	// Fingerprint of the declaration, and of the part of it that cannot be changed in place.
	Fingerprint, Fixed string
	// RotationGeneration is spec.rotation.generation.
	RotationGeneration int64
	// ByHand: it is a manual credential.
	ByHand bool
}

// Reserve appends a Minting entry. Its rotation generation is the highest one of all entries,
// so that lowering and raising spec.rotation.generation again does not rotate twice.
func Reserve(s *v1alpha1.ApiTokenStatus, r Reservation) {
	generation := r.RotationGeneration
	for i := range s.Credentials {
		generation = max(generation, s.Credentials[i].RotationGeneration)
	}
	at, expires := timeOf(r.At), timeOf(r.ExpiresAt)
	entry := v1alpha1.LedgerEntry{
		Name: r.Name, State: v1alpha1.StateMinting, Account: r.Account, Reason: r.Reason, ReservedAt: at, ExpiresAt: expires,
		Fingerprint: r.Fingerprint, Fixed: r.Fixed, RotationGeneration: generation, ByHand: r.ByHand,
	}
	if at != nil && expires != nil {
		entry.LifetimeSeconds = seconds(expires.Sub(at.Time))
	}
	s.Credentials = append(s.Credentials, entry)
	s.Revision = r.Revision
}

// Issued returns a copy of an entry with the provider's answer: the credential's id, and when
// it expires (zero: the provider does not report it). Began is when the attempt began.
func Issued(e *v1alpha1.LedgerEntry, began time.Time, id string, expires time.Time) v1alpha1.LedgerEntry {
	out := *e.DeepCopy()
	out.IssuedAt = timeOf(began)
	identify(&out, id, expires)
	return out
}

// Issue writes the provider's answer into an entry, as Issued does.
func Issue(s *v1alpha1.ApiTokenStatus, name string, began time.Time, id string, expires time.Time) {
	if e := Entry(s, name); e != nil {
		*e = Issued(e, began, id, expires)
	}
}

// Identify writes the id that the provider shows into an entry. The expiry in the ledger
// stays, unless the provider's is earlier.
func Identify(s *v1alpha1.ApiTokenStatus, name, id string, expires time.Time) {
	if e := Entry(s, name); e != nil {
		identify(e, id, expires)
	}
}

func identify(e *v1alpha1.LedgerEntry, id string, expires time.Time) {
	e.ID = id
	limit(e, expires)
}

// limit moves the expiry of an entry to the one that the provider shows, if that is earlier.
// Zero means that the provider does not report one, and changes nothing.
func limit(e *v1alpha1.LedgerEntry, shown time.Time) {
	if shown.IsZero() || e.ExpiresAt != nil && !shown.Before(e.ExpiresAt.Time) {
		return
	}
	e.ExpiresAt = timeOf(shown)
}

// Terms describe a credential that comes into use without the answer of its Mint, after a
// crash or after a status was lost. Anyone who can write a Secret can write its annotations.
// So no id comes from there, and no time or number that would grant more than the ledger or
// the declaration.
type Terms struct {
	// ID at the provider; empty until it is known.
	ID string
	// Account that issued it.
	Account string
	// IssuedAt and ExpiresAt are when it was issued and when it expires.
	IssuedAt, ExpiresAt time.Time
	// Lifetime that was requested.
	Lifetime time.Duration
	// Fingerprint of the declaration that it was issued for.
	Fingerprint string
	// RotationGeneration that it was issued for.
	RotationGeneration int64
	// Revision that the ledger continues from.
	Revision int64
}

// Adopt writes the terms of the credential in the Secret into its entry. Call Activate next.
func Adopt(s *v1alpha1.ApiTokenStatus, name string, t Terms) {
	e := Entry(s, name)
	if e == nil {
		return
	}
	e.ID, e.Account, e.Fingerprint, e.RotationGeneration = t.ID, t.Account, t.Fingerprint, t.RotationGeneration
	e.IssuedAt, e.ExpiresAt, e.LifetimeSeconds = timeOf(t.IssuedAt), timeOf(t.ExpiresAt), seconds(t.Lifetime)
}

// Restore appends an entry for a credential that the Secret holds and the ledger has lost.
// Fixed is the fingerprint of the part of the declaration that cannot be changed in place;
// empty: unknown. Call Activate next.
func Restore(s *v1alpha1.ApiTokenStatus, name, reason, fixed string, manual bool, t Terms) {
	s.Credentials = append(s.Credentials, v1alpha1.LedgerEntry{
		Name: name, State: v1alpha1.StateMinting, Reason: reason, Fixed: fixed, ByHand: manual,
	})
	s.Revision = max(s.Revision, t.Revision)
	Adopt(s, name, t)
}

// AdoptRetiring appends an entry for a credential that the Secret holds and that is newer than
// the status, which was restored. It is revoked at retireAt, or when the Secret no longer holds
// it, whichever is later.
func AdoptRetiring(s *v1alpha1.ApiTokenStatus, name, reason string, manual bool, retireAt time.Time, t Terms) {
	Restore(s, name, reason, "", manual, t)
	if e := Entry(s, name); e != nil {
		e.State, e.RetireAt = v1alpha1.StateRetiring, timeOf(retireAt)
	}
}

// Activate makes an entry Active and ends the backoff. Any other Active entry becomes Retiring:
// it stays valid for its overlap, or until its expiry if that is earlier.
// Activate returns their names.
func Activate(s *v1alpha1.ApiTokenStatus, name string, now time.Time, overlap func(old *v1alpha1.LedgerEntry) time.Duration) (retired []string) {
	for i := range s.Credentials {
		old := &s.Credentials[i]
		if old.State != v1alpha1.StateActive || old.Name == name {
			continue
		}
		due := now.Add(overlap(old) + time.Second).Truncate(time.Second)
		if old.ExpiresAt != nil && due.After(old.ExpiresAt.Time) {
			due = old.ExpiresAt.Time
		}
		old.State, old.RetireAt = v1alpha1.StateRetiring, timeOf(due)
		retired = append(retired, old.Name)
	}
	if e := Entry(s, name); e != nil {
		e.State, e.RetireAt = v1alpha1.StateActive, nil
	}
	s.Retry = nil
	return retired
}

// Abandon gives up an attempt with an unknown outcome. It is revoked once it is settled.
func Abandon(s *v1alpha1.ApiTokenStatus, name string) {
	if e := Entry(s, name); e != nil {
		e.State = v1alpha1.StateAbandoned
	}
}

// Retire makes entries Retiring, due now. They are never published again.
func Retire(s *v1alpha1.ApiTokenStatus, now time.Time, names ...string) {
	for _, name := range names {
		if e := Entry(s, name); e != nil {
			e.State, e.RetireAt = v1alpha1.StateRetiring, timeOf(now)
		}
	}
}

// Drop removes an entry. Call it when no credential of its name exists, and none ever can.
func Drop(s *v1alpha1.ApiTokenStatus, name string) {
	s.Credentials = slices.DeleteFunc(s.Credentials, func(e v1alpha1.LedgerEntry) bool { return e.Name == name })
}

// Reject takes back the reservation of an attempt that the provider rejected. Revision is the
// one before the reservation, so that an ApiToken whose attempts were all rejected counts as
// never issued.
func Reject(s *v1alpha1.ApiTokenStatus, name string, revision int64) {
	Drop(s, name)
	s.Revision = revision
}

// MarkGone records that a manual credential was deleted.
func MarkGone(s *v1alpha1.ApiTokenStatus, name string) {
	if e := Entry(s, name); e != nil {
		e.Gone = true
	}
}

// MarkUpdate records that a request can change the credential in place, to the declaration with
// this fingerprint. Call it before the request.
func MarkUpdate(s *v1alpha1.ApiTokenStatus, name, fingerprint string) {
	if e := Entry(s, name); e != nil {
		e.Updating = fingerprint
	}
}

// UnmarkUpdate removes the mark. Call it when the request certainly changed nothing.
func UnmarkUpdate(s *v1alpha1.ApiTokenStatus, name string) {
	if e := Entry(s, name); e != nil {
		e.Updating = ""
	}
}

// Updated records that a credential was changed in place to the declaration with these
// fingerprints, and ends the backoff.
func Updated(s *v1alpha1.ApiTokenStatus, name, fingerprint, fixed string) {
	if e := Entry(s, name); e != nil {
		e.Fingerprint, e.Fixed, e.Updating = fingerprint, fixed, ""
	}
	s.Retry = nil
}

// Extend gives a credential that was changed in place the requested expiry, or the one that the
// provider shows if that is earlier (zero: the provider does not report one).
func Extend(s *v1alpha1.ApiTokenStatus, name string, asked, shown time.Time) {
	e := Entry(s, name)
	if e == nil || e.IssuedAt == nil {
		return
	}
	e.ExpiresAt, e.LifetimeSeconds = timeOf(asked), seconds(asked.Sub(e.IssuedAt.Time))
	limit(e, shown)
}

// MarkDrift records the drift of an Active entry; empty: it does not drift. Other entries are
// left unchanged.
func MarkDrift(s *v1alpha1.ApiTokenStatus, name string, drift v1alpha1.CredentialDrift) {
	if e := Entry(s, name); e != nil && e.State == v1alpha1.StateActive {
		e.Drift = drift
	}
}

// Replace replaces a status by a copy of the stored one, when the changes in it were not
// written or do not count.
func Replace(s, stored *v1alpha1.ApiTokenStatus) { stored.DeepCopyInto(s) }

// seconds returns whole seconds within the bounds of the schema.
func seconds(d time.Duration) int64 {
	return int64(max(0, min(d, math.MaxInt64)) / time.Second)
}

// timeOf returns a time as the status stores it: in whole seconds, or nil if it is zero.
func timeOf(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	out := metav1.NewTime(t.UTC().Truncate(time.Second))
	return &out
}
