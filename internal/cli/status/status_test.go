package status

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestEmptyLedgerClaimsNothingOfTheProvider: a status that was lost is empty too, and its
// credential is live.
func TestEmptyLedgerClaimsNothingOfTheProvider(t *testing.T) {
	var out bytes.Buffer
	(&View{}).printLedger(&out, time.Time{})
	if got := out.String(); !strings.Contains(got, "empty: the operator knows of no credential") || strings.Contains(got, "live") {
		t.Errorf("it prints %q", got)
	}
}
