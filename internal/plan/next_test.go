package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// never: a decision that waits for an event only.
const never = -time.Nanosecond

// nextCase is an observation and the decision that it leads to.
type nextCase struct {
	// reason why.
	reason string
	given  []change

	rule   string
	action plan.Action
	state  plan.State
	// code is the condition's reason.
	code string
	// says are parts of the message.
	says []string
	// after is when to look again, where it matters.
	after time.Duration
}

func given(changes ...change) []change { return changes }

func testNext(t *testing.T, cases map[string]nextCase) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := plan.Next(observe(tc.given...))
			want := plan.Decision{Rule: tc.rule, Action: tc.action, State: tc.state, Reason: tc.code, Message: got.Message, After: got.After}
			if tc.after == never {
				want.After = 0
			} else if tc.after != 0 {
				want.After = tc.after
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
			for _, part := range tc.says {
				if !strings.Contains(got.Message, part) {
					t.Errorf("%s\nthe message does not say %q: %s", tc.reason, part, got.Message)
				}
			}
			if got.State == plan.Stalled && len(tc.says) < 2 {
				t.Errorf("a case that stalls says which value is wrong and how to fix it; the message: %s", got.Message)
			}
		})
	}
}

// tables are all the cases of this package.
var tables = map[string]map[string]nextCase{
	"deletion":   deletionCases,
	"never":      neverIssuedCases,
	"look":       lookCases,
	"resolve":    resolveCases,
	"wait":       waitCases,
	"restore":    restoreCases,
	"issue":      issueCases,
	"unissued":   nothingWantedCases,
	"publish":    tryPublishCases,
	"provider":   providerCases,
	"unreadable": unreadableCases,
	"foreign":    foreignCases,
	"refusal":    refusalCases,
	"limits":     limitCases,
	"begin":      beginRevokeCases,
	"revoke":     revokeCases,
	"end":        endCases,
	"expiry":     expiryCases,
	"suspension": suspendCases,
	"secret":     secretCases,
	"steady":     steadyCases,
	"slots":      slotCases,
	"update":     updateCases,
	"person":     manualCases,
	"identify":   identifyCases,
	"failed":     failedCases,
	"endpoint":   endpointCases,
	"confirm":    confirmCases,
}

func TestNextFollowsTheTables(t *testing.T) {
	for name, cases := range tables {
		t.Run(name, func(t *testing.T) { testNext(t, cases) })
	}
}

func TestEveryReasonHasHelp(t *testing.T) {
	for _, cases := range tables {
		for name, tc := range cases {
			if v1alpha1.ReasonHelp[tc.code] == "" {
				t.Errorf("case %q: reason %q has no sentence in ReasonHelp", name, tc.code)
			}
		}
	}
}

func TestEveryRefusalHasItsReason(t *testing.T) {
	want := map[provider.RefusalReason]string{
		provider.RefusedScope:    v1alpha1.ReasonScopeNotGrantable,
		provider.RefusedLifetime: v1alpha1.ReasonLifetimeTooLong,
		provider.RefusedBuckets:  v1alpha1.ReasonTooManyBuckets,
		provider.RefusedBucket:   v1alpha1.ReasonBucketNotGrantable,
		provider.RefusedNarrow:   v1alpha1.ReasonRestrictionUnsupported,
		"SomethingNew":           v1alpha1.ReasonProviderRefused,
	}
	for refusal, reason := range want {
		r := provider.Refusal{Reason: refusal, Field: "spec.scopes[0]", Value: "a:b", Message: "declare a:c"}
		d := plan.Next(observe(unissued, refusing(r)))
		if d.Reason != reason || d.State != plan.Stalled {
			t.Errorf("refusal %s shows as %s in state %d, want %s and Stalled", refusal, d.Reason, d.State, reason)
		}
		if wantMessage := "spec.scopes[0]: a:b: declare a:c"; d.Message != wantMessage {
			t.Errorf("refusal %s says %q, want field, value and fix: %q", refusal, d.Message, wantMessage)
		}
	}
}
