package status

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// A lost status also has an empty ledger, although its credential can be live.
func TestEmptyLedgerClaimsNothingOfTheProvider(t *testing.T) {
	var out bytes.Buffer
	(&View{}).printLedger(&out, time.Time{})
	if got := out.String(); !strings.Contains(got, "empty: the operator knows of no credential") || strings.Contains(got, "live") {
		t.Errorf("it prints %q", got)
	}
}
