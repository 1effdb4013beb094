package bounded_test

import (
	"errors"
	"testing"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
)

// keyed publishes keys of its choice.
type keyed struct {
	*odd
	secret, connection string
}

func (k keyed) SecretKeys(provider.Config, provider.Grant) []string { return []string{k.secret} }

func (k keyed) Connection(provider.Config, provider.Grant) map[string]string {
	return map[string]string{k.connection: "x"}
}

// TestKeysThatRunProgramsAreRefused: even if a stored provider declares them.
func TestKeysThatRunProgramsAreRefused(t *testing.T) {
	for _, c := range []struct{ secret, connection, want string }{
		{"token", "endpoint", ""},
		{"PATH", "endpoint", "PATH"},
		{"token", "https_proxy", "https_proxy"},
	} {
		d := bounded.Driver(keyed{good(), c.secret, c.connection}, bounded.Options{})
		err := d.(provider.Validator).Validate(provider.Config{}, provider.MintRequest{})
		var r *provider.Refusal
		if got := errors.As(err, &r); got != (c.want != "") || got && r.Value != c.want {
			t.Errorf("%s and %s: %v", c.secret, c.connection, err)
		}
	}
}
