package conformance

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
)

// Refusals are declarations that a driver cannot grant, by name.
type Refusals map[string]Refusal

// Refusal is a change that turns a valid grant into one that a driver refuses.
type Refusal struct {
	Change func(*provider.Grant)
	// Want is the expected Refusal. Its Message is a part of the actual message.
	Want provider.Refusal
}

// Refused returns the declarations for a Harness.
func (r Refusals) Refused() map[string]Refused {
	out := map[string]Refused{}
	for name, tc := range r {
		out[name] = Refused{
			Change: func(r *provider.MintRequest) { tc.Change(&r.Grant) },
			Reason: tc.Want.Reason, Field: tc.Want.Field,
		}
	}
	return out
}

// Check checks that Validate refuses each changed grant with the expected Refusal.
func (r Refusals) Check(t *testing.T, driver provider.Validator, cfg provider.Config, grant func() provider.Grant) {
	t.Helper()
	for name, tc := range r {
		t.Run(name, func(t *testing.T) {
			changed := grant()
			tc.Change(&changed)
			err := driver.Validate(cfg, provider.MintRequest{Grant: changed})
			var got *provider.Refusal
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want a Refusal", err)
			}
			if !strings.Contains(got.Message, tc.Want.Message) {
				t.Errorf("message %q does not contain %q", got.Message, tc.Want.Message)
			}
			want := tc.Want
			want.Message = got.Message
			if diff := cmp.Diff(want, *got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// WrongSettings are settings that a driver cannot use.
type WrongSettings struct {
	Settings any
	// Says is a part of the message, such as the name of the wrong field.
	Says string
}

// CheckWrongSettings checks that Connect and Validate return the same error for wrong
// settings, before any request, without values that may be secret (CANARY), and that
// Connection returns nothing.
func CheckWrongSettings(t *testing.T, driver provider.Driver, cfg provider.Config, grant provider.Grant, cases map[string]WrongSettings) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			cfg.Settings = tc.Settings
			_, _, err := driver.Connect(t.Context(), cfg)
			errs := []error{err}
			if v, ok := driver.(provider.Validator); ok {
				errs = append(errs, v.Validate(cfg, provider.MintRequest{Grant: grant}))
			}
			for _, err := range errs {
				e := provider.AsError(err)
				if e.Code != provider.CodeInvalid || !e.NotExecuted || !strings.Contains(e.Message, tc.Says) || strings.Contains(e.Message, "CANARY") {
					t.Errorf("got %v, want %s about %q", err, provider.CodeInvalid, tc.Says)
				}
			}
			if c, ok := driver.(provider.Connector); ok {
				if got := c.Connection(cfg, grant); got != nil {
					t.Errorf("Connection: got %v, want nothing", got)
				}
			}
		})
	}
}
