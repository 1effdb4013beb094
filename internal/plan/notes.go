package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

// The functions of this file return parts of event notes.

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
