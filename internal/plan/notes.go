package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

// The functions of this file return event notes, or parts of them.

// Named returns the name of a credential, with its public id if that is known.
func Named(e *v1alpha1.LedgerEntry) string {
	if e.ID == "" {
		return e.Name
	}
	return e.Name + " (" + e.ID + ")"
}

// ManagedBy names a field manager.
func ManagedBy(manager string) string {
	if manager == "" {
		return "another client"
	}
	return "field manager " + strconv.Quote(manager)
}

// SecretAtEnd says what happens to a Secret with a name when its credential expires.
func SecretAtEnd(name string, s *Secret) string {
	switch {
	case !s.Exists:
		return fmt.Sprintf(", and Secret %q is deleted", name)
	case s.Foreign:
		return ""
	case s.Deleting:
		return fmt.Sprintf(", and Secret %q is being deleted, and waits for its finalizers (%s)", name, s.HeldBy)
	default:
		return fmt.Sprintf(", and Secret %q could not be deleted", name)
	}
}

// DriftNotRecorded says that a drift is only reported, because too many credentials of the
// provider drift at once.
func DriftNotRecorded(e *v1alpha1.LedgerEntry, drift v1alpha1.CredentialDrift) string {
	return fmt.Sprintf("the provider shows credential %s differently from how it was issued (%s), and too many other credentials as well. "+
		"This looks like a mistake of the provider, so nothing is changed. Check the account; if the credential is gone, increase spec.rotation.generation",
		Called(e), drift)
}

// NoSecretToKeep is the note about the Secret of an ApiToken that is deleted with Retain and has
// no Secret.
const NoSecretToKeep = "deletionPolicy is Retain, but there is no Secret to keep"

// SecretKept says that Retain keeps a Secret. Its credential has the entry e, which is nil if
// the ledger does not have the credential.
func SecretKept(name string, e *v1alpha1.LedgerEntry, now time.Time) string {
	if e != nil && Revoking(e, now) {
		return fmt.Sprintf("Secret %q is kept because deletionPolicy is Retain. The operator had started to revoke its credential %s, which may no longer work",
			name, Called(e))
	}
	its := "its credential"
	if e != nil {
		its += " " + Named(e)
	}
	return fmt.Sprintf("Secret %q and %s are kept because deletionPolicy is Retain; the operator will not revoke the credential", name, its)
}

// SecretNotKept says that a Secret is deleted despite Retain, because its credential was
// revoked. Failed is why it could not be deleted; empty: it is deleted.
func SecretNotKept(name, failed string) string {
	note := fmt.Sprintf("deletionPolicy is Retain, but the credential in Secret %q was already revoked", name)
	if failed != "" {
		return fmt.Sprintf("%s, and the Secret could not be deleted (%s)", note, failed)
	}
	return note + ": the Secret is deleted"
}

// Revoked says that the credential of an entry is gone.
func Revoked(e *v1alpha1.LedgerEntry) string {
	note := "credential %s is revoked: the provider no longer shows it, or shows it as ended"
	switch {
	case e.ByHand && e.Gone:
		note = "credential %s is no longer tracked: the provider rejects it, or a user confirmed that it is deleted"
	case e.ByHand:
		note = "attempt %s is no longer tracked: it has no credential of its own"
	}
	return fmt.Sprintf(note, Named(e))
}

// maxListed is how many credentials an event lists.
const maxListed = 5

// Listed joins the names of credentials, and counts those after the first five.
func Listed(names []string) string {
	listed := strings.Join(names[:min(len(names), maxListed)], ", ")
	if more := len(names) - maxListed; more > 0 {
		listed += fmt.Sprintf(" and %d more", more)
	}
	return listed
}

// Revoking reports whether the revocation of a credential may have started.
func Revoking(e *v1alpha1.LedgerEntry, now time.Time) bool {
	return e.State == v1alpha1.StateRetiring && (e.RetireAt == nil || !now.Before(e.RetireAt.Time))
}

// AlsoRetained names the credentials that may stay live although the Secret holds
// another one: previous ones in their overlap, and attempts with an unknown outcome.
func AlsoRetained(entries []v1alpha1.LedgerEntry, held string, now time.Time) string {
	var live, doubtful []string
	for i := range entries {
		switch e := &entries[i]; {
		case e.Name == held:
		case Revoking(e, now):
			doubtful = append(doubtful, Called(e))
		default:
			live = append(live, Called(e))
		}
	}
	var said string
	if len(live) > 0 {
		said += ". Other credentials of this ApiToken stay live until you revoke them at the provider: " + strings.Join(live, ", ")
	}
	if len(doubtful) > 0 {
		said += ". The operator had started to revoke others; check at the provider whether they are gone: " + strings.Join(doubtful, ", ")
	}
	return said
}
