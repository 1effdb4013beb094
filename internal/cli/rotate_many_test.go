package cli_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/clock"
)

// pausing is a clock that records sleeps and returns at once.
type pausing struct {
	clock.Clock
	pauses []time.Duration
}

func (c *pausing) Sleep(_ context.Context, d time.Duration) error {
	c.pauses = append(c.pauses, d)
	return nil
}

// rotationGenerations returns spec.rotation.generation of each ApiToken.
func (w *world) rotationGenerations(names ...string) map[string]int64 {
	out := map[string]int64{}
	for _, name := range names {
		out[name] = w.read(name).Spec.Rotation.Generation
	}
	return out
}

func TestRotateManyChoosesByLabelProviderAndAll(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.createProvider("other")
	team := func(t *v1alpha1.ApiToken) { t.Labels = map[string]string{"team": "ml", "only": w.Ns} }
	w.makeReady(w.createToken("a", team))
	w.makeReady(w.createToken("b", func(t *v1alpha1.ApiToken) { t.Spec.ProviderRef.Name = "other" }))
	w.makeReady(w.createToken("c", team, func(t *v1alpha1.ApiToken) { t.Spec.ProviderRef.Name = "other" }))
	for _, c := range []struct {
		args []string
		code exit.Code
		want map[string]int64
		says []string
	}{
		{[]string{"--all", "--dry-run"}, exit.OK, map[string]int64{"a": 0, "b": 0, "c": 0}, []string{"[3/3] " + w.Ns + "/c", "apitoken.apitoken.dev/a would be rotated (generation 1)"}},
		{[]string{"-l", "only=" + w.Ns, "-A", "--dry-run"}, exit.OK, map[string]int64{"a": 0, "b": 0, "c": 0},
			[]string{"apitoken.apitoken.dev/a in namespace " + w.Ns + " would be rotated (generation 1)"}},
		{[]string{"-l", "team=ml"}, exit.OK, map[string]int64{"a": 1, "b": 0, "c": 1}, []string{"[2/2] " + w.Ns + "/c", "2 of 2 rotated"}},
		{[]string{"--provider", "TokenProvider/other"}, exit.OK, map[string]int64{"a": 1, "b": 1, "c": 2}, []string{"2 of 2 rotated"}},
		{[]string{"--provider", "TokenProvider/other", "-l", "team=ml"}, exit.OK, map[string]int64{"a": 1, "b": 1, "c": 3}, []string{"1 of 1 rotated"}},
		{[]string{"--all"}, exit.OK, map[string]int64{"a": 2, "b": 2, "c": 4}, []string{"3 of 3 rotated"}},
		{[]string{"-l", "team=other"}, exit.NotFound, map[string]int64{"a": 2, "b": 2, "c": 4}, []string{"no ApiToken is chosen"}},
		{[]string{"a", "--all"}, exit.Usage, map[string]int64{"a": 2, "b": 2, "c": 4}, []string{"leave them out, or the name: got a"}},
		{nil, exit.Usage, map[string]int64{"a": 2, "b": 2, "c": 4}, []string{"name one ApiToken, or choose several"}},
		{[]string{"--provider", "other"}, exit.Usage, map[string]int64{"a": 2, "b": 2, "c": 4}, []string{"write TokenProvider/NAME"}},
		{[]string{"--all", "--rate=-1"}, exit.Usage, map[string]int64{"a": 2, "b": 2, "c": 4}, []string{"cannot be negative"}},
		{[]string{"a", "--dry-run"}, exit.Usage, map[string]int64{"a": 2, "b": 2, "c": 4}, []string{"need -l, --provider or --all"}},
	} {
		args := append([]string{"rotate"}, c.args...)
		if !strings.Contains(strings.Join(args, " "), "--rate") {
			args = append(args, "--rate=0")
		}
		w.expect(w.run(args...), c.code, c.says...)
		if diff := cmp.Diff(c.want, w.rotationGenerations("a", "b", "c")); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.args, diff)
		}
	}
}

// A failed rotation is reported. The command then continues, or stops if a flag says so.
func TestRotateManyGoesOnAfterAFailureAndNamesIt(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeReady(w.createToken("a"))
	w.makeReady(w.createToken("b", func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true }))
	w.makeReady(w.createToken("c"))
	w.expect(w.run("rotate", "--all", "--rate=0"), exit.Failed, "2 of 3 rotated; these failed: "+w.Ns+"/b", "kubectl apitoken resume b -n "+w.Ns)
	w.expect(w.run("rotate", "--all", "--rate=0", "--stop-on-failure"), exit.Failed, "1 of 3 rotated; stopped at "+w.Ns+"/b")
	if diff := cmp.Diff(map[string]int64{"a": 2, "b": 0, "c": 1}, w.rotationGenerations("a", "b", "c")); diff != "" {
		t.Error(diff)
	}
}

func TestRotateManyKeepsTheRate(t *testing.T) {
	w := newWorld(t, "").withRealClock()
	w.createProvider("object-store")
	w.makeReady(w.createToken("a"))
	w.makeReady(w.createToken("b"))
	w.makeReady(w.createToken("c"))
	paces := &pausing{Clock: w.Env.Clock}
	w.Env.Clock = paces
	w.expect(w.run("rotate", "--all", "--rate=6"), exit.OK, "3 of 3 rotated")
	if diff := cmp.Diff([]time.Duration{10 * time.Second, 10 * time.Second}, paces.pauses); diff != "" {
		t.Errorf("the pauses (-want +got):\n%s", diff)
	}
}
