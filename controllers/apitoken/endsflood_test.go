package apitoken

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

// seenEvents records the references of events.
type seenEvents struct{ regarding []runtime.Object }

func (s *seenEvents) Eventf(regarding, _ runtime.Object, _, _, _, _ string, _ ...any) {
	s.regarding = append(s.regarding, regarding)
}

// A user changes the annotation apitoken.dev/end again and again. The events have the same references,
// so the recorder merges them.
func TestIgnoredEndAnnotationsAreOneSeriesOfEvents(t *testing.T) {
	t.Parallel()
	recorder := &seenEvents{}
	r := New(Options{Recorder: recorder})
	for version := range 6 {
		token := &v1alpha1.ApiToken{}
		token.Namespace, token.Name, token.UID, token.ResourceVersion = "ml", "training", "u", strconv.Itoa(version)
		p := &reconciliation{token: token, obs: plan.Observation{Token: plan.Token{End: []string{"", "wrong"}[version%2]}}}
		r.emitEndIgnored(p)
	}
	if len(recorder.regarding) != 3 {
		t.Fatalf("%d events, want one for each refusal", len(recorder.regarding))
	}
	for _, about := range recorder.regarding {
		if diff := cmp.Diff(recorder.regarding[0], about); diff != "" {
			t.Errorf("the events are about different objects:\n%s", diff)
		}
	}
}
