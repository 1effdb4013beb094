package apitoken

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/audit"
)

// TestRevokedEventSaysHowTheCredentialEnded: the operator does not
// revoke manual credentials itself.
func TestRevokedEventSaysHowTheCredentialEnded(t *testing.T) {
	for want, e := range map[string]v1alpha1.LedgerEntry{
		"credential own-1 (K1) is revoked: the provider no longer shows it, or shows it as ended":                     {ID: "K1"},
		"credential own-1 (K1) is no longer tracked: the provider rejects it, or a user confirmed that it is deleted": {ID: "K1", ByHand: true, Gone: true},
		"attempt own-1 is no longer tracked: it has no credential of its own":                                         {ByHand: true},
	} {
		e.Name = "own-1"
		p := &reconciliation{token: &v1alpha1.ApiToken{}, audit: audit.New(logr.Discard())}
		p.token.Status.Credentials = []v1alpha1.LedgerEntry{e}
		p.token.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
		p.revoked(&e)
		if got := fmt.Sprintf(p.events[0].note, p.events[0].args...); len(p.events) != 1 || got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
}
