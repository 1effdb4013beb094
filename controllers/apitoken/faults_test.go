package apitoken_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

// The cases are all outcomes of a request.
func TestFailedMintLeavesOneLiveCredential(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		faults []fake.Fault
		// reason of the condition after the first failure, and the number of entries in the ledger.
		reason string
		left   int
	}{
		"rejected":        {[]fake.Fault{{Kind: fake.Reject, Code: provider.CodeQuota}}, v1alpha1.ReasonProviderRefused, 0},
		"in doubt":        {[]fake.Fault{{Kind: fake.InDoubt}}, v1alpha1.ReasonProviderError, 1},
		"lost answer":     {[]fake.Fault{{Kind: fake.LoseAnswer}}, v1alpha1.ReasonProviderError, 1},
		"partly done":     {[]fake.Fault{{Kind: fake.Partial}}, v1alpha1.ReasonProviderError, 1},
		"landing late":    {[]fake.Fault{{Kind: fake.LandLate, At: epoch.Add(90 * time.Second)}}, v1alpha1.ReasonProviderError, 1},
		"again and again": {[]fake.Fault{{Kind: fake.LoseAnswer}, {Kind: fake.Reject}, {Kind: fake.InDoubt}}, v1alpha1.ReasonProviderError, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			seen := w.watchReasons("training")
			w.backend.Script(fake.Mint, c.faults...)
			w.declare("training")
			w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonBackoff, "00:00:05", "mint: the provider")
			token := w.waitIdle("training")
			charged := int32(c.left) // a rejected attempt is refunded
			if len(token.Status.Credentials) != c.left || token.Status.Retry.Failures != 1 || token.Status.MintBudget.Remaining != 5-charged {
				t.Errorf("after the first failure: %+v", token.Status)
			}
			w.expectMints(1) // nothing happens before the end of the pause
			w.waitHealed("training")
			w.expectMints(len(c.faults) + 1)
			if token := w.token("training"); token.Status.Retry != nil {
				t.Errorf("the backoff is left: %+v", token.Status.Retry)
			}
			w.Until(func() string { // a watch can lag behind a read
				if !seen(c.reason) {
					return fmt.Sprintf("reason %s was never shown", c.reason)
				}
				return ""
			})
		})
	}
}

// watchReasons returns a function that reports whether Ready ever had a reason since this call.
func (w *world) watchReasons(name string) func(string) bool {
	w.Helper()
	var mu sync.Mutex
	seen := map[string]bool{}
	watching := w.watch(name, func(t *v1alpha1.ApiToken) {
		mu.Lock()
		defer mu.Unlock()
		if c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady); c != nil {
			seen[c.Reason] = true
		}
	})
	w.Cleanup(watching)
	return func(reason string) bool {
		mu.Lock()
		defer mu.Unlock()
		return seen[reason]
	}
}

// Issuing continues by itself once the account is no longer blocked.
func TestBlockedAccountStallsUntilUnblocked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hook(rejecting(fake.Mint, provider.CodeAccountBlocked))
	w.declare("training")
	w.expectStalled("training", v1alpha1.ReasonAccountBlocked)
	w.waitIdle("training")
	w.expectStalled("training", v1alpha1.ReasonAccountBlocked) // even while the next attempt waits
	w.hook(nil)
	w.waitHealed("training")
	if c := meta.FindStatusCondition(w.token("training").Status.Conditions, v1alpha1.ConditionStalled); c != nil {
		t.Errorf("still stalled: %+v", c)
	}
}

// The pause is at least as long as the provider asks.
func TestRetryAfterOfProviderIsHonoured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.backend.Script(fake.Mint, fake.Fault{Kind: fake.RateLimit, RetryAfter: time.Minute})
	w.declare("training")
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonBackoff, "00:01:00")
	w.passTime(25*time.Second, 2)
	w.expectMints(1)
	w.waitHealed("training")
	w.expectMints(2)
}

func TestRepeatedRejectionsBackOffAndCostNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hook(rejecting(fake.Mint, provider.CodeQuota))
	w.declare("training")
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonBackoff)
	w.passTime(time.Minute, 8)
	token := w.waitIdle("training") // an attempt is charged while it runs
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonBackoff)
	if n := w.backend.Count(fake.Mint); n < 3 || n > 7 { // at 0 s, 5 s, 15 s, 35 s, 75 s, 155 s and 315 s, or later
		t.Errorf("%d attempts in 8 minutes", n)
	}
	if b := token.Status.MintBudget; b.Remaining != 5 {
		t.Errorf("%d left of the budget, and nothing was issued", b.Remaining)
	}
	w.hook(nil)
	w.passTime(10*time.Minute, 1)
	w.waitHealed("training")
}

// The write that records the rejection conflicts. The attempt is withdrawn and refunded all the same,
// and the condition has the reason of the rejection.
func TestRejectionSurvivesAConflict(t *testing.T) {
	t.Parallel()
	for name, conflict := range map[string]func(*world){
		"a change": func(w *world) { w.touch("training") },
		"deletion": func(w *world) { w.delete("training") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var once sync.Once
			w.hook(func(ctx context.Context, call fake.Call) fake.Fault {
				if call.Verb == fake.Mint && call.Phase == fake.Before {
					once.Do(func() { conflict(w) })
				}
				return rejecting(fake.Mint, provider.CodeQuota)(ctx, call)
			})
			w.declare("training")
			if name == "deletion" {
				w.expectGone("training") // the clock stands, so there was no attempt in doubt to wait for
				return
			}
			w.expectCondition("training", v1alpha1.ConditionReconciling, v1alpha1.ReasonBackoff, "It ended with: mint: the provider rejected the request")
			if s := w.waitIdle("training").Status; len(s.Credentials) > 0 || s.MintBudget.Remaining != 5 || s.Revision != 0 {
				t.Errorf("revision %d, budget %d, credentials %v", s.Revision, s.MintBudget.Remaining, s.Credentials)
			}
		})
	}
}

// The write that drops an attempt in doubt conflicts. The attempt does not settle a second time.
func TestDropSurvivesAConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.backend.Script(fake.Mint, fake.Fault{Kind: fake.InDoubt})
	w.declare("training")
	w.expectCondition("training", v1alpha1.ConditionReady, v1alpha1.ReasonBackoff)
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true }) // it is the only attempt
	doubtful := w.waitIdle("training").Status.Credentials[0].Name
	var once sync.Once
	w.hook(func(_ context.Context, call fake.Call) fake.Fault {
		if call.Verb == fake.Find && call.Phase == fake.After && call.Name == doubtful {
			once.Do(func() { w.touch("training") }) //nolint:contextcheck // a user writes, not the operator
		}
		return fake.Fault{}
	})
	w.clock.Advance(3 * time.Minute)
	if left := w.waitIdle("training").Status.Credentials; len(left) > 0 {
		t.Errorf("left in the ledger are %v", left)
	}
	if finds := w.backend.Count(fake.Find); finds < 2 {
		t.Errorf("it was looked for %d times, so nothing conflicted", finds)
	}
}

func TestFailedRotationKeepsTheCredentialInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.issue("training")
	first, since := activeOf(token).Name, readySince(t, token)
	w.hook(rejecting(fake.Mint, provider.CodeUnavailable))
	w.clock.AdvanceTo(token.Status.RotatesAt.Add(2 * time.Second))
	w.passTime(time.Minute, 3)
	if w.backend.Count(fake.Mint) < 3 {
		t.Error("the rotation was not tried again")
	}
	if again := readySince(t, w.token("training")); !again.Equal(&since) || w.usableCredential("training") != first {
		t.Errorf("Ready since %v, then since %v", since, again)
	}
	w.hook(nil)
	w.passTime(10*time.Minute, 1)
	w.passTime(2*time.Hour, 1)
	w.waitHealed("training")
}

// The entries are of a newer version or another cluster. Nothing is issued while they exist.
func TestUnknownLedgerEntriesAreKept(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		cluster string
		state   v1alpha1.CredentialState
		reason  string
	}{
		"a newer version's state": {cluster, "Quarantined", v1alpha1.ReasonUnknownState},
		"another cluster's name":  {credname.Cluster("the original"), v1alpha1.StateRetiring, v1alpha1.ReasonForeignCredential},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			first := activeOf(w.issue("training")).Name
			odd, err := credname.New(c.cluster, credname.Owner(w.ns, "training"), 2, 0, zeros{})
			w.OK(err)
			w.editStatus(func(s *v1alpha1.ApiTokenStatus) {
				s.Credentials = append(s.Credentials, v1alpha1.LedgerEntry{Name: odd.String(), State: c.state, Account: fake.DefaultAccount})
			})
			w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
			w.expectStalled("training", c.reason, odd.String())
			w.advance(3 * time.Minute)
			if token := w.waitIdle("training"); len(token.Status.Credentials) != 2 {
				t.Errorf("ledger: %+v", token.Status.Credentials)
			}
			w.expectMints(1)
			w.expectLive(first)
			if n := w.backend.Count(fake.Revoke); n > 0 {
				t.Errorf("%d calls of Revoke", n)
			}
			w.editStatus(func(s *v1alpha1.ApiTokenStatus) { s.Credentials = s.Credentials[:1] })
			w.waitReplaced("training", first)
		})
	}
}

// duringFirstMint calls f once, after the effect of the first Mint and before its answer.
func (w *world) duringFirstMint(f func()) { w.duringFirst(fake.Mint, f) }

// duringFirst calls f once, after the effect of the first call of a verb.
func (w *world) duringFirst(verb fake.Verb, f func()) {
	var once sync.Once
	w.hook(func(_ context.Context, call fake.Call) fake.Fault {
		if call.Verb == verb && call.Phase == fake.After {
			once.Do(f)
		}
		return fake.Fault{}
	})
}

// The change happens during Mint.
func TestConcurrentChangeCostsAtMostOneAttempt(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		mints int
		do    func(w *world)
	}{
		"the ApiToken":     {2, func(w *world) { w.touch("training") }},
		"the Secret":       {3, func(w *world) { w.editSecret("training", func(s *corev1.Secret) { s.Labels["theirs"] = "1" }) }},
		"the Secret, gone": {3, func(w *world) { w.deleteSecret("training") }},
		"the clock":        {3, func(w *world) { w.clock.Advance(2 * time.Minute) }},
		"the wall only":    {3, func(w *world) { w.clock.SetWall(w.clock.Now().Add(2 * time.Minute)) }},
		"the monotonic":    {3, func(w *world) { w.clock.AdvanceMonotonic(2 * time.Minute) }},
		"the wall, back":   {2, func(w *world) { w.clock.SetWall(w.clock.Now().Add(-time.Hour)) }},
		"the declaration": {3, func(w *world) {
			w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Buckets = []v1alpha1.Bucket{"models"} })
		}},
		"the rotation only": {3, func(w *world) { w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 2 }) }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			first := activeOf(w.issue("training")).Name
			w.waitIdle("training")
			w.duringFirstMint(func() { c.do(w) })
			w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
			w.Until(func() string {
				if len(w.minted()) < 2 {
					return "nothing is minted"
				}
				return ""
			})
			w.waitIdle("training") // the attempt has ended
			w.passTime(3*time.Minute, 1)
			w.passTime(2*time.Hour, 1)
			if last := w.waitHealed("training"); last == first {
				t.Error("the credential was not replaced")
			}
			w.expectMints(c.mints)
		})
	}
}

// The operator is stopped during a Mint.
func TestGracefulStopFinishesTheAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	minting, answer := w.holdMint()
	w.declare("training")
	<-minting
	w.operator.cancel()
	close(answer)
	w.operator.stop(w)
	if w.operator.err != nil {
		t.Errorf("the operator ended with %v", w.operator.err)
	}
	token := w.token("training") // no operator runs
	if active := activeOf(token); active == nil || len(token.Status.Credentials) != 1 || w.usableCredential("training") != active.Name {
		t.Errorf("the attempt was not finished: %+v", token.Status.Credentials)
	}
	w.expectMints(1)
}

// The next process recovers the attempt. The interrupted process publishes nothing.
func TestInterruptedAttemptIsRecovered(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.createMinter()
	w.createProvider()
	late := w.start(func(o *operator.Options) { o.Shutdown = 10 * time.Millisecond })
	minting, answer := w.holdMint()
	w.declare("training")
	<-minting
	late.stop(w)
	if token := w.token("training"); inState(token, v1alpha1.StateMinting) == nil {
		t.Fatalf("ledger: %+v", token.Status.Credentials)
	}
	name := w.minted()[0]
	w.start()
	w.Until(func() string {
		if inState(w.token("training"), v1alpha1.StateAbandoned) == nil {
			return "the attempt is not abandoned"
		}
		return ""
	})
	w.advance(10 * time.Second)
	second := activeOf(w.waitReplaced("training", "")).Name
	close(answer) // the request takes effect
	w.Until(func() string {
		if !w.backend.Live(name) {
			return "the late credential is not there yet"
		}
		return ""
	})
	if last := w.waitHealed("training"); last != second {
		t.Errorf("the Secret holds %s, want %s", last, second)
	}
	w.expectMints(2)
}

// holdMint blocks the first Mint before its effect. minting is closed when it blocks; closing
// answer lets it continue.
func (w *world) holdMint() (minting <-chan struct{}, answer chan<- struct{}) {
	return w.holdFirst(fake.Mint)
}

// loseMint is like holdMint, and the request has no effect. A request with an effect later than
// Settle after its process ended would violate the driver contract.
func (w *world) loseMint() (minting <-chan struct{}, end chan<- struct{}) {
	return w.holdThen(fake.Mint, fake.Fault{Kind: fake.InDoubt})
}

// holdFirst is holdMint for another verb.
func (w *world) holdFirst(verb fake.Verb) (under <-chan struct{}, answer chan<- struct{}) {
	return w.holdThen(verb, fake.Fault{})
}

// holdThen blocks the first call of a verb, and then returns the fault for it.
func (w *world) holdThen(verb fake.Verb, fault fake.Fault) (under <-chan struct{}, answer chan<- struct{}) {
	began, end := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	w.hook(func(_ context.Context, call fake.Call) fake.Fault {
		if call.Verb == verb && call.Phase == fake.Before && first.CompareAndSwap(false, true) {
			close(began)
			<-end
			return fault
		}
		return fake.Fault{}
	})
	return began, end
}

// The provider needs time to distribute a new credential.
func TestCredentialIsPublishedOnlyOnceUsable(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.driver.UsableAfter = 10 * time.Second
	w.createMinter()
	w.createProvider()
	w.start()
	w.declare("training")
	w.OK(w.clock.WaitForSleepers(w.Context(), 2)) // the attempt, and the sweep
	if w.secret("training") != nil {
		t.Error("published before it is usable")
	}
	w.clock.Advance(10 * time.Second)
	w.waitReady("training")
	w.expectMints(1)
}
