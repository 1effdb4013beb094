package plan_test

import (
	"testing"
	"time"

	"apitoken.dev/operator/internal/plan"
)

func TestReadyNeedsALiveCredentialInTheSecret(t *testing.T) {
	cases := map[string]struct {
		reason                   string
		given                    []change
		active                   string
		issued, published, ready bool
	}{
		"healthy":          {"the Secret holds a live credential for this generation", given(), "own-active", true, true, true},
		"read live":        {"a live read says the same", given(live), "own-active", true, true, true},
		"rotation due":     {"Ready stays True through a timed rotation", given(expires(time.Hour)), "own-active", true, true, true},
		"overlap running":  {"overlap changes nothing", given(nextTo(retiring("own-old", time.Hour))), "own-active", true, true, true},
		"attempt open":     {"the credential in use is as good as before", given(nextTo(mint)), "own-active", true, true, true},
		"suspended":        {"what is there is right", given(suspend), "own-active", true, true, true},
		"labels to sync":   {"labels are not the credential", given(outdated), "own-active", true, true, true},
		"provider missing": {"the credential is live without its provider object", given(missing), "own-active", true, true, true},
		"generation lower": {"lowering it does nothing", given(entry(func(e *plan.Entry) { e.RotationGeneration = 3 })), "own-active", true, true, true},
		"no expiry":        {"what does not end has not ended", given(entry(func(e *plan.Entry) { e.ExpiresAt = nil })), "own-active", true, true, true},
		"scope added":      {"it is live, but not what is declared", given(otherScope), "own-active", true, true, false},
		"rotation wanted":  {"it is live, but a new one was asked for", given(rotation(1)), "own-active", true, true, false},
		"being deleted":    {"an ApiToken that goes is not ready", given(deleted), "own-active", true, true, false},
		"expired":          {"the Secret holds a dead credential", given(expires(0)), "own-active", false, true, false},
		"Secret absent":    {"the workload has nothing", given(absent), "own-active", true, false, false},
		"Secret edited":    {"the data in use is unknown", given(edited), "own-active", true, false, false},
		"Secret not known": {"what was not looked at is not published", given(untrusted, current), "own-active", true, false, false},
		"another one held": {"anything but the Active entry counts as missing", given(live, holding("own-3")), "own-active", true, false, false},
		"foreign Secret":   {"a Secret of another owner does not count", given(live, foreign, holding("own-active")), "own-active", true, false, false},
		"nothing issued":   {"there is no credential", given(unissued), "", false, false, false},
		"attempt only":     {"an attempt is no credential yet", given(entries(mint), holding("own-new"), live), "", false, false, false},
		"hard end passed":  {"access has ended", given(endsIn(0)), "own-active", false, false, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := observe(tc.given...)
			got := plan.ReadinessOf(&o)
			var active string
			if got.Active != nil {
				active = got.Active.Name
			}
			if active != tc.active || got.Issued != tc.issued || got.Published != tc.published || got.Ready != tc.ready {
				t.Errorf("%s: active %q, issued %t, published %t, ready %t; want %q, %t, %t, %t", tc.reason,
					active, got.Issued, got.Published, got.Ready, tc.active, tc.issued, tc.published, tc.ready)
			}
		})
	}
}
