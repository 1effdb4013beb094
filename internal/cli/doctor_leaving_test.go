package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/operator"
)

// drains is the command that doctor prints for the world's operator.
func (w *world) drains() string {
	return "bin/manager drain --namespace=" + w.ns + " --delete-all"
}

// Tokens are left and no operator works: doctor says that the conditions are out of date, and both ways out.
func TestDoctorFindsTokensWithoutAnOperator(t *testing.T) {
	w := newWorld(t, "")
	w.provider("object-store")
	w.ready(w.token("one"))
	r := w.wants(w.run("doctor", "--operator-namespace", w.ns), Failed, "fail  leaving: no operator works: ", "the conditions of the ApiTokens are out of date",
		"Install the operator again", w.drains(), "warn  provider: out of date, because no operator works: ", "warn  ApiTokens: out of date, because no operator works: 1 of 1 ")
	if strings.Contains(r.out, "ok    provider") || strings.Contains(r.out, "ok    ApiTokens") {
		t.Errorf("what is out of date is said to be ok:\n%s", r.out)
	}
}

// A renewed Lease and an available Deployment are each a sign of an operator that revokes by itself.
func TestDoctorPrintsNoDrainWhileAnOperatorWorks(t *testing.T) {
	for name, gone := range map[string]client.Object{"its Lease is renewed": &appsv1.Deployment{}, "its Deployment is available": &coordinationv1.Lease{}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.ready(w.token("one"))
			w.install(1, time.Second)
			gone.SetNamespace(w.ns)
			gone.SetName(operator.Name)
			w.ok(w.Delete(t.Context(), gone))
			if r := w.run("doctor", "--operator-namespace", w.ns); strings.Contains(r.out, "drain") {
				t.Errorf("it prints the drain of an operator that works:\n%s", r.out)
			}
		})
	}
}

// The operator's namespace is being deleted: installing again is refused by the API server, and a drain is the way out.
func TestDoctorFindsANamespaceThatIsBeingDeleted(t *testing.T) {
	w := newWorld(t, "")
	w.provider("object-store")
	w.ready(w.token("one"))
	w.token("unseen")
	w.install(0, time.Hour)
	w.ok(w.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.ns}})) // no controller ends it here
	r := w.wants(w.run("doctor", "--operator-namespace", w.ns), Failed,
		"fail  leaving: namespace "+w.ns+" is being deleted, and no operator works: ", "Nothing revokes these credentials", w.drains())
	for _, advice := range []string{"Install the operator", "describe pods", "get pods", "logs deploy/"} {
		if strings.Contains(r.out, advice) {
			t.Errorf("it advises %q, which cannot work there:\n%s", advice, r.out)
		}
	}
}

// list and status show conditions that nobody updates any more, and say so; doctor prints the way out.
func TestListAndStatusSayThatTheOperatorIsGone(t *testing.T) {
	w := newWorld(t, "")
	w.ready(w.token("one"))
	home := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}}
	w.ok(w.Create(t.Context(), home))
	w.Cleanup(func() { // the namespace controller is not here
		home.Spec.Finalizers = nil
		w.ok(w.SubResource("finalize").Update(context.WithoutCancel(t.Context()), home))
	})
	holder, seconds := "operator-1", int32(15)
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: operator.Name},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &metav1.MicroTime{Time: w.env.Clock.Now()}}}
	w.ok(w.Create(t.Context(), lease))
	w.Cleanup(func() { _ = w.Delete(context.WithoutCancel(t.Context()), lease) })
	commands := [][]string{{"list"}, {"status", "one"}}
	for _, c := range commands {
		if r := w.run(c...); strings.Contains(r.err, "out of date") {
			t.Errorf("%v with an operator that works: %s", c, r.err)
		}
	}
	lease.Spec.RenewTime = &metav1.MicroTime{Time: w.env.Clock.Now().Add(-time.Hour)}
	w.ok(w.Update(t.Context(), lease))
	for _, c := range commands {
		if r := w.run(c...); !strings.Contains(r.err, "no operator renews its Lease in namespace apitoken-system: what is shown may be out of date. To see more: kubectl apitoken doctor -A") {
			t.Errorf("%v without an operator says: %s", c, r.err)
		}
	}
	w.ok(w.Delete(t.Context(), home))
	w.ok(w.Get(t.Context(), client.ObjectKeyFromObject(home), home))
	for _, c := range commands {
		if r := w.run(c...); !strings.Contains(r.err, "namespace apitoken-system is being deleted and no operator works") {
			t.Errorf("%v while the namespace is being deleted says: %s", c, r.err)
		}
	}
}

// What a user may not read is not said to be nothing.
func TestDoctorSaysWhatItMayNotReadOfLeaving(t *testing.T) {
	w := newWorld(t, "")
	w.ready(w.token("one"))
	r := w.run("doctor", "--as", "stranger", "--operator-namespace", w.ns)
	for _, says := range []string{
		"warn  leaving: not known: whether an operator works, whether namespace " + w.ns + " is being deleted, whether its CRDs are being deleted; could not look: ",
		"you may not get leases.coordination.k8s.io in namespace " + w.ns, "you may not list deployments.apps in namespace " + w.ns,
		"you may not get namespaces in namespace " + w.ns, "you may not get customresourcedefinitions.apiextensions.k8s.io\n",
	} {
		if !strings.Contains(r.out, says) {
			t.Errorf("it does not say %q", says)
		}
	}
	if strings.Contains(r.out, "no operator works") || strings.Contains(r.out, "fail  leaving") {
		t.Errorf("to a user without rights it says:\n%s", r.out)
	}
}

// A CRD that is being deleted deletes its objects, and doctor says which one it is.
func TestDoctorFindsCRDsThatAreBeingDeleted(t *testing.T) {
	w := newWorld(t, "")
	w.ready(w.token("one"))
	e := &examination{session: w.session(), operator: w.ns}
	e.client = ending{Client: e.client, name: "apitokens.apitoken.dev"}
	e.leaving(t.Context())
	if len(e.findings) != 1 || e.findings[0].Result != resultFail || !strings.Contains(e.findings[0].Message, "CRDs are being deleted (apitokens.apitoken.dev), and no operator works") ||
		!strings.Contains(e.findings[0].Do, w.drains()) {
		t.Errorf("doctor finds %+v", e.findings)
	}
}

// ending shows one object as being deleted: these tests share a server, whose CRDs stay.
type ending struct {
	client.Client
	name string
}

// Get implements client.Reader.
func (e ending) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	err := e.Client.Get(ctx, key, o, opts...)
	if err == nil && key.Name == e.name {
		now := metav1.Now()
		o.SetDeletionTimestamp(&now)
	}
	return err
}

// Each read that fails is reported as not known, and never as "not being deleted" or "no operator".
func TestUnreadableIsNeverLeaving(t *testing.T) {
	w := newWorld(t, "")
	w.provider("object-store")
	w.ready(w.token("one"))
	for name, c := range map[string]struct {
		blind  []string // names of objects and lists whose reads fail
		ends   string   // the object that is being deleted
		gone   []string // names of objects and lists that are not there
		result string
		says   []string
		not    string
	}{
		"a CRD": {blind: []string{"tokenproviders.apitoken.dev"}, result: resultFail,
			says: []string{"not known: whether its CRDs are being deleted; could not look: cannot get customresourcedefinitions.apiextensions.k8s.io: broken", "no operator works: "}},
		"the namespace": {blind: []string{w.ns}, result: resultFail,
			says: []string{"not known: whether namespace " + w.ns + " is being deleted; could not look: cannot get namespaces in namespace " + w.ns + ": broken", "no operator works: "}},
		"the Lease": {blind: []string{operator.Name}, result: resultWarn,
			says: []string{"not known: whether an operator works; could not look: cannot get leases.coordination.k8s.io in namespace " + w.ns + ": broken"}, not: "no operator works"},
		"the Deployments": {blind: []string{"*v1.DeploymentList"}, result: resultWarn,
			says: []string{"not known: whether an operator works; could not look: cannot list deployments.apps in namespace " + w.ns + ": broken"}, not: "no operator works"},
		"the Lease while the namespace is being deleted": {blind: []string{operator.Name}, ends: w.ns, result: resultWarn,
			says: []string{"whether an operator works", "namespace " + w.ns + " is being deleted: ", "If no operator works, revoke what is left:\n" + w.drains()}, not: "and no operator works"},
		"some providers": {blind: []string{"*v1alpha1.ClusterTokenProviderList"}, ends: w.ns, result: resultFail,
			says: []string{"and no operator works: at least ", "could not look: cannot list clustertokenproviders.apitoken.dev: broken"}},
		"everything that can be left": {blind: []string{"*v1alpha1.ClusterTokenProviderList", "*v1alpha1.TokenProviderList", "*v1alpha1.ApiTokenList"}, ends: w.ns, result: resultWarn,
			says: []string{"what is left of its objects is not known: could not look: cannot list apitokens.apitoken.dev: broken"}, not: "is left\n"},
		"a kind that is not served, with its CRD": {gone: []string{"*v1alpha1.ApiTokenList"}, ends: w.ns, result: resultFail,
			says: []string{"at least 0 ApiTokens", "could not look: cannot list apitokens.apitoken.dev"}},
		"a kind without its CRD": {gone: []string{"*v1alpha1.ApiTokenList", "apitokens.apitoken.dev"}, ends: w.ns, result: resultFail,
			says: []string{"no operator works: 0 ApiTokens with 0 credentials"}, not: "at least"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &examination{session: w.session(), operator: w.ns}
			e.client = impaired{ending{Client: e.client, name: c.ends}, c.blind, c.gone}
			e.leaving(t.Context())
			var said strings.Builder
			for _, f := range e.findings {
				said.WriteString(f.Result + " " + f.Message + "\n" + f.Do + "\n")
			}
			if got := worst(e.findings); got != c.result {
				t.Errorf("the result is %s, want %s", got, c.result)
			}
			for _, says := range c.says {
				if !strings.Contains(said.String(), says) {
					t.Errorf("it does not say %q", says)
				}
			}
			if c.not != "" && strings.Contains(said.String(), c.not) {
				t.Errorf("it says %q", c.not)
			}
			if t.Failed() {
				t.Logf("it says:\n%s", said.String())
			}
		})
	}
}

// impaired fails some reads, by the name of the object or the type of the list.
type impaired struct {
	client.Client
	blind, gone []string
}

func (c impaired) failure(name string) error {
	switch {
	case slices.Contains(c.blind, name):
		return errors.New("broken")
	case slices.Contains(c.gone, name):
		return apierrors.NewNotFound(schema.GroupResource{Resource: "things"}, name)
	}
	return nil
}

// Get implements client.Reader.
func (c impaired) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if err := c.failure(key.Name); err != nil {
		return err
	}
	return c.Client.Get(ctx, key, o, opts...)
}

// List implements client.Reader.
func (c impaired) List(ctx context.Context, l client.ObjectList, opts ...client.ListOption) error {
	if err := c.failure(fmt.Sprintf("%T", l)); err != nil {
		return err
	}
	return c.Client.List(ctx, l, opts...)
}
