package plan

import (
	"time"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/provider"
)

// reservedTerms are the terms of an attempt in the ledger: those that were reserved.
func (o *Observation) reservedTerms(e *Entry) ledger.Terms {
	t := ledger.Terms{
		ID: e.ID, Account: e.Account, IssuedAt: o.Now, Lifetime: asked(e),
		Fingerprint: e.Fingerprint, RotationGeneration: e.RotationGeneration, Revision: o.Token.Revision,
	}
	if e.ReservedAt != nil {
		t.IssuedAt = e.ReservedAt.Time
	}
	t.ExpiresAt = ExpiryFor(&o.Token.Spec, t.IssuedAt, o.Provider.Capabilities.MaxLifetime)
	if e.ExpiresAt != nil {
		t.ExpiresAt = e.ExpiresAt.Time
	}
	if t.Lifetime == 0 {
		t.Lifetime = t.ExpiresAt.Sub(t.IssuedAt)
	}
	return t
}

// restoredTerms are the terms of a credential that is in no ledger: those that the provider
// shows. The Secret's annotations can only shorten or lower them.
func (o *Observation) restoredTerms() ledger.Terms {
	said, shown, spec := &o.Secret.Facts, o.Restored, &o.Token.Spec
	declared := ExpiryFor(spec, o.Now, o.Provider.Capabilities.MaxLifetime)
	t := ledger.Terms{
		ID: shown.ID, Account: shown.Account, IssuedAt: o.Now,
		ExpiresAt:   earliest(declared, said.ExpiresAt, shown.ExpiresAt),
		Lifetime:    declared.Sub(o.Now),
		Fingerprint: said.Fingerprint, Revision: min(max(o.Token.Revision, said.Revision), credname.MaxRevision),
		RotationGeneration: min(max(said.RotationGeneration, 0), spec.Rotation.Generation),
	}
	if !shown.CreatedAt.IsZero() && shown.CreatedAt.Before(o.Now) {
		t.IssuedAt = shown.CreatedAt
	}
	return t
}

// newerTerms are the terms of a credential that an older status does not have. It ends as
// declared or as the Secret says, whichever is earlier. Its account is the provider's, or
// empty if that is unknown.
func (o *Observation) newerTerms() ledger.Terms {
	said, spec := &o.Secret.Facts, &o.Token.Spec
	declared := ExpiryFor(spec, o.Now, o.Provider.Capabilities.MaxLifetime)
	return ledger.Terms{
		Account: o.Provider.Account, IssuedAt: o.Now, ExpiresAt: earliest(declared, said.ExpiresAt), Lifetime: declared.Sub(o.Now),
		Fingerprint: said.Fingerprint, Revision: min(said.Revision, credname.MaxRevision),
		RotationGeneration: min(max(said.RotationGeneration, 0), spec.Rotation.Generation),
	}
}

// earliest returns the earliest time, ignoring zero ones.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// Shown returns the credential with this name, if the provider shows exactly one that has not
// ended, and with an id.
func Shown(name string, found []provider.Credential) (provider.Credential, bool) {
	var only provider.Credential
	n := 0
	for _, c := range found {
		if c.Name == name && c.State.Occupies() {
			only = c
			n++
		}
	}
	return only, n == 1 && only.ID != ""
}

// unidentified returns the credential in use while its id is unknown, or nil.
func (s *situation) unidentified() *Entry {
	e := s.active
	if e == nil || e.ID != "" || !s.owns(e.Name) || s.otherAccount(e.Account) {
		return nil
	}
	return e
}

// idUnknown: the credential in use was adopted, so its id is requested. Until it is known, the
// credential is found and revoked by its name, so every other rule comes first.
func idUnknown(s *situation) (Decision, bool) {
	e := s.unidentified()
	if e == nil || e.FindsIn > 0 || s.accessOver() || !s.Provider.Found || !s.Provider.Ready {
		return Decision{}, false
	}
	return s.steadily(Identify{Name: e.Name}, "asking the provider for the id of credential "+e.Name), true
}
