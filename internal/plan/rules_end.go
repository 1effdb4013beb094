package plan

import (
	"fmt"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

// secretOutlivesAccess deletes the Secret before its credential is revoked, so that it holds
// no revoked credential for longer than necessary. If the deletion fails, the credential is
// revoked anyway.
func secretOutlivesAccess(s *situation) (Decision, bool) {
	if !s.accessOver() || !s.Secret.Live || !s.Secret.Exists || s.Secret.Foreign || s.Secret.Deleting {
		return Decision{}, false
	}
	if s.restorable() && s.Restored == nil {
		return Decision{}, false // only the Secret knows the credential
	}
	return s.ending(DeleteSecret{}), true
}

func credentialOutlivesAccess(s *situation) (Decision, bool) {
	if !s.accessOver() || s.active == nil || !s.Secret.Live {
		return Decision{}, false
	}
	return s.ending(Retire{Name: s.active.Name, Expired: true}), true
}

// ending is a step of ending access at the hard end or after an expiry. After an expiry the
// reason is the obstacle that prevents issuing another credential.
func (s *situation) ending(a Action) Decision {
	if s.pastHardEnd() {
		return Decision{Action: a, State: Stalled, Reason: v1alpha1.ReasonExpired, Message: s.hardEndMessage()}
	}
	d, _ := s.obstacle()
	d.Action = a
	d.Message = "the credential has expired, so it is revoked and the Secret deleted, and no other can be issued now: " + d.Message
	return d
}

func hardEndPassed(s *situation) (Decision, bool) {
	if !s.pastHardEnd() {
		return Decision{}, false
	}
	return stalled(v1alpha1.ReasonExpired, s.hardEndMessage(), s.nextCheck()), true
}

func (o *Observation) hardEndMessage() string {
	return fmt.Sprintf("spec.expiresAt: %s has passed, so the credential is revoked and the Secret deleted: raise spec.expiresAt to get access again%s",
		o.hardEnd().Format(time.RFC3339), o.secretHeld())
}

// secretHeld says that finalizers keep the Secret after the end of access.
func (o *Observation) secretHeld() string {
	if !o.Secret.Exists || o.Secret.Foreign || !o.Secret.Deleting {
		return ""
	}
	return fmt.Sprintf(". Secret %q is being deleted, and finalizers keep it (%s)", o.Secret.Name, o.Secret.HeldBy)
}
