package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers/crusoe"
	"apitoken.dev/operator/internal/provider/drivers/ibee"
	"apitoken.dev/operator/internal/provider/drivers/kloudbean"
	"apitoken.dev/operator/test/support/conformance"
)

// harness is what the harnesses of all vendors have in common: the real server
// decides which credentials are live.
func (v *vendor) harness() conformance.Harness {
	return conformance.Harness{
		Driver: v.driver, Config: v.config, Grant: v.grant,
		SecretKeys: []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
		OnePage:    true,
		Alive:      v.alive,
		Faults:     v.faults,
		Refused: map[string]conformance.Refused{
			"a scope of another product": {
				Change: func(r *provider.MintRequest) { r.Grant.Scopes = []string{"residential:read"} },
				Reason: provider.RefusedScope, Field: "spec.scopes",
			},
			"no bucket": {
				Change: func(r *provider.MintRequest) { r.Grant.Buckets = nil },
				Reason: provider.RefusedBucket, Field: "spec.buckets",
			},
			"subaccounts": {
				Change: func(r *provider.MintRequest) { r.Grant.Subaccounts = []string{"one"} },
				Reason: provider.RefusedNarrow, Field: "spec.restrictions.subaccounts",
			},
		},
	}
}

// manual is the name of a manual credential.
const manual = "manual"

func ibeeHarness(t *testing.T, revokes bool) conformance.Harness {
	t.Helper()
	v, sim := openIBEE(t, revokes)
	h := v.harness()
	h.Wrong = map[string]provider.Value{ibee.KeyToken: provider.NewValue("ibee_prod_key_nobody")}
	h.Outside = conformance.Outside{
		Delete: sim.Delete,
		Make: func(t *testing.T) string {
			t.Helper()
			t.Cleanup(func() { sim.Delete(manual) })
			return sim.Add(manual)
		},
		State: func(id string) string {
			for _, c := range sim.Credentials() {
				if c.AccessKeyID == id {
					return fmt.Sprintf("%+v", c)
				}
			}
			return ""
		},
	}
	h.States = conformance.States{
		End:           sim.Revoke,
		NeverDisabled: "the vendor's clients have the states active and revoked, and cannot disable a credential",
	}
	h.Crowd = sim.Crowd
	return h
}

func crusoeHarness(t *testing.T) conformance.Harness {
	t.Helper()
	v, sim := openCrusoe(t)
	h := v.harness()
	h.Wrong = map[string]provider.Value{
		crusoe.MinterKeyID: provider.NewValue(crusoeUser.AccessKeyID), crusoe.MinterSecret: provider.NewValue("bm90LXRoZS1zZWNyZXQ"),
	}
	h.Outside = conformance.Outside{
		Delete: sim.Delete,
		Make: func(t *testing.T) string {
			t.Helper()
			t.Cleanup(func() { sim.Delete(manual) })
			key, err := sim.Make(t.Context(), crusoeUser.ID, crusoeUser.Organizations[0], manual, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			return key.AccessKeyID
		},
		State: func(id string) string {
			for _, k := range sim.All() {
				if k.AccessKeyID == id {
					return fmt.Sprintf("%+v", k)
				}
			}
			return ""
		},
	}
	h.States = conformance.States{
		Disable: sim.Disable, Enable: sim.Enable,
		NeverEnded: "a key is enabled or disabled; a deleted one is no longer listed",
	}
	return h
}

func kloudbeanHarness(t *testing.T, scope string) conformance.Harness {
	t.Helper()
	p := openKloudBean(t)
	p.grant = func() provider.Grant { return grant(scope) }
	h := p.harness()
	h.Alive = func(ctx context.Context, m provider.Minted) (bool, error) {
		operation := "list"
		if !slices.Contains(kloudbeanScopes[scope].may, operation) {
			operation = "write"
		}
		return allowed(func() error { return operations[operation](ctx, p.open(keysOf(m)), datasets) })
	}
	h.HandOver = func(t *testing.T, req provider.MintRequest) map[string]provider.Value {
		t.Helper()
		made := p.add(t, p.form(t, req))
		// The server has one file of all users: without this, every token would make
		// the next one slower.
		t.Cleanup(func() { _ = p.sim.Delete(context.WithoutCancel(t.Context()), made[kloudbean.KeyID].Reveal()) })
		return made
	}
	h.States = conformance.States{
		NeverDisabled: "the panel has no switch for a token, and no API shows one",
		NeverEnded:    "no API shows a token: the data plane refuses one that was deleted",
	}
	// The scopes have different tokens, but the same answers.
	h.SameAnswers = scope != readOnly
	// A requirement can delete the same token twice.
	h.Outside.DeleteID = func(id string) { _ = p.sim.Delete(context.WithoutCancel(t.Context()), id) }
	return h
}

// vendorHarnesses are the published behaviours of each vendor.
func vendorHarnesses(t *testing.T) map[string]conformance.Harness {
	t.Helper()
	out := map[string]conformance.Harness{
		"ibee, revoked by POST":   ibeeHarness(t, true),
		"ibee, revoked by DELETE": ibeeHarness(t, false),
		"crusoe":                  crusoeHarness(t),
	}
	for scope := range kloudbeanScopes {
		out["kloudbean, "+scope] = kloudbeanHarness(t, scope)
	}
	return out
}

// TestConformanceOfVendors runs the conformance suite with the real server behind each vendor.
func TestConformanceOfVendors(t *testing.T) {
	putPresent(t)
	for name, h := range vendorHarnesses(t) {
		t.Run(name, func(t *testing.T) { conformance.Run(t, h) })
	}
}

// TestConformanceOfVendorsRunsEveryApplicableRequirement fails if a harness lacks the hook of
// a requirement that applies. KloudBean has no login, so it cannot have wrong credentials.
func TestConformanceOfVendorsRunsEveryApplicableRequirement(t *testing.T) {
	for name, h := range vendorHarnesses(t) {
		for _, left := range conformance.NotRun(h) {
			if h.Driver.Type() == kloudbean.Type && left == "WrongCredentialsAreUnauthenticated" {
				continue
			}
			t.Errorf("%s: %s is not run", name, left)
		}
	}
}

func TestPublishedEndpointLeadsToTheServerOfTheKey(t *testing.T) {
	panel := openKloudBean(t)
	vendors := vendorsByAPI(t)
	vendors["kloudbean"] = panel.vendor
	for name, v := range vendors {
		t.Run(name, func(t *testing.T) {
			m := v.connect(t)
			var minted provider.Minted
			if v == panel.vendor {
				minted = panel.mint(t, m, v.grant())
			} else {
				minted = m.mint(v.grant())
			}
			published := v.driver.(provider.Connector).Connection(v.config, v.grant())
			there := *v
			there.s3, there.region = published["AWS_ENDPOINT_URL_S3"], published["AWS_REGION"]
			wantAllowed(t, "with the published endpoint and region", true, there.list(t.Context(), keysOf(minted)))
		})
	}
}
