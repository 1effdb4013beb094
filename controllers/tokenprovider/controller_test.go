package tokenprovider

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/test/support/fake"
)

func TestWorkingCredentialsMakeAProviderReady(t *testing.T) {
	w := newWorld(t)
	w.run(clock.NewReal())
	secret := w.secret("minter", "good\n")
	key := w.provider("p", "minter")
	w.ready(key)

	o := w.get(key)
	if !slices.Contains(o.GetFinalizers(), v1alpha1.Finalizer) {
		t.Errorf("the provider has the finalizers %v", o.GetFinalizers())
	}
	if o.Status.Account != fake.DefaultAccount || o.Status.ObservedGeneration != o.GetGeneration() {
		t.Errorf("status is %+v", o.Status)
	}
	for _, kind := range []string{v1alpha1.ConditionStalled, v1alpha1.ConditionReconciling} {
		if c := meta.FindStatusCondition(o.Status.Conditions, kind); c != nil {
			t.Errorf("%s is %+v, want it absent", kind, c)
		}
	}
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(secret.Finalizers, v1alpha1.Finalizer) || secret.Labels[v1alpha1.LabelManaged] != account.ManagedCredentials {
		t.Errorf("the Secret has finalizers %v and labels %v", secret.Finalizers, secret.Labels)
	}
	if n := w.backend.Count(fake.Connect); n != 1 {
		t.Errorf("%d calls to check the credentials, want 1", n)
	}
	if n := w.backend.Count(fake.Mint); n != 0 {
		t.Errorf("%d credentials were minted by a check", n)
	}
}

func TestProviderIsNotReadyUntilTheCauseIsGone(t *testing.T) {
	tests := map[string]struct {
		prepare func(w *world)
		region  string
		reason  string
		stalled bool
		says    []string
		// mend removes the cause.
		mend func(w *world)
	}{
		"the Secret is missing": {
			prepare: func(*world) {},
			reason:  v1alpha1.ReasonCredentialsMissing, stalled: true, says: []string{"minter does not exist", "the key token"},
			mend: func(w *world) { w.secret("minter", "good") },
		},
		"a key is missing": {
			prepare: func(w *world) {
				w.ExpectApplied(&corev1.Secret{ObjectMeta: w.meta("minter"), Data: map[string][]byte{"other": []byte("x"), "token": {}}})
			},
			reason: v1alpha1.ReasonCredentialsMissing, stalled: true, says: []string{"minter lacks the key token"},
			mend: func(w *world) {
				s := &corev1.Secret{ObjectMeta: w.meta("minter")}
				w.Merge(s, func() { s.Data = map[string][]byte{"token": []byte("good")} })
			},
		},
		"the credentials are rejected": {
			prepare: func(w *world) { w.secret("minter", "bad") },
			reason:  v1alpha1.ReasonCredentialsRejected, stalled: true, says: []string{"did not accept", "Put working credentials"},
			mend: func(w *world) {
				s := &corev1.Secret{ObjectMeta: w.meta("minter")}
				w.Merge(s, func() { s.Data = map[string][]byte{"token": []byte("good")} })
			},
		},
		"the provider does not answer": {
			prepare: func(w *world) {
				w.secret("minter", "good")
				w.connects(fake.Fault{Kind: fake.InDoubt})
			},
			reason: v1alpha1.ReasonUnreachable, says: []string{"did not answer", "The operator retries"},
			mend: func(w *world) { w.connects(fake.Fault{}) },
		},
		"a setting is refused": {
			prepare: func(w *world) {
				w.secret("minter", "good")
				w.connects(fake.Fault{Kind: fake.Reject})
			},
			reason: v1alpha1.ReasonInvalidSettings, stalled: true,
			mend: func(w *world) { w.connects(fake.Fault{}) },
		},
		"there is no driver": {
			prepare: func(w *world) { w.secret("minter", "good") }, region: "driverless",
			reason: v1alpha1.ReasonDriverMissing, stalled: true, says: []string{"no driver", "Run a version"},
			mend: func(w *world) {
				p := &v1alpha1.TokenProvider{ObjectMeta: w.meta("p")}
				if err := w.Get(w.Context(), client.ObjectKeyFromObject(p), p); err != nil {
					w.Fatal(err)
				}
				w.Merge(p, func() { p.Spec.AWS.Region = "eu-west-1" })
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			test.prepare(w)
			p := &v1alpha1.TokenProvider{ObjectMeta: w.meta("p"), Spec: spec("minter")}
			p.Spec.AWS.Region = test.region
			w.ExpectApplied(p)
			key := account.Of(p).Key()
			w.run(clock.NewReal())
			c := w.condition(key, v1alpha1.ConditionReady, metav1.ConditionFalse, test.reason)
			for _, want := range test.says {
				if !strings.Contains(c.Message, want) {
					t.Errorf("the message %q does not say %q", c.Message, want)
				}
			}
			o := w.get(key)
			if got := meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionStalled); got != test.stalled {
				t.Errorf("Stalled is %t", got)
			}
			if got := meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionReconciling); got == test.stalled {
				t.Errorf("Reconciling is %t", got)
			}
			test.mend(w)
			w.ready(key)
		})
	}
}

func TestChangedSecretIsChecked(t *testing.T) {
	w := newWorld(t)
	w.run(clock.NewReal())
	secret := w.secret("minter", "good")
	key := w.provider("p", "minter")
	w.ready(key)

	w.Merge(secret, func() { secret.Data["token"] = []byte("wrong") })
	w.condition(key, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonCredentialsRejected)
	if o := w.get(key); o.Status.Account != fake.DefaultAccount || len(o.GetFinalizers()) != 1 {
		t.Errorf("after a failed check the account is %q and the finalizers are %v", o.Status.Account, o.GetFinalizers())
	}
	w.Merge(secret, func() { secret.Data["token"] = []byte("good") })
	w.ready(key)
}

func TestFormerSecretIsReleased(t *testing.T) {
	w := newWorld(t)
	w.run(clock.NewReal())
	old := w.secret("old", "good")
	w.secret("new", "good")
	key := w.provider("p", "old")
	w.ready(key)
	p := &v1alpha1.TokenProvider{ObjectMeta: w.meta("p")}
	w.Merge(p, func() { p.Spec.CredentialsSecretRef.Name = "new" })
	w.ready(key)
	w.Eventually(func() error {
		if err := w.Get(t.Context(), client.ObjectKeyFromObject(old), old); err != nil {
			return err
		}
		if len(old.Finalizers) > 0 || old.Labels[v1alpha1.LabelManaged] != "" {
			return fmt.Errorf("the old Secret still has finalizers %v and labels %v", old.Finalizers, old.Labels)
		}
		return nil
	})
}

func TestChangedAccountIsRefused(t *testing.T) {
	w := newWorld(t)
	w.run(clock.NewReal())
	w.secret("minter", "good")
	w.secret("of-another-account", "good")
	key := w.provider("p", "minter")
	token := w.token("t", key, "one")
	w.ready(key)

	w.backend.UseAccount("another")
	p := &v1alpha1.TokenProvider{ObjectMeta: w.meta("p")}
	w.Merge(p, func() { p.Spec.CredentialsSecretRef.Name = "of-another-account" })
	c := w.condition(key, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonProviderAccountChanged)
	if !strings.Contains(c.Message, "another") || !strings.Contains(c.Message, fake.DefaultAccount) {
		t.Errorf("the message %q does not name both accounts", c.Message)
	}
	o := w.get(key)
	if o.Status.Account != fake.DefaultAccount || o.Ready() {
		t.Errorf("the recorded account is %q, Ready %t", o.Status.Account, o.Ready())
	}
	w.drop(token)
	w.ready(key)
	if o := w.get(key); o.Status.Account != "another" {
		t.Errorf("without credentials the account recorded is %q", o.Status.Account)
	}
}

func TestRestartChecksEachProviderOnce(t *testing.T) {
	w := newWorld(t)
	w.secret("minter", "good")
	keys := []account.Key{w.provider("p", "minter"), w.provider("q", "minter")}
	for i := range 5 {
		w.token(fmt.Sprintf("t%d", i), keys[i%2], fmt.Sprintf("credential-%d", i))
	}
	stop, _ := w.run(clock.NewReal()) // started now, since a number stays in the status for a minute
	for i, key := range keys {
		w.ready(key)
		w.Eventually(func() error {
			if n := w.get(key).Status.LiveCredentials; int(n) != 3-i {
				return fmt.Errorf("liveCredentials of %s is %d", key, n)
			}
			return nil
		})
	}
	stop()

	before := w.backend.Count(fake.Connect)
	_, counted := w.run(clock.NewReal())
	w.Eventually(func() error {
		if n := w.backend.Count(fake.Connect) - before; n < 2 {
			return fmt.Errorf("%d calls so far", n)
		}
		return nil
	})
	// Events of ApiTokens cause another reconcile.
	if err := clock.NewReal().Sleep(t.Context(), gatherFor+time.Second); err != nil {
		t.Fatal(err)
	}
	if n := w.backend.Count(fake.Connect) - before; n != 2 {
		t.Errorf("a restart cost %d calls for 2 providers", n)
	}
	if writes := counted.seen(); len(writes) > 0 {
		t.Errorf("a restart wrote: %v", writes)
	}
}
