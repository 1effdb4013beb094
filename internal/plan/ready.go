package plan

// Readiness is what the conditions Ready, Issued and Published say.
type Readiness struct {
	// Active is the entry in use, or nil.
	Active *Entry
	// Issued: the provider has issued a credential that has not ended.
	Issued bool
	// Published: the Secret holds it, unchanged, and is not being deleted.
	Published bool
	// Ready: it gives access, as far as the ledger says, and matches the declaration of
	// this generation.
	Ready bool
}

// ReadinessOf judges an Observation.
func ReadinessOf(o *Observation) Readiness {
	var r Readiness
	r.Active = o.active()
	if r.Active == nil || o.ended() {
		return r
	}
	e := r.Active
	r.Issued = e.ExpiresAt == nil || o.Now.Before(e.ExpiresAt.Time)
	r.Published = o.secretKnown() && o.holds(e.Name) && o.Secret.Intact && !o.Secret.Deleting
	r.Ready = r.Issued && r.Published && !o.Token.Deleting && !e.Drift.NoAccess() && o.issuedFor(e) && o.Token.Spec.Rotation.Generation <= e.RotationGeneration
	return r
}
