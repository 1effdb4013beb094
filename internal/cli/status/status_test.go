package status

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/view"
)

// A lost status also has an empty ledger, although its credential can be live.
func TestEmptyLedgerClaimsNothingOfTheProvider(t *testing.T) {
	var out bytes.Buffer
	(&View{}).printLedger(&out, time.Time{})
	if got := out.String(); !strings.Contains(got, "empty: the operator knows of no credential") || strings.Contains(got, "live") {
		t.Errorf("it prints %q", got)
	}
}

// TestUnusedCredentialsHaveNoExpiry: while the last credential is being revoked, nothing is
// in use, and the screen does not say that it never expires.
func TestUnusedCredentialsHaveNoExpiry(t *testing.T) {
	for state, want := range map[v1alpha1.CredentialState]string{
		v1alpha1.StateActive:   "never",
		v1alpha1.StateRetiring: "no credential is in use",
	} {
		var out bytes.Buffer
		(&View{Credentials: []view.Credential{{State: state}}}).printTimes(&out, time.Time{})
		if got := out.String(); !strings.Contains(got, "expires\t"+want) {
			t.Errorf("%s: it prints %q, want %q", state, got, want)
		}
	}
}
