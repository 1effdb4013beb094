package plan

import (
	"time"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/provider"
)

// reservedTerms are those of an attempt that is in the ledger: what was reserved.
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

// restoredTerms are those of a credential that no ledger knows: what the provider
// shows, and of the Secret's annotations only what gives less.
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

// newerTerms are those of a credential that an older status does not know. It ends when
// the declaration or the Secret says, whichever is earlier. Its account is the provider's,
// empty when that is not known.
func (o *Observation) newerTerms() ledger.Terms {
	said, spec := &o.Secret.Facts, &o.Token.Spec
	declared := ExpiryFor(spec, o.Now, o.Provider.Capabilities.MaxLifetime)
	return ledger.Terms{
		Account: o.Provider.Account, IssuedAt: o.Now, ExpiresAt: earliest(declared, said.ExpiresAt), Lifetime: declared.Sub(o.Now),
		Fingerprint: said.Fingerprint, Revision: min(said.Revision, credname.MaxRevision),
		RotationGeneration: min(max(said.RotationGeneration, 0), spec.Rotation.Generation),
	}
}

// earliest is the earliest of the times that are known.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// Shown is the only credential of a name that a provider shows and that has not ended,
// with its id. Of several none is taken for the one that is meant.
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

// unidentified is the credential in use while its id is not known; nil: it is.
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
