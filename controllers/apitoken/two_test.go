package apitoken_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/testutil"
)

// These tests run two active operators, as without leader election, or while a former leader still has a
// request in progress.

// newTwoOperators returns a world with two operators and an ApiToken that is Ready.
func newTwoOperators(t *testing.T) (w *world, credential string) {
	t.Helper()
	w = newWorld(t)
	credential = activeOf(w.issue("training")).Name
	w.start()
	return w, credential
}

// reconcileTwice waits for a reconcile that began after this call. The first one can have begun
// before it.
func (w *world) reconcileTwice(name string) {
	w.Helper()
	w.reconcile(name)
	w.reconcile(name)
}

// watchAbandoned watches the ApiToken training. The returned check fails if an attempt was abandoned.
func (w *world) watchAbandoned() (check func()) {
	w.Helper()
	var mu sync.Mutex
	var names []string
	stop := w.watch("training", func(t *v1alpha1.ApiToken) {
		mu.Lock()
		defer mu.Unlock()
		if e := inState(t, v1alpha1.StateAbandoned); e != nil {
			names = append(names, e.Name)
		}
	})
	return func() {
		w.Helper()
		stop()
		mu.Lock()
		defer mu.Unlock()
		if names = slices.Compact(names); len(names) > 0 {
			w.Errorf("attempts were abandoned: %v", names)
		}
	}
}

// While one operator waits for a slow provider, the other does not take over its attempt.
func TestTwoOperatorsRotateWithOneCredential(t *testing.T) {
	t.Parallel()
	w, last := newTwoOperators(t)
	check := w.watchAbandoned()
	for generation := range int64(3) {
		minting, answer := w.holdFirst(fake.Mint)
		w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = generation + 1 })
		<-minting
		w.reconcileTwice("training")
		if token := w.token("training"); inState(token, v1alpha1.StateMinting) == nil || w.usableCredential("training") != last {
			t.Errorf("the attempt was not left alone: %+v", token.Status.Credentials)
		}
		close(answer)
		last = activeOf(w.waitReplaced("training", last)).Name
	}
	check()
	if n := len(w.token("training").Status.Credentials); n != 4 {
		t.Errorf("%d entries in the ledger after three rotations, want 4", n)
	}
}

// Neither operator prevents the other from publishing.
func TestTwoOperatorsRepairASecretTogether(t *testing.T) {
	t.Parallel()
	w, _ := newTwoOperators(t)
	minting, answer := w.holdFirst(fake.Mint)
	w.editSecret("training", func(s *corev1.Secret) { s.Data[fake.KeySecret] = []byte("edited") })
	<-minting
	w.Until(func() string {
		if inState(w.token("training"), v1alpha1.StateAbandoned) == nil {
			return "the attempt is waited for, though the workload has no key that works"
		}
		return ""
	})
	first := w.minted()[len(w.minted())-1]
	close(answer)
	w.Until(func() string {
		if e := activeOf(w.token("training")); e == nil || e.Name != first {
			return "the attempt was not adopted"
		}
		return ""
	})
	w.waitIdle("training")
	if held := w.usableCredential("training"); held != first {
		t.Errorf("the Secret holds %s, want %s", held, first)
	}
}

// While one operator changes a credential, the other issues none, and causes no write conflict.
func TestTwoOperatorsChangeInPlaceOnce(t *testing.T) {
	t.Parallel()
	w := newUpdatingWorld(t)
	first := activeOf(w.issue("training")).Name
	updating, answer := w.holdFirst(fake.Update)
	w.edit("training", readWrite)
	<-updating
	log := &testutil.Log{}
	w.start(func(o *operator.Options) { o.Logger = log.Logger(5) })
	w.Until(func() string {
		if log.Count(w.reconcileLog("training")...) == 0 {
			return "the second operator does not reconcile training"
		}
		return ""
	})
	close(answer)
	if e := activeOf(w.waitReady("training")); e.Name != first || e.Updating != "" {
		t.Errorf("the credential after its change: %+v", e)
	}
	w.expectMints(1)
}

// The workload keeps its credential in this time.
func TestAttemptOfAKilledOperatorSettlesIn90Seconds(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.createMinter()
	w.createProvider()
	killed := w.start(func(o *operator.Options) { o.Shutdown = 10 * time.Millisecond })
	first := activeOf(w.issue("training")).Name
	minting, answer := w.holdMint()
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	<-minting
	killed.stop(w)
	w.start()
	w.expectCondition("training", v1alpha1.ConditionReconciling, v1alpha1.ReasonIssuing)
	w.passTime(plan.AttemptTime-10*time.Second, 1)
	if token := w.token("training"); inState(token, v1alpha1.StateMinting) == nil || w.usableCredential("training") != first {
		t.Errorf("the attempt was abandoned early: %+v", token.Status.Credentials)
	}
	w.advance(10 * time.Second)
	w.waitReplaced("training", first)
	close(answer)
	w.passTime(2*time.Hour, 1)
	w.waitHealed("training")
}

// A standby records attempts of the leader, so that their settle times have begun when it takes over.
// Until then it reads no Secret and writes nothing.
func TestStandbyRecordsAttempts(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.createMinter()
	w.createProvider()
	elected := func(o *operator.Options) { o.LeaderElection = true }
	leader := w.start(elected, func(o *operator.Options) { o.Clock = testutil.NewClock(epoch) }) // its clock stands, so no attempt settles
	w.issue("training")
	w.backend.Script(fake.Mint, fake.Fault{Kind: fake.InDoubt})
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	w.Until(func() string {
		if inState(w.token("training"), v1alpha1.StateAbandoned) == nil {
			return "no attempt is in doubt"
		}
		return ""
	})
	doubtful := inState(w.token("training"), v1alpha1.StateAbandoned).Name

	log, requests := &testutil.Log{}, &testutil.Requests{}
	w.startCounting(requests, elected, func(o *operator.Options) { o.Logger = log.Logger(5) })
	w.Until(func() string {
		if log.Count("following the ledgers") == 0 {
			return "the standby follows no ledgers"
		}
		return ""
	})
	w.clock.Advance(3 * time.Minute)
	if counts := requests.Take(); counts.Writes() > 0 || counts.Of("secrets").Reads() > 0 {
		t.Errorf("the standby made %s", counts)
	}
	leader.stop(w)
	w.Until(func() string {
		for _, e := range w.token("training").Status.Credentials {
			if e.Name == doubtful {
				return "the attempt in doubt is not settled"
			}
		}
		return ""
	})
	w.waitReady("training")
}
