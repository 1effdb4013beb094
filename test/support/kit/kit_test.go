package kit

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/apifake"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/testutil"
)

// newKit is a Kit on an API server in memory.
func newKit(t *testing.T) *Kit {
	t.Helper()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	return &Kit{T: t, Client: apifake.NewServer(func() time.Time { return now }).Client(nil)}
}

// TestNamespacesHaveUniqueNames: two namespaces with the same prefix do not collide.
func TestNamespacesHaveUniqueNames(t *testing.T) {
	k := newKit(t)
	if a, b := k.Namespace("team", nil), k.Namespace("team", nil); a == b || !strings.HasPrefix(a, "team-") {
		t.Errorf("they are called %s and %s", a, b)
	}
}

// TestChangeRetriesAfterAConflict: another client writes between the read and the update.
func TestChangeRetriesAfterAConflict(t *testing.T) {
	k := newKit(t)
	token := ApiToken(k.Namespace("team", nil), "training", OfNamespace("store"))
	k.ExpectApplied(token)
	edits := 0
	Change(k, token, func(t *v1alpha1.ApiToken) {
		if edits++; edits == 1 {
			other := t.DeepCopy()
			other.Labels = map[string]string{"other": "client"}
			k.OK(k.Update(k.Context(), other))
		}
		t.Spec.Suspend = true
	})
	if !k.Exists(token) || !token.Spec.Suspend || token.Labels["other"] != "client" || edits != 2 {
		t.Errorf("after %d edits: %+v", edits, token)
	}
}

// TestConditionsMustBeForTheCurrentGeneration: a condition for an earlier generation does
// not count.
func TestConditionsMustBeForTheCurrentGeneration(t *testing.T) {
	k := newKit(t)
	p := TokenProvider(k.Namespace("team", nil), "store")
	k.ExpectApplied(p)
	ChangeStatus(k, p, func(p *v1alpha1.TokenProvider) {
		p.Status.Conditions = []metav1.Condition{{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Unreachable", Message: "no answer",
			ObservedGeneration: p.Generation, LastTransitionTime: metav1.Unix(1, 0),
		}}
	})
	got := k.ExpectCondition(p, Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Unreachable", Says: []string{"answer"}})
	for name, want := range map[string]Condition{
		"status":  {Status: metav1.ConditionTrue},
		"reason":  {Reason: "Ready"},
		"message": {Says: []string{"no", "answer within"}},
	} {
		if want.differs(&got, p) == "" {
			t.Errorf("another %s is not noticed", name)
		}
	}
	got.ObservedGeneration++
	if want := (Condition{}); want.differs(&got, p) == "" {
		t.Error("another generation is not noticed")
	}
}

// TestRunStopsOnce: the operator stops once, by the test or at its end.
func TestRunStopsOnce(t *testing.T) {
	k := newKit(t)
	ends := 0
	stop := k.Run(func(ctx context.Context) error {
		<-ctx.Done()
		ends++
		return nil
	})
	stop()
	stop()
	if ends != 1 {
		t.Errorf("it ended %d times", ends)
	}
}

// TestLeaksAreFound: Leaks finds a secret in every form in which a log can contain it.
func TestLeaksAreFound(t *testing.T) {
	secret := fake.SecretOf("at1-x")
	for name, say := range map[string]func(logr.Logger){
		"a message": func(l logr.Logger) { l.Info("minted " + secret) },
		"a value":   func(l logr.Logger) { l.V(9).Info("minted", "secret", secret) },
		"an error":  func(l logr.Logger) { l.Error(errors.New(secret), "failed") },
		"a Secret": func(l logr.Logger) {
			l.Info("writing", "secret", corev1.Secret{Data: map[string][]byte{"k": []byte(secret)}})
		},
		"base64":         func(l logr.Logger) { l.Info(base64.StdEncoding.EncodeToString([]byte("a" + secret))) },
		"a request body": func(l logr.Logger) { l.V(8).Info("Request Body", "body", hex.Dump([]byte("0123456789abcd"+secret))) },
		"bytes":          func(l logr.Logger) { l.Info(fmt.Sprintf("%d", []byte(secret))) },
	} {
		var log testutil.Log
		say(log.Logger(testutil.Everything))
		if !Leaks(log.String()) {
			t.Errorf("%s is not found: %s", name, log.String())
		}
	}
	if text := "a canary, CANAR and CANNARY-; AWS_SECRET_ACCESS_KEY"; Leaks(text) {
		t.Errorf("found in %s", text)
	}
}
