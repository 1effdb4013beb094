package handover

import (
	"strings"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/provider"
)

// refuseKnownKey refuses a key that the ledger has already. The operator would not use it
// again, and the ApiToken would keep waiting for another one.
func refuseKnownKey(driver provider.Driver, t *v1alpha1.ApiToken, data map[string][]byte) error {
	keyer, ok := provider.As[provider.Manual](driver)
	if !ok {
		return nil
	}
	values := map[string]provider.Value{}
	for key, value := range data {
		values[key] = provider.NewValue(strings.TrimRight(string(value), "\r\n")) // as the operator reads them
	}
	id := keyer.KeyID(values)
	for i := range t.Status.Credentials {
		if e := &t.Status.Credentials[i]; id != "" && e.ID == id {
			return sameKey(e)
		}
	}
	return nil
}

// sameKey says that a key was submitted before.
func sameKey(e *v1alpha1.LedgerEntry) error {
	const way = "create another one at the provider, and submit that"
	if e.State == v1alpha1.StateActive {
		return exit.Refusedf("credential %s is in use already: %s", tokenstate.Key(e), way)
	}
	return exit.Refusedf("credential %s was submitted before and will be deleted: %s", tokenstate.Key(e), way)
}
