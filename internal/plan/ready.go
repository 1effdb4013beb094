package plan

// Readiness is the status of the conditions Ready, Issued and Published.
type Readiness struct {
	// Active is the entry in use, or nil.
	Active *Entry
	// Issued: a credential was issued that has not expired.
	Issued bool
	// Published: the Secret holds it, unchanged, and is not being deleted.
	Published bool
	// Ready: according to the ledger it grants access, and was issued for the declaration of
	// this generation.
	Ready bool
}

// ReadinessOf returns the readiness of an Observation.
func ReadinessOf(o *Observation) Readiness {
	s := situation{Observation: o, active: o.activeEntry()}
	return s.readiness()
}

func (s *situation) readiness() Readiness {
	e := s.active
	r := Readiness{Active: e}
	if e == nil || s.pastHardEnd() {
		return r
	}
	r.Issued = !expired(e, s.Now)
	r.Published = s.secretKnown() && s.holds(e.Name) && s.Secret.Intact && !s.Secret.Deleting
	r.Ready = r.Issued && r.Published && !s.Token.Deleting && !e.Drift.NoAccess() && s.issuedFor(e) && s.Token.Spec.Rotation.Generation <= e.RotationGeneration
	return r
}
