package plan

import (
	"time"

	"apitoken.dev/operator/internal/provider"
)

// situation is an Observation, assessed once for a decision: which credential is in use,
// whether another one is needed, and what prevents issuing it. All rules read the same
// assessment. The obstacles are checked when a rule first asks for them.
type situation struct {
	*Observation
	// active is the credential in use, or nil.
	active *Entry
	// need is the first need that was found; nil: no credential is needed.
	need *need
	// reason is why the credential is needed.
	reason IssueReason
	// charged: the credential counts against the mint budget.
	charged bool

	checked     bool
	findings    []finding
	fingerprint string
}

// finding is an obstacle that was found, and how it is reported.
type finding struct {
	*obstacle
	decision Decision
}

func assess(o *Observation) *situation {
	s := &situation{Observation: o, active: o.activeEntry()}
	s.need = s.firstNeed(nil)
	if s.need != nil {
		s.reason, s.charged = s.need.reasonFor(s)
	}
	return s
}

// wanted reports whether a credential is needed.
func (s *situation) wanted() bool { return s.need != nil }

// obstacles returns every obstacle that was found, in order.
func (s *situation) obstacles() []finding {
	if s.checked {
		return s.findings
	}
	s.checked = true
	for i := range obstacles {
		if d, ok := obstacles[i].check(s); ok {
			s.findings = append(s.findings, finding{&obstacles[i], d})
		}
	}
	return s.findings
}

// blocked reports whether an obstacle prevents issuing a credential.
func (s *situation) blocked() bool { return len(s.obstacles()) > 0 }

// obstacle returns how the first obstacle is reported.
func (s *situation) obstacle() (Decision, bool) {
	if !s.blocked() {
		return Decision{}, false
	}
	return s.findings[0].decision, true
}

// found returns how an obstacle is reported, if it was found.
func (s *situation) found(name string) (Decision, bool) {
	for _, f := range s.obstacles() {
		if f.name == name {
			return f.decision, true
		}
	}
	return Decision{}, false
}

// onlyObstacle reports whether an obstacle was found, and no other one.
func (s *situation) onlyObstacle(name string) bool {
	return len(s.obstacles()) == 1 && s.findings[0].name == name
}

// canIssue reports whether a credential is needed and no obstacle was found.
func (s *situation) canIssue() bool { return s.wanted() && !s.blocked() }

// declared is the fingerprint of the declaration.
func (s *situation) declared() string {
	if s.fingerprint == "" {
		s.fingerprint = Fingerprint(&s.Token.Spec)
	}
	return s.fingerprint
}

// accessOver reports whether access must end now.
func (s *situation) accessOver() bool { return s.pastHardEnd() || s.lapsed() }

// lapsed reports whether the operator must end the credential in use: it is past its
// expiry, the provider does not enforce that, and no other credential can be issued now.
func (s *situation) lapsed() bool {
	end := s.expiryToEnforce()
	return !end.IsZero() && !s.Now.Before(end) && s.blocked()
}

// expiryToEnforce is when the operator must end the credential in use, or the retired or
// revoked one that the Secret still holds; zero: the provider ends it, or it does not expire.
func (s *situation) expiryToEnforce() time.Time {
	if s.Provider.Capabilities.ExpiryEnforcedBy != provider.EnforcedByOperator {
		return time.Time{}
	}
	e := s.active
	if e == nil {
		e = s.entry(s.Secret.Credential)
		if e == nil && s.wasIssued() {
			return s.Secret.Facts.ExpiresAt
		}
		if e == nil || !e.retiring() || !s.holds(e.Name) {
			return time.Time{}
		}
	}
	if e.ExpiresAt == nil {
		return time.Time{}
	}
	return e.ExpiresAt.Time
}
