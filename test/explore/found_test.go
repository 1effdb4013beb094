package explore

import "testing"

// TestFoundFailuresStayFixed replays the failures that the explorer has found, by the names of the
// deviations: numbers of schedules and seeds change when an option is added.
func TestFoundFailuresStayFixed(t *testing.T) {
	stories := map[string]Scenario{}
	for _, s := range Scenarios() {
		stories[s.Name] = s
	}
	for _, found := range []struct {
		name, story string
		script      script
	}{
		{
			name: "a revoke cut off without admission continues once the attempt is settled for the new process", story: "rotate, the namespace terminates",
			script: script{
				{at: "before check deadline", option: string(repeated)},
				{at: "before update ApiToken/status", option: "admission is lost", nth: 3},
				{at: "after Revoke", option: "crash"},
			},
		},
		{
			name: "a Secret names a credential that is gone, in a namespace that is not admitted", story: "retain, forge the Secret, create again, delete",
			script: script{
				{at: "before get Secret", option: "admission is lost", nth: 3},
				{at: "before Revoke", option: "an old Secret is restored"},
			},
		},
		{
			name: "two processes say the same of a fence that is refused", story: "two operators rotate",
			script: script{{at: "before update ApiToken/status", option: "the Secret is sealed", nth: 4}},
		},
		{
			name: "a process that waits leaves it to the other one to say how it goes", story: "two operators change scopes in place",
			script: script{
				{at: "before check deadline", option: "scopes change", nth: 3},
				{at: "before update ApiToken/status", option: "admission is lost", nth: 5},
				{at: "before update ApiToken/status", option: "crash", nth: 2},
				{at: "before get Secret", option: "buckets change", nth: 2},
			},
		},
		{
			name: "a refused fence and a refused deletion do not take turns without a pause", story: "end while the Secret is sealed",
			script: script{
				{at: "before get Secret", option: "the wall clock jumps back", nth: 9},
				{at: "after Mint", option: "crash"},
				{at: "before check deadline", option: "the wall clock jumps a year ahead"},
			},
		},
		{
			name: "no overlap lasts a year because the clock was a year ahead", story: "a year ahead and back, rotate on request",
			script: script{{at: "before update ApiToken/status", option: "the wall clock jumps a year back", nth: 4}},
		},
		{
			name: "data that was edited between publish and record is not taken for checked", story: "issue",
			script: script{
				{at: "before update ApiToken/status", option: "crash", nth: 2},
				{at: "before get Secret", option: "the Secret is edited"},
			},
		},
		{
			name: "an attempt is cleared up behind a sealed Secret", story: "rotate with a sealed Secret",
			script: script{{at: "after update ApiToken/status", option: "crash", nth: 3}},
		},
		{
			name: "another ApiToken does not get the slot of a gap whose attempt is rejected", story: "rotate with one slot that another waits for",
			script: script{{at: "before check deadline", option: string(rejected), nth: 3}},
		},
	} {
		t.Run(found.name, func(t *testing.T) {
			c := &scripted{left: found.script}
			if f := runOne(stories[found.story], variant{}, c); f != nil {
				t.Error(f)
			}
			if len(c.left) > 0 {
				t.Errorf("the schedule never came to %q: %q", c.left[0].at, c.left[0].option)
			}
		})
	}
}
