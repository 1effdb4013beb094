package tokenprovider

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

// client returns the pool's client, which ApiTokens use.
func (w *world) client(key account.Key) provider.Client {
	w.Helper()
	place, _ := places.New(clock.NewReal(), places.Limits{}).Take(places.Want{Who: key.ObjectKey(), Provider: key.String()})
	var c connections.Connection
	w.Eventually(func() (err error) { // the cache may lag behind the verification of the endpoint
		c, err = w.pool.Connect(w.Context(), key, place)
		return err
	})
	return c.Client
}

// TestFailedCallTriggersACheck: the result stops minting, and the next check that succeeds
// ends it. status.lastError shows the call.
func TestFailedCallTriggersACheck(t *testing.T) {
	tests := map[string]struct {
		code    provider.Code
		calls   int
		reason  string
		stalled bool
	}{
		"credentials refused":    {provider.CodeUnauthenticated, 1, v1alpha1.ReasonCredentialsRejected, true},
		"a right is missing":     {provider.CodePermissionDenied, 1, v1alpha1.ReasonCredentialsRejected, true},
		"the account is blocked": {provider.CodeAccountBlocked, 1, v1alpha1.ReasonAccountBlocked, true},
		"no answer":              {provider.CodeUnavailable, 3, v1alpha1.ReasonUnreachable, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.run(clock.NewReal())
			w.secret("minter", "good")
			key := w.provider("p", "minter")
			w.ready(key)
			fault := fake.Fault{Kind: fake.Reject, Code: test.code}
			c := w.client(key)
			w.connects(fault)
			for range test.calls {
				w.backend.Script(fake.Revoke, fault)
				if err := c.Revoke(t.Context(), provider.Ref{Name: "n"}); err == nil {
					t.Fatal("no error")
				}
			}
			w.condition(key, v1alpha1.ConditionReady, metav1.ConditionFalse, test.reason)
			o := w.get(key)
			if got := meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionStalled); got != test.stalled {
				t.Errorf("Stalled is %t", got)
			}
			if e := o.Status.LastError; e == nil || e.Code != string(test.code) || e.Message != "the provider rejected the request" || e.At.IsZero() {
				t.Errorf("the last error is %+v", e)
			}
			w.connects(fake.Fault{})
			w.ready(key)
			if o := w.get(key); o.Status.LastError == nil {
				t.Error("the last error was removed too")
			}
		})
	}
}

// TestOneRefusedCallDoesNotFlap: one refused call does not change Ready. The check that it
// triggers decides.
func TestOneRefusedCallDoesNotFlap(t *testing.T) {
	w := newWorld(t)
	w.run(clock.NewReal())
	w.secret("minter", "good")
	key := w.provider("p", "minter")
	w.ready(key)
	since := meta.FindStatusCondition(w.get(key).Status.Conditions, v1alpha1.ConditionReady).LastTransitionTime
	w.backend.Script(fake.Find, fake.Fault{Kind: fake.Reject, Code: provider.CodeUnauthenticated})
	if _, err := w.client(key).Find(t.Context(), provider.Ref{Name: "n"}); err == nil {
		t.Fatal("no error")
	}
	w.Eventually(func() error {
		if n := w.backend.Count(fake.Connect); n != 2 {
			return fmt.Errorf("%d calls to check the credentials, want 2", n)
		}
		if e := w.get(key).Status.LastError; e == nil || e.Operation != "find" || e.Code != "Unauthenticated" {
			return fmt.Errorf("the last error is %+v", e)
		}
		return nil
	})
	c := meta.FindStatusCondition(w.get(key).Status.Conditions, v1alpha1.ConditionReady)
	if c.Status != metav1.ConditionTrue || !c.LastTransitionTime.Equal(&since) {
		t.Errorf("Ready is %+v, and was so since %v", c, since)
	}
}

// TestOtherErrorsAreShownWithoutACheck: these are errors that the provider did not cause.
func TestOtherErrorsAreShownWithoutACheck(t *testing.T) {
	w := newWorld(t)
	c := newShifted()
	w.run(c)
	w.secret("minter", "good")
	key := w.provider("p", "minter")
	w.ready(key)
	fail := func(code provider.Code) {
		w.backend.Script(fake.Find, fake.Fault{Kind: fake.Reject, Code: code})
		if _, err := w.client(key).Find(t.Context(), provider.Ref{Name: "n"}); err == nil {
			t.Fatal("no error")
		}
	}
	shows := func(code provider.Code) {
		w.Eventually(func() error {
			if e := w.get(key).Status.LastError; e == nil || e.Code != string(code) {
				return fmt.Errorf("the last error is %+v", e)
			}
			return nil
		})
	}
	fail(provider.CodeQuota)
	shows(provider.CodeQuota)
	fail(provider.CodeInvalid)
	if err := clock.NewReal().Sleep(t.Context(), gatherFor+time.Second); err != nil {
		t.Fatal(err)
	}
	shows(provider.CodeQuota) // a minute has not passed
	c.advance(lastErrorEvery)
	fail(provider.CodeUnknown)
	shows(provider.CodeUnknown)
	if n := w.backend.Count(fake.Connect); n != 1 {
		t.Errorf("%d calls to check the credentials, want 1", n)
	}
}

// TestProviderWithoutCredentialsIsReady: a provider without an API has no Secret. It is
// checked once, is Ready, and can be deleted.
func TestProviderWithoutCredentialsIsReady(t *testing.T) {
	w := newWorld(t)
	w.backend.Token = ""
	stop, _ := w.run(clock.NewReal())
	p := &v1alpha1.TokenProvider{ObjectMeta: w.meta("bare"),
		Spec: v1alpha1.ProviderSpec{KloudBean: &v1alpha1.KloudBeanProvider{S3Endpoint: "https://s3.example.com"}}}
	w.ExpectApplied(p)
	key := account.Of(p).Key()
	w.ready(key)
	stop()

	before := w.backend.Count(fake.Connect)
	_, counted := w.run(clock.NewReal())
	w.Eventually(func() error {
		if w.backend.Count(fake.Connect) == before {
			return fmt.Errorf("it was not checked")
		}
		return nil
	})
	other := w.secret("other", "x") // a Secret that it does not name
	w.ExpectDeleted(other)
	if err := clock.NewReal().Sleep(t.Context(), gatherFor); err != nil {
		t.Fatal(err)
	}
	if n := w.backend.Count(fake.Connect); before != 1 || n != 2 {
		t.Errorf("%d calls before a restart and %d after", before, n)
	}
	if writes := counted.seen(); len(writes) > 0 {
		t.Errorf("a restart wrote: %v", writes)
	}
	w.ExpectDeleted(p)
	w.ExpectGone(p)
}

// TestSecretThatIsNamedLaterIsProtected: a provider can name its Secret after its creation.
func TestSecretThatIsNamedLaterIsProtected(t *testing.T) {
	w := newWorld(t)
	w.backend.Token = ""
	w.run(clock.NewReal())
	p := &v1alpha1.TokenProvider{ObjectMeta: w.meta("p"),
		Spec: v1alpha1.ProviderSpec{KloudBean: &v1alpha1.KloudBeanProvider{S3Endpoint: "https://s3.example.com"}}}
	w.ExpectApplied(p)
	key := account.Of(p).Key()
	w.ready(key)
	w.Merge(p, func() { p.Spec = spec("minter") })
	w.condition(key, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonCredentialsMissing)
	w.ExpectApplied(&corev1.Secret{ObjectMeta: w.meta("minter"), Data: map[string][]byte{fake.TokenKey: []byte("good")}})
	w.ready(key)
}
