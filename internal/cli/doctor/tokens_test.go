package doctor

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/test/support/testutil"
)

// An earlier version of the CRD admitted times that cannot be parsed. doctor finds such ApiTokens
// with and without a running operator.
func TestDoctorNamesUnreadableEnds(t *testing.T) {
	end := v1alpha1.Timestamp("2027-01-31T00:00:00z")
	token := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "training"}, Spec: v1alpha1.ApiTokenSpec{ExpiresAt: &end}}
	e := &examination{Session: &session.Session{App: &session.App{Env: session.Env{Clock: testutil.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))}}}}
	if e.judge(token) {
		t.Error("it is in order")
	}
	if len(e.findings) != 1 || e.findings[0].Result != resultFail {
		t.Fatalf("found %+v", e.findings)
	}
	for _, part := range []string{"ml/training", "UnreadableValue", "spec.expiresAt", string(end), "for example"} {
		if !strings.Contains(e.findings[0].Message, part) {
			t.Errorf("it does not say %q: %s", part, e.findings[0].Message)
		}
	}
}
