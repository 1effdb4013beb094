package plan_test

import (
	"maps"
	"slices"
	"testing"

	"apitoken.dev/operator/internal/plan"
)

func TestEveryRuleHasCases(t *testing.T) {
	seen := map[string]bool{}
	for _, cases := range tables {
		for name, tc := range cases {
			seen[tc.rule] = true
			if tc.reason == "" {
				t.Errorf("case %q has no reason", name)
			}
		}
	}
	same(t, "rules", plan.Rules(), seen)
}

// TestEveryNeedHasCases: each need leads to a credential in at least one case.
func TestEveryNeedHasCases(t *testing.T) {
	seen := map[string]bool{}
	for _, cases := range tables {
		for name, tc := range cases {
			issue, ok := tc.action.(plan.Issue)
			if !ok {
				continue
			}
			need, _, _ := plan.Assess(observe(tc.given...))
			seen[need] = true
			if reason := reasonOf(need); reason != "" && reason != issue.Reason {
				t.Errorf("case %q issues for the reason %s, and the need %q is listed with %s", name, issue.Reason, need, reason)
			}
		}
	}
	same(t, "needs", namesOfNeeds(), seen)
}

// TestEveryObstacleHasCases: each obstacle is reported in at least one case for each of its
// reasons, and with no other reason.
func TestEveryObstacleHasCases(t *testing.T) {
	seen, reasons := map[string]bool{}, map[string]bool{}
	for _, cases := range tables {
		for name, tc := range cases {
			need, obstacle, reason := plan.Assess(observe(tc.given...))
			if obstacle == "" {
				continue
			}
			if !slices.Contains(reasonsOf(obstacle), reason) {
				t.Errorf("case %q: obstacle %q is reported with reason %s, which is not listed", name, obstacle, reason)
			}
			if need != "" && tc.code == reason {
				seen[obstacle], reasons[obstacle+" "+reason] = true, true
			}
		}
	}
	var want, wantReasons []string
	for _, o := range plan.Obstacles() {
		want = append(want, o.Name)
		for _, reason := range o.Reasons {
			wantReasons = append(wantReasons, o.Name+" "+reason)
		}
	}
	same(t, "obstacles", want, seen)
	same(t, "reasons", wantReasons, reasons)
}

func TestNamesAreUnique(t *testing.T) {
	for what, names := range map[string][]string{"rules": plan.Rules(), "needs": namesOfNeeds(), "obstacles": namesOfObstacles()} {
		slices.Sort(names)
		if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) {
			t.Errorf("two %s have the same name: %v", what, names)
		}
	}
}

// same compares a list with what the cases reach.
func same(t *testing.T, what string, want []string, seen map[string]bool) {
	t.Helper()
	for _, name := range want {
		if !seen[name] {
			t.Errorf("%s: no case reaches %q", what, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if !slices.Contains(want, name) {
			t.Errorf("%s: cases reach %q, which is not listed", what, name)
		}
	}
}

func namesOfNeeds() []string {
	var names []string
	for _, n := range plan.Needs() {
		names = append(names, n.Name)
	}
	return names
}

// reasonOf is the reason for issuing that a need is listed with.
func reasonOf(need string) plan.IssueReason {
	for _, n := range plan.Needs() {
		if n.Name == need {
			return n.Reason
		}
	}
	return ""
}

func namesOfObstacles() []string {
	var names []string
	for _, o := range plan.Obstacles() {
		names = append(names, o.Name)
	}
	return names
}

func reasonsOf(obstacle string) []string {
	for _, o := range plan.Obstacles() {
		if o.Name == obstacle {
			return o.Reasons
		}
	}
	return nil
}

func lasts(obstacle string) bool {
	for _, o := range plan.Obstacles() {
		if o.Name == obstacle {
			return o.Lasts
		}
	}
	return false
}
