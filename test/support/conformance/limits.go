package conformance

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"apitoken.dev/operator/internal/provider"
)

var limits = []Requirement{
	{
		Name: "ValidateAcceptsWhatMintGrants", Test: validateAccepts,
		Sentence: "Validate MUST accept what Mint grants.",
		Applies:  validates,
		Needs:    obtains,
	},
	{
		Name: "ValidateRefusesWhatCannotBeGranted", Test: validateRefuses,
		Sentence: "Validate MUST refuse a restriction that the provider cannot enforce, with the field, the value and the fix.",
		Applies:  validates,
		Needs:    func(h Harness) bool { return len(h.Refused) > 0 },
	},
	{
		Name: "OtherRestrictionsAreRefused", Test: othersRefused,
		Sentence: "Validate MUST refuse a restriction that Capabilities.Narrows does not list.",
		Applies:  func(h Harness) bool { return validates(h) && len(unnarrowed(h)) > 0 },
	},
	{
		Name: "MintRefusesWhatValidateRefuses", Test: mintRefuses,
		Sentence: "Mint MUST grant no more than was declared: what Validate refuses, it rejects, and nothing exists.",
		Applies:  validates,
		Needs:    func(h Harness) bool { return obtains(h) && len(h.Refused) > 0 },
	},
}

func validates(h Harness) bool {
	_, ok := provider.As[provider.Validator](h.Driver)
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

// restrictions restrict a grant by one field each.
var restrictions = map[provider.Field]func(*provider.Grant){
	provider.FieldBuckets:     func(g *provider.Grant) { g.Buckets = []string{"one-bucket"} },
	provider.FieldAllowedIPs:  func(g *provider.Grant) { g.AllowedIPs = []string{"192.0.2.0/24"} },
	provider.FieldDeniedIPs:   func(g *provider.Grant) { g.DeniedIPs = []string{"192.0.2.0/24"} },
	provider.FieldSubaccounts: func(g *provider.Grant) { g.Subaccounts = []string{"6f9619ff-8b86-4011-b42d-00c04fc964ff"} },
}

// unnarrowed returns the restrictions that Capabilities.Narrows does not list.
func unnarrowed(h Harness) []provider.Field {
	narrows := h.Driver.Capabilities().Narrows
	return slices.DeleteFunc(slices.Sorted(maps.Keys(restrictions)), func(f provider.Field) bool { return slices.Contains(narrows, f) })
}

func othersRefused(t *testing.T, h Harness) {
	w := open(t, h)
	for _, field := range unnarrowed(h) {
		req := w.request(w.owner("first"))
		restrictions[field](&req.Grant)
		var refusal *provider.Refusal
		if err := h.Driver.(provider.Validator).Validate(w.config, req); !errors.As(err, &refusal) {
			t.Errorf("%s is not in Capabilities.Narrows: got %v, want a Refusal", field, err)
		}
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
