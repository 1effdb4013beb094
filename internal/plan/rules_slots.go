package plan

import (
	"slices"

	"apitoken.dev/operator/api/v1alpha1"
)

// slotsUncounted: the operator asks how many credentials the account has before it
// reserves a name.
func slotsUncounted(s *situation) (Decision, bool) {
	if s.Provider.Capabilities.MaxLive == 0 || s.Occupied != nil || !s.Secret.Live || !s.canIssue() {
		return Decision{}, false
	}
	return s.issuing(CountSlots{}), true
}

// needsSlot reports whether a credential is needed, and ending another one of the account
// would be enough to issue it. If unlisted credentials alone fill the account, it would not.
func (s *situation) needsSlot() bool {
	if !s.wanted() || !s.Secret.Live || !s.onlyObstacle(obstacleSlots) {
		return false
	}
	return len(s.unlistedSlots(nil)) < s.Provider.Capabilities.MaxLive
}

// oldCredentialHoldsSlot ends the overlap of the oldest Retiring credential early.
func oldCredentialHoldsSlot(s *situation) (Decision, bool) {
	if !s.needsSlot() {
		return Decision{}, false
	}
	if oldest := s.oldestOverlap(); oldest != nil {
		return s.issuing(BeginRevoke{Names: []string{oldest.Name}}), true
	}
	// A user restored an old Secret: its credential works, so the Active one, which no
	// Secret holds, is ended.
	held, e := s.entry(s.Secret.Credential), s.active
	if held != nil && e != nil && held.retiring() && s.holds(held.Name) && s.takesSlot(held) && s.takesSlot(e) {
		return s.issuing(Retire{Name: e.Name}), true
	}
	return Decision{}, false
}

// oldestOverlap returns the Retiring credential whose overlap ends next, apart from the one
// in the Secret, or nil.
func (o *Observation) oldestOverlap() *Entry {
	var oldest *Entry
	for _, e := range o.in(v1alpha1.StateRetiring) {
		if e.retireDue(o.Now) || o.holds(e.Name) {
			continue
		}
		if oldest == nil || e.RetireAt.Before(oldest.RetireAt) {
			oldest = e
		}
	}
	return oldest
}

// activeHoldsSlot gives up the credential in use: nothing else frees a slot, and
// spec.rotation.strategy accepts a gap.
func activeHoldsSlot(s *situation) (Decision, bool) {
	e := s.active
	if e == nil || s.Token.Spec.Rotation.Strategy != v1alpha1.RevokeFirst || !s.needsSlot() {
		return Decision{}, false
	}
	if slices.ContainsFunc(append(s.in(v1alpha1.StateRetiring), s.in(v1alpha1.StateAbandoned)...), s.takesSlot) || len(s.Provider.Shared.Open) > 0 {
		return Decision{}, false // one of those frees a slot first
	}
	if !s.takesSlot(e) {
		return Decision{}, false // ending it would free no slot
	}
	d := s.issuing(GiveUp{Name: e.Name, Reason: s.reason, Charged: s.charged})
	d.Message = "revoking the credential first: the account has no room for a second one, and spec.rotation.strategy is RevokeFirst"
	return d, true
}
