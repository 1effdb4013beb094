package conformance

import (
	"errors"
	"testing"

	"apitoken.dev/operator/internal/provider"
)

var limits = []Requirement{
	{
		Name: "ValidateAcceptsWhatMintGrants", Test: validateAccepts,
		Sentence: "Validate MUST accept what Mint grants.",
		Needs:    validates,
	},
	{
		Name: "ValidateRefusesWhatCannotBeGranted", Test: validateRefuses,
		Sentence: "Validate MUST refuse what the provider cannot narrow to, with the field, the value and the way out.",
		Needs:    func(h Harness) bool { return validates(h) && len(h.Refused) > 0 },
	},
	{
		Name: "MintRefusesWhatValidateRefuses", Test: mintRefuses,
		Sentence: "Mint MUST grant no more than was declared: what Validate refuses, it rejects, and nothing exists.",
		Needs:    func(h Harness) bool { return validates(h) && len(h.Refused) > 0 },
	},
}

func validates(h Harness) bool {
	_, ok := h.Driver.(provider.Validator)
	return ok
}

func validateAccepts(t *testing.T, h Harness) {
	w := open(t, h)
	req := w.request(w.owner("first"))
	if err := h.Driver.(provider.Validator).Validate(w.config, req); err != nil {
		t.Errorf("Validate: %v", err)
	}
	w.mint(req)
}

func validateRefuses(t *testing.T, h Harness) {
	w := open(t, h)
	for name, tc := range h.Refused {
		t.Run(name, func(t *testing.T) {
			req := w.request(w.owner("first"))
			tc.Change(&req)
			err := h.Driver.(provider.Validator).Validate(w.config, req)
			var refusal *provider.Refusal
			if !errors.As(err, &refusal) {
				t.Fatalf("got %v, want a Refusal", err)
			}
			if refusal.Reason != tc.Reason || refusal.Field != tc.Field {
				t.Errorf("got %s at %s, want %s at %s", refusal.Reason, refusal.Field, tc.Reason, tc.Field)
			}
			if refusal.Message == "" {
				t.Error("the Refusal does not say what to do")
			}
		})
	}
}

func mintRefuses(t *testing.T, h Harness) {
	w := open(t, h)
	for name, tc := range h.Refused {
		t.Run(name, func(t *testing.T) {
			req := w.request(w.owner("first"))
			tc.Change(&req)
			w.tidy(req.Name)
			_, err := w.client.Mint(w.ctx, req)
			if err == nil || provider.InDoubt(err) {
				t.Errorf("Mint: got %v, want an explicit rejection", err)
			}
			if found := w.find(req.Name); len(found) != 0 {
				t.Errorf("found %+v under a refused name", found)
			}
		})
	}
}
