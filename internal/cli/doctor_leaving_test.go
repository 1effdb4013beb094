package cli_test

import (
	"context"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/installation"
	"apitoken.dev/operator/internal/operator"
)

// drainCommand returns the command that doctor prints.
func (w *world) drainCommand() string {
	return "bin/manager drain --namespace=" + w.Ns + " --delete-all"
}

// doctor says that the conditions are out of date, and names both ways to continue.
func TestDoctorFindsTokensWithoutAnOperator(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"))
	r := w.expect(w.run("doctor", "--operator-namespace", w.Ns), exit.Failed, "fail  leaving: no operator works: ", "the conditions of the ApiTokens are out of date",
		"Install the operator again", w.drainCommand(), "warn  provider: out of date, because no operator works: ", "warn  ApiTokens: out of date, because no operator works: 1 of 1 ")
	if strings.Contains(r.out, "ok    provider") || strings.Contains(r.out, "ok    ApiTokens") {
		t.Errorf("what is out of date is said to be ok:\n%s", r.out)
	}
}

// Both a renewed Lease and an available Deployment indicate an operator that revokes.
func TestDoctorPrintsNoDrainWhileAnOperatorWorks(t *testing.T) {
	for name, gone := range map[string]client.Object{"its Lease is renewed": &appsv1.Deployment{}, "its Deployment is available": &coordinationv1.Lease{}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.makeReady(w.createToken("one"))
			w.installOperator(1, time.Second)
			gone.SetNamespace(w.Ns)
			gone.SetName(operator.Name)
			w.OK(w.Delete(t.Context(), gone))
			if r := w.run("doctor", "--operator-namespace", w.Ns); strings.Contains(r.out, "drain") {
				t.Errorf("it prints the drain of an operator that works:\n%s", r.out)
			}
		})
	}
}

// The operator's namespace is being deleted: the API server rejects a new installation there, so doctor prints the drain command.
func TestDoctorFindsANamespaceThatIsBeingDeleted(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"))
	w.createToken("unseen")
	w.installOperator(0, time.Hour)
	w.OK(w.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Ns}})) // stays Terminating
	r := w.expect(w.run("doctor", "--operator-namespace", w.Ns), exit.Failed,
		"fail  leaving: namespace "+w.Ns+" is being deleted, and no operator works: ", "Nothing revokes these credentials", w.drainCommand())
	for _, advice := range []string{"Install the operator", "describe pods", "get pods", "logs deploy/"} {
		if strings.Contains(r.out, advice) {
			t.Errorf("it advises %q, which cannot work there:\n%s", advice, r.out)
		}
	}
}

// list and status warn that the conditions are no longer updated, and refer to doctor.
func TestListAndStatusSayThatTheOperatorIsGone(t *testing.T) {
	w := newWorld(t, "")
	w.makeReady(w.createToken("one"))
	home := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: installation.DefaultNamespace}}
	w.OK(w.Create(t.Context(), home))
	w.Cleanup(func() { // no namespace controller runs
		home.Spec.Finalizers = nil
		w.OK(w.SubResource("finalize").Update(context.WithoutCancel(t.Context()), home))
	})
	holder, seconds := "operator-1", int32(15)
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: installation.DefaultNamespace, Name: operator.Name},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &metav1.MicroTime{Time: w.Env.Clock.Now()}}}
	w.OK(w.Create(t.Context(), lease))
	w.Cleanup(func() { _ = w.Delete(context.WithoutCancel(t.Context()), lease) })
	commands := [][]string{{"list"}, {"status", "one"}}
	for _, c := range commands {
		if r := w.run(c...); strings.Contains(r.err, "out of date") {
			t.Errorf("%v with an operator that works: %s", c, r.err)
		}
	}
	lease.Spec.RenewTime = &metav1.MicroTime{Time: w.Env.Clock.Now().Add(-time.Hour)}
	w.OK(w.Update(t.Context(), lease))
	for _, c := range commands {
		if r := w.run(c...); !strings.Contains(r.err, "no operator renews its Lease in namespace apitoken-system: what is shown may be out of date. To see more: kubectl apitoken doctor -A") {
			t.Errorf("%v without an operator says: %s", c, r.err)
		}
	}
	w.OK(w.Delete(t.Context(), home))
	w.OK(w.Get(t.Context(), client.ObjectKeyFromObject(home), home))
	for _, c := range commands {
		if r := w.run(c...); !strings.Contains(r.err, "namespace apitoken-system is being deleted and no operator works") {
			t.Errorf("%v while the namespace is being deleted says: %s", c, r.err)
		}
	}
}

// An object that the user cannot read is not reported as missing.
func TestDoctorReportsWhatAUserCannotRead(t *testing.T) {
	w := newWorld(t, "")
	w.makeReady(w.createToken("one"))
	r := w.run("doctor", "--as", "stranger", "--operator-namespace", w.Ns)
	for _, says := range []string{
		"warn  leaving: not known: whether an operator works, whether namespace " + w.Ns + " is being deleted, whether its CRDs are being deleted; could not read: ",
		"you may not get leases.coordination.k8s.io in namespace " + w.Ns, "you may not list deployments.apps in namespace " + w.Ns,
		"you may not get namespaces in namespace " + w.Ns, "you may not get customresourcedefinitions.apiextensions.k8s.io\n",
	} {
		if !strings.Contains(r.out, says) {
			t.Errorf("it does not say %q", says)
		}
	}
	if strings.Contains(r.out, "no operator works") || strings.Contains(r.out, "fail  leaving") {
		t.Errorf("to a user without rights it says:\n%s", r.out)
	}
}
