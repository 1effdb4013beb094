package tokenprovider

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/clock"
)

func TestDeletedSecretStaysWhileCredentialsNeedIt(t *testing.T) {
	w := newWorld(t)
	w.run(clock.NewReal())
	secret := w.secret("minter", "good")
	key := w.provider("p", "minter")
	token := w.token("t", key, "one")
	w.ready(key)

	w.ExpectDeleted(secret)
	c := w.condition(key, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonCredentialsMissing)
	if !strings.Contains(c.Message, "is being deleted") {
		t.Errorf("the message is %q", c.Message)
	}
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Fatalf("the Secret is gone while a credential needs it: %v", err)
	}
	w.drop(token)
	w.ExpectGone(secret)
	w.secret("minter", "good")
	w.ready(key)
}

func TestDeletionWaitsForTokens(t *testing.T) {
	w := newWorld(t)
	w.run(clock.NewReal())
	secret := w.secret("minter", "good")
	key := w.provider("p", "minter")
	tokens := []*v1alpha1.ApiToken{w.token("a", key, "one", "two"), w.token("b", key)}
	w.ready(key)
	w.Eventually(func() error {
		if n := w.get(key).Status.LiveCredentials; n != 2 {
			return fmt.Errorf("liveCredentials is %d, want 2", n)
		}
		return nil
	})

	p := &v1alpha1.TokenProvider{ObjectMeta: w.meta("p")}
	w.ExpectDeleted(p)
	w.ExpectDeleted(secret) // as when the namespace is deleted
	c := w.condition(key, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInUse)
	for _, token := range tokens {
		if !strings.Contains(c.Message, token.Namespace+"/"+token.Name) {
			t.Errorf("the message %q does not name %s", c.Message, token.Name)
		}
	}
	w.drop(tokens[0])
	w.Eventually(func() error {
		c := meta.FindStatusCondition(w.get(key).Status.Conditions, v1alpha1.ConditionStalled)
		if c == nil || strings.Contains(c.Message, "/a") {
			return fmt.Errorf("Stalled is %+v, want it to name b only", c)
		}
		return nil
	})
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Fatalf("the Secret is gone before the last ApiToken: %v", err)
	}
	w.drop(tokens[1])
	w.ExpectGone(p)
	w.ExpectGone(secret)
}

// TestDeletionReadsUsersLive: the cache may lack a new ApiToken. A provider that is removed
// too early cannot revoke the credentials of that ApiToken.
func TestDeletionReadsUsersLive(t *testing.T) {
	w := newWorld(t)
	w.run(clock.NewReal())
	w.secret("minter", "good")
	key := w.provider("p", "minter")
	w.ready(key)
	w.stale.Store(true)
	token := w.token("t", key, "one")
	p := &v1alpha1.TokenProvider{ObjectMeta: w.meta("p")}
	w.ExpectDeleted(p)
	c := w.condition(key, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInUse)
	if !strings.Contains(c.Message, token.Namespace+"/"+token.Name) {
		t.Errorf("the message %q does not name %s", c.Message, token.Name)
	}
	w.stale.Store(false)
	w.drop(token)
	w.ExpectGone(p)
}

func TestDeletionKeepsASharedSecret(t *testing.T) {
	w := newWorld(t)
	w.run(clock.NewReal())
	secret := w.secret("minter", "good")
	first, second := w.provider("first", "minter"), w.provider("second", "minter")
	w.ready(first)
	w.ready(second)
	p := &v1alpha1.TokenProvider{ObjectMeta: w.meta("first")}
	w.ExpectDeleted(p)
	w.ExpectGone(p)
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil || len(secret.Finalizers) != 1 {
		t.Errorf("the Secret of the second provider has the finalizers %v: %v", secret.Finalizers, err)
	}
}

func TestClusterTokenProviderWaitsForItsUsers(t *testing.T) {
	w := newWorld(t)
	w.run(clock.NewReal())
	w.secret("minter", "good")
	p := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: "shared-" + w.namespace},
		Spec: v1alpha1.ClusterProviderSpec{ProviderSpec: spec("minter")}}
	w.ExpectApplied(p)
	key := account.Of(p).Key()
	w.ready(key)
	token := w.token("t", key, "one")
	w.Eventually(func() error {
		if n := w.get(key).Status.LiveCredentials; n != 1 {
			return fmt.Errorf("liveCredentials is %d, want 1", n)
		}
		return nil
	})
	w.ExpectDeleted(p)
	w.condition(key, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInUse)
	w.drop(token)
	w.ExpectGone(p)
}
