package end

import (
	"testing"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/hint"
)

// An empty argument selects nothing. If two credentials have the same id, the previous one is selected.
func TestEndTakesOnlyTheKeyGiven(t *testing.T) {
	t.Parallel()
	var h hint.Hints
	token := &v1alpha1.ApiToken{}
	token.Status.Credentials = []v1alpha1.LedgerEntry{{Name: "at1-a", State: v1alpha1.StateRetiring}}
	if e, err := endable(h, token, ""); err == nil {
		t.Errorf("no key ends %s", e.Name)
	}
	for _, states := range [][2]v1alpha1.CredentialState{{v1alpha1.StateRetiring, v1alpha1.StateActive}, {v1alpha1.StateActive, v1alpha1.StateRetiring}} {
		token.Status.Credentials = []v1alpha1.LedgerEntry{{Name: "at1-a", ID: "KEY", State: states[0]}, {Name: "at1-b", ID: "KEY", State: states[1]}}
		if e, err := endable(h, token, "KEY"); err != nil || e.State != v1alpha1.StateRetiring {
			t.Errorf("%v: found %+v, %v", states, e, err)
		}
	}
}
