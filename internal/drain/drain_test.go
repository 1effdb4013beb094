package drain_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/drain"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/repofile"
)

// The namespace is deleted first: it waits for the Secret of the minting credentials, and
// no operator runs that could revoke. A drain revokes everything, and then the namespace is
// removed.
func TestDrainRevokesAfterTheNamespaceWasDeleted(t *testing.T) {
	w := newWorld(t)
	w.issued("a")
	w.issued("b", func(t *v1alpha1.ApiToken) { t.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	w.live(2)
	w.stop()
	w.deleteNamespace()
	w.hangs()
	if err := w.create("late"); err != nil {
		t.Fatal(err)
	}

	w.drained(drain.Options{DeleteAll: true})
	w.live(1) // the credential of b, which has deletionPolicy: Retain
	w.ExpectGone(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.own}})
	w.nothingLeft()
	kept := &corev1.Secret{}
	w.OK(w.Get(t.Context(), client.ObjectKey{Namespace: w.team, Name: "b"}, kept))
	for _, part := range []string{"to end: 3 ApiTokens with 2 credentials", w.team + "/b has deletionPolicy: Retain", w.team + "/a is gone", "done: nothing waits"} {
		if !strings.Contains(w.said.String(), part) {
			t.Errorf("it does not say %q:\n%s", part, w.said)
		}
	}
}

// The CRDs are deleted with the namespace and the operator, for example with one file. The
// CRD without objects is removed at once; the others wait for their objects.
func TestDrainRevokesWhileTheCRDsAreBeingDeleted(t *testing.T) {
	w := newWorld(t)
	w.issued("a")
	w.stop()
	w.deleteCRDs()
	w.deleteNamespace()
	w.hangs()
	w.drained(drain.Options{}) // the CRDs delete the objects, so DeleteAll is not needed
	w.live(0)
	w.ExpectGone(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.own}})
	w.noCRDs()
}

// The right order needs no drain: the operator revokes, and a drain after it ends at once.
// The deletion guard refuses the wrong order and permits the right one.
func TestTheRightOrderLeavesNothingToDrain(t *testing.T) {
	w := newWorld(t)
	token := w.issued("a")
	w.guardsCRDs()
	w.OK(w.Delete(t.Context(), token))
	w.ExpectGone(token)
	w.live(0)
	w.OK(w.Delete(t.Context(), w.provider))
	w.ExpectGone(w.provider)
	w.stop()
	w.deleteNamespace()
	w.ExpectGone(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.own}})
	w.drained(drain.Options{})
	w.deleteCRDs()
	w.noCRDs()
}

// While the operator runs, deleting the CRDs needs no drain: the operator revokes and
// removes the finalizers of the providers, although other kinds are no longer served.
func TestRunningOperatorRevokesWhenTheCRDsAreDeleted(t *testing.T) {
	w := newWorld(t)
	w.issued("a")
	w.deleteCRDs()
	w.noCRDs()
	w.live(0)
	held := w.minter()
	w.OK(w.Get(t.Context(), client.ObjectKeyFromObject(held), held))
	if slices.Contains(held.Finalizers, v1alpha1.Finalizer) {
		t.Error("it holds a Secret for a deleted provider")
	}
}

// Without DeleteAll, a drain deletes nothing and names the objects that are not being
// deleted.
func TestDrainRefusesWhatIsNotBeingDeleted(t *testing.T) {
	w := newWorld(t)
	w.issued("a")
	w.stop()
	err := w.drain(drain.Options{})
	if err == nil {
		t.Fatal("it drains objects that no user deleted")
	}
	for _, part := range []string{"ApiToken " + w.team + "/a", "ClusterTokenProvider " + w.own, "--delete-all", "install the operator again"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the refusal does not say %q: %v", part, err)
		}
	}
	w.live(1)
	token := &v1alpha1.ApiToken{}
	w.OK(w.Get(t.Context(), client.ObjectKey{Namespace: w.team, Name: "a"}, token))
	if !token.DeletionTimestamp.IsZero() {
		t.Error("it deleted the ApiToken")
	}
}

// While an operator renews its Lease, a drain refuses to start and says who holds it.
func TestDrainRefusesWhileTheLeaseIsRenewed(t *testing.T) {
	w := newWorld(t)
	w.stop()
	w.renewing("operator-7", 100*time.Millisecond)
	err := w.drain(drain.Options{DeleteAll: true})
	var running *drain.RunningError
	if !errors.As(err, &running) || running.Holder != "operator-7" {
		t.Fatalf("it starts next to an operator: %v", err)
	}
	for _, part := range []string{"operator-7", w.own + "/apitoken-operator", "scale deployment/apitoken-operator --replicas=0"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the refusal does not say %q: %v", part, err)
		}
	}
}

// The operator can run in another namespace than the drain is given, for example after the
// minting credentials were created elsewhere. A Lease that no operator holds can be
// ignored.
func TestDrainRefusesWhileTheLeaseOfAnotherNamespaceIsRenewed(t *testing.T) {
	w := newWorld(t)
	token := w.issued("a")
	w.stop()
	elsewhere := w.Namespace("drain", nil)
	w.ExpectApplied(kit.Minter(elsewhere, kit.MinterToken))
	w.renewing("operator-7", 100*time.Millisecond)
	given := drain.Options{DeleteAll: true, Operator: operator.Options{Namespace: elsewhere}}
	err := w.drain(given)
	var running *drain.RunningError
	if !errors.As(err, &running) || running.Holder != "operator-7" {
		t.Fatalf("it starts next to an operator of another namespace: %v", err)
	}
	for _, part := range []string{w.own + "/apitoken-operator", "kubectl -n " + w.own + " scale", "--ignore-lease-in=" + w.own} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the refusal does not say %q: %v", part, err)
		}
	}
	w.live(1)
	given.IgnoreLeasesIn = []string{w.own}
	w.drained(given)
	w.ExpectGone(token)
	w.live(0)
}

// A Lease whose holder died is not renewed. The drain starts, even if clocks differ.
func TestDrainOutwaitsTheLeaseOfADeadOperator(t *testing.T) {
	w := newWorld(t)
	token := w.issued("a")
	w.stop()
	w.holds("operator-7", metav1.NowMicro().Add(time.Hour))
	w.drained(drain.Options{DeleteAll: true})
	w.ExpectGone(token)
	w.live(0)
	if !strings.Contains(w.said.String(), "operator-7 as the running operator: waiting") {
		t.Errorf("it does not name the holder:\n%s", w.said)
	}
}

// An operator that starts during a drain ends the drain.
func TestDrainEndsWhenAnOperatorStarts(t *testing.T) {
	w := newWorld(t)
	w.issued("a")
	w.stop()
	w.OK(w.Delete(t.Context(), w.minter())) // its finalizer keeps it, so the provider still works
	w.unreachable()
	done := make(chan error, 1)
	go func() { done <- w.drain(drain.Options{DeleteAll: true}) }()
	w.Eventually(func() error {
		if !strings.Contains(w.said.String(), w.team+"/a: 1 credentials left") {
			return errors.New("it has not begun")
		}
		return nil
	})
	w.renewing("operator-8", 100*time.Millisecond)
	var running *drain.RunningError
	if err := <-done; !errors.As(err, &running) {
		t.Errorf("it continues next to an operator: %v", err)
	}
}

// Without the minting credentials nothing can be revoked. A drain reports that with the
// ids, gives up after the given time, and says what to do. After the credentials are
// created in another namespace, it revokes.
func TestDrainSaysWhatCannotBeRevokedWithoutTheMinterSecret(t *testing.T) {
	w := newWorld(t)
	token := w.issued("a")
	id := token.Status.Credentials[0].ID
	w.stop()
	w.loseMinter()
	w.deleteNamespace()
	err := w.drain(drain.Options{DeleteAll: true, Patience: 3 * time.Second})
	if err == nil || !strings.Contains(err.Error(), "nothing has changed for 3s") {
		t.Fatalf("it ends with %v", err)
	}
	for _, part := range []string{"Secret " + w.own + "/minter with its minting credentials does not exist", id,
		"Create it again with the old credentials", "give that one as --namespace", "deletionPolicy: Retain"} {
		if !strings.Contains(w.said.String(), part) {
			t.Errorf("it does not say %q:\n%s", part, w.said)
		}
	}
	w.live(1)

	elsewhere := w.Namespace("drain", nil)
	w.ExpectApplied(kit.Minter(elsewhere, kit.MinterToken))
	w.drained(drain.Options{DeleteAll: true, Operator: operator.Options{Namespace: elsewhere}})
	w.live(0)
	w.nothingLeft()
}

// A drain of a list of namespaces leaves other namespaces and ClusterTokenProviders alone.
func TestDrainOfNamespacesLeavesTheOthersAlone(t *testing.T) {
	w := newWorld(t)
	token := w.issued("a")
	other := w.Namespace("drain", map[string]string{"tokens": w.own})
	elsewhere := w.issuedIn(other, "a")
	w.stop()
	w.drained(drain.Options{DeleteAll: true, Operator: operator.Options{Namespaces: []string{w.team}}})
	w.ExpectGone(token)
	w.live(1)
	w.OK(w.Get(t.Context(), client.ObjectKeyFromObject(elsewhere), elsewhere))
	if !elsewhere.DeletionTimestamp.IsZero() {
		t.Error("it deleted an ApiToken of another namespace")
	}
	held := w.minter()
	w.OK(w.Get(t.Context(), client.ObjectKeyFromObject(held), held))
	if !slices.Contains(held.Finalizers, v1alpha1.Finalizer) {
		t.Error("it released the minting credentials that another namespace needs")
	}
}

// A Secret that is held for a deleted provider is released.
func TestDrainReleasesSecretsWithoutAProvider(t *testing.T) {
	w := newWorld(t)
	w.stop()
	w.provider.Finalizers = nil
	w.OK(w.Update(t.Context(), w.provider))
	w.OK(client.IgnoreNotFound(w.Delete(t.Context(), w.provider)))
	w.deleteNamespace()
	w.hangs()
	w.drained(drain.Options{})
	w.ExpectGone(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.own}})
}

// A message of a provider or of a tenant cannot forge or erase progress lines.
func TestProgressContainsNoControlCharacters(t *testing.T) {
	w := newWorld(t)
	w.stop()
	err := w.create("a", func(t *v1alpha1.ApiToken) { t.Finalizers = []string{v1alpha1.Finalizer} })
	w.OK(err)
	token := &v1alpha1.ApiToken{}
	w.OK(w.Get(t.Context(), client.ObjectKey{Namespace: w.team, Name: "a"}, token))
	token.Status.Credentials = []v1alpha1.LedgerEntry{{Name: "at1-x", ID: "KEY\x1b[2Jdone: nothing", State: v1alpha1.StateActive, Account: "a"}}
	w.OK(w.Status().Update(t.Context(), token))
	if err := w.drain(drain.Options{DeleteAll: true, Patience: time.Second}); err == nil {
		t.Error("it revokes a credential that is not of this cluster")
	}
	if strings.ContainsAny(w.said.String(), "\x1b\r") || !strings.Contains(w.said.String(), "KEY [2Jdone") {
		t.Errorf("the progress contains control characters: %q", w.said)
	}
	w.OK(w.Get(t.Context(), client.ObjectKeyFromObject(token), token))
	token.Finalizers = nil
	w.OK(w.Update(t.Context(), token))
}

// guardsCRDs installs the deletion guard and waits until it refuses to delete a CRD.
func (w *world) guardsCRDs() {
	w.Helper()
	for _, o := range repofile.Objects(w, "config/components/deletion-guard/policy.yaml") {
		w.OK(w.Create(w.Context(), o))
		w.Cleanup(func() { _ = w.Delete(context.WithoutCancel(w.Context()), o) })
	}
	w.Eventually(func() error {
		if err := w.Delete(w.Context(), w.crds()[0], client.DryRunAll); !apierrors.IsForbidden(err) {
			return fmt.Errorf("a CRD can be deleted while a credential is live: %w", err)
		}
		return nil
	})
}

// renewing renews a Lease until the test ends.
func (w *world) renewing(holder string, every time.Duration) {
	w.Helper()
	w.holds(holder, time.Unix(1e9, 0)) // by a clock that is years behind
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := int64(1); clock.NewReal().Sleep(ctx, every) == nil; n++ {
			lease := &coordinationv1.Lease{}
			if w.Get(ctx, client.ObjectKey{Namespace: w.own, Name: operator.Name}, lease) != nil {
				continue
			}
			renewed := metav1.NewMicroTime(time.Unix(1e9+n, 0))
			lease.Spec.RenewTime = &renewed
			_ = w.Update(ctx, lease)
		}
	}()
	w.Cleanup(func() { cancel(); <-done })
}

// holds writes a Lease.
func (w *world) holds(holder string, renewed time.Time) {
	w.Helper()
	seconds, at := int32(2), metav1.NewMicroTime(renewed)
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: w.own, Name: operator.Name},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &at}}
	w.Cleanup(func() { _ = w.Delete(context.WithoutCancel(w.Context()), lease) }) // drains read all Leases
	if err := w.Create(w.Context(), lease); apierrors.IsAlreadyExists(err) {
		found := &coordinationv1.Lease{}
		w.OK(w.Get(w.Context(), client.ObjectKeyFromObject(lease), found))
		found.Spec = lease.Spec
		w.OK(w.Update(w.Context(), found))
	} else {
		w.OK(err)
	}
}

// hangs waits until the operator's namespace is being deleted and only waits for Secrets.
func (w *world) hangs() {
	w.Helper()
	w.Eventually(func() error {
		ns := &corev1.Namespace{}
		if err := w.Get(w.Context(), client.ObjectKey{Name: w.own}, ns); err != nil {
			return err
		}
		for _, c := range ns.Status.Conditions {
			if c.Type == corev1.NamespaceFinalizersRemaining && c.Status == corev1.ConditionTrue {
				return nil
			}
		}
		return fmt.Errorf("the namespace does not wait for finalizers: %+v", ns.Status)
	})
}
