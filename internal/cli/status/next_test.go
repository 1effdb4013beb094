package status

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/hint"
)

// status announces only steps that will happen.
func TestNextStepsClaimWhatIsTrue(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	in := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: now.Add(d)} }
	const (
		issues  = "a new credential is issued and published"
		asks    = "a user is asked for a new credential"
		overlap = "1h later K1 is revoked"
		revoked = "K2 is revoked"
		ends    = "the Secret is deleted, and K1 is revoked"
		asksEnd = "the Secret is deleted, and a user is asked to delete K1"
		suspend = "nothing is issued or rotated"
		attempt = "the next attempt starts"
		atOnce  = "then K1 is revoked without an overlap"
		gap     = "K1 is revoked first, and there is a gap"
		hardEnd = "access ends for good"
		goes    = "every credential in the ledger is revoked and verified gone; then the ApiToken is deleted"
		asksAll = "asked to delete each manual credential in the ledger"
		retains = "nothing is revoked"
		deletes = "a user is asked to delete"
		solved  = "attempt own-2 is resolved"
		alone   = "is not replaced until a user acts"
	)
	all := []string{issues, asks, overlap, revoked, suspend, attempt, atOnce, gap, hardEnd, ends, asksEnd, goes, asksAll, retains, deletes, solved, alone}
	second := func(state v1alpha1.CredentialState, retireAt *metav1.Time) func(*v1alpha1.ApiToken) {
		return func(t *v1alpha1.ApiToken) {
			t.Status.Credentials = append(t.Status.Credentials, v1alpha1.LedgerEntry{Name: "own-2", ID: "K2", State: state, RetireAt: retireAt})
		}
	}
	deleted := func(policy v1alpha1.DeletionPolicy) func(*v1alpha1.ApiToken) {
		return func(t *v1alpha1.ApiToken) { t.DeletionTimestamp, t.Spec.DeletionPolicy = in(0), policy }
	}
	cases := map[string]struct {
		given func(*v1alpha1.ApiToken)
		says  []string
	}{
		"healthy":   {func(*v1alpha1.ApiToken) {}, []string{issues, overlap}},
		"suspended": {func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true }, []string{suspend}},
		"suspended after a failure": {func(t *v1alpha1.ApiToken) {
			t.Spec.Suspend, t.Status.Retry = true, &v1alpha1.Retry{NotBefore: *in(time.Minute)}
		}, []string{suspend}},
		"failed":          {func(t *v1alpha1.ApiToken) { t.Status.Retry = &v1alpha1.Retry{NotBefore: *in(time.Minute)} }, []string{attempt, issues, overlap}},
		"failed long ago": {func(t *v1alpha1.ApiToken) { t.Status.Retry = &v1alpha1.Retry{NotBefore: *in(-time.Minute)} }, []string{issues, overlap}},
		"named by the annotation": {func(t *v1alpha1.ApiToken) {
			t.Annotations = map[string]string{v1alpha1.AnnotationEnd: "own-1"}
		}, []string{issues, atOnce}},
		"another one is named": {func(t *v1alpha1.ApiToken) {
			t.Annotations = map[string]string{v1alpha1.AnnotationEnd: "own-0"}
		}, []string{issues, overlap}},
		"made manually":   {func(t *v1alpha1.ApiToken) { t.Status.Credentials[0].ByHand = true }, []string{asks, deletes}},
		"in its overlap":  {second(v1alpha1.StateRetiring, in(time.Minute)), []string{issues, overlap, revoked}},
		"overlap is over": {second(v1alpha1.StateRetiring, in(-time.Minute)), []string{issues, overlap, revoked}},
		"manual one in its overlap": {func(t *v1alpha1.ApiToken) {
			second(v1alpha1.StateRetiring, in(time.Minute))(t)
			t.Status.Credentials[1].ByHand = true
		}, []string{issues, overlap, deletes}},
		"attempt in progress": {second(v1alpha1.StateMinting, nil), []string{issues, overlap, solved}},
		"attempt given up":    {second(v1alpha1.StateAbandoned, nil), []string{issues, overlap, solved}},
		"RevokeFirst":         {func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Strategy = v1alpha1.RevokeFirst }, []string{issues, gap}},
		"hard end": {func(t *v1alpha1.ApiToken) {
			t.Spec.ExpiresAt, t.Status.RotatesAt = v1alpha1.NewTimestamp(now.Add(time.Hour)), nil
		}, []string{hardEnd, ends}},
		"hard end of a manual one": {func(t *v1alpha1.ApiToken) {
			t.Spec.ExpiresAt, t.Status.RotatesAt = v1alpha1.NewTimestamp(now.Add(time.Hour)), nil
			t.Status.Credentials[0].ByHand = true
		}, []string{hardEnd, asksEnd, deletes}},
		"hard end, and nothing issued": {func(t *v1alpha1.ApiToken) {
			t.Spec.ExpiresAt, t.Status = v1alpha1.NewTimestamp(now.Add(time.Hour)), v1alpha1.ApiTokenStatus{}
		}, []string{hardEnd}},
		"hard end passed": {func(t *v1alpha1.ApiToken) {
			t.Spec.ExpiresAt, t.Status.RotatesAt, t.Status.Credentials = v1alpha1.NewTimestamp(now.Add(-time.Hour)), nil, nil
		}, nil},
		"nothing replaces it": {func(t *v1alpha1.ApiToken) {
			t.Status.RotatesAt = nil
			t.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNamespaceNotAllowed}}
		}, []string{alone}},
		"nothing issued yet": {func(t *v1alpha1.ApiToken) { t.Status = v1alpha1.ApiTokenStatus{} }, nil},
		"deleted":            {deleted(v1alpha1.DeletionRevoke), []string{goes}},
		"deleted, and made manually": {func(t *v1alpha1.ApiToken) {
			deleted(v1alpha1.DeletionRevoke)(t)
			t.Status.Credentials[0].ByHand = true
		}, []string{asksAll, deletes}},
		"deleted with Retain": {deleted(v1alpha1.DeletionRetain), []string{retains}},
	}
	h := hint.Hints{Config: genericclioptions.NewConfigFlags(false)}
	said := map[string]bool{}
	for name, c := range cases {
		token := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "training"}}
		token.Status.Credentials = []v1alpha1.LedgerEntry{{Name: "own-1", ID: "K1", State: v1alpha1.StateActive, ExpiresAt: in(90 * 24 * time.Hour)}}
		token.Status.RotatesAt, token.Status.Effective.Overlap = in(60*24*time.Hour), "1h"
		c.given(token)
		steps := nextSteps(h, token, now)
		for _, step := range steps {
			if !slices.ContainsFunc(c.says, func(claim string) bool { return strings.Contains(step, claim) }) {
				t.Errorf("%s: nothing is claimed of the step %q", name, step)
			}
		}
		text := strings.Join(steps, "\n")
		for _, claim := range all {
			if says := strings.Contains(text, claim); says != slices.Contains(c.says, claim) {
				t.Errorf("%s: it says %q: %t\n%s", name, claim, says, text)
			} else if says {
				said[claim] = true
			}
		}
	}
	for _, claim := range all {
		if !said[claim] {
			t.Errorf("no case has a step %q", claim)
		}
	}
}
