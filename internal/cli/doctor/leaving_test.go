package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/installation"
	"apitoken.dev/operator/test/support/clitest"
)

// home is the namespace of the removed operator.
const home = clitest.Namespace

// drains is the command that doctor prints for that operator.
const drains = "bin/manager drain --namespace=" + home + " --delete-all"

// left returns a cluster in which the operator was removed before its objects.
func left(t *testing.T) client.Client {
	t.Helper()
	objects := []client.Object{
		clitest.Token("one"), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: home}},
		&v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "object-store"}},
	}
	for _, plural := range []string{"apitokens", "tokenproviders", "clustertokenproviders"} {
		objects = append(objects, &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: plural + ".apitoken.dev"}})
	}
	return clitest.Client(t, objects...)
}

// Deleting a CRD deletes its objects. doctor names the CRD.
func TestDoctorFindsCRDsThatAreBeingDeleted(t *testing.T) {
	e := &examination{Session: clitest.Session(t, left(t)), operator: home}
	e.Client = ending{Client: e.Client, name: "apitokens.apitoken.dev"}
	e.leaving(t.Context())
	if len(e.findings) != 1 || e.findings[0].Result != resultFail || !strings.Contains(e.findings[0].Message, "CRDs are being deleted (apitokens.apitoken.dev), and no operator works") ||
		!strings.Contains(e.findings[0].Do, drains) {
		t.Errorf("doctor finds %+v", e.findings)
	}
}

// ending is a client that shows one object as being deleted.
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

// A failed read is reported as unknown, not as "not being deleted" or "no operator".
func TestFailedReadsAreReportedAsUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		blind  []string // names of objects and lists whose reads fail
		ends   string   // the object that is being deleted
		gone   []string // names of missing objects and lists
		result string
		says   []string
		not    string
	}{
		"a CRD": {blind: []string{"tokenproviders.apitoken.dev"}, result: resultFail,
			says: []string{"not known: whether its CRDs are being deleted; could not read: cannot get customresourcedefinitions.apiextensions.k8s.io: broken", "no operator works: "}},
		"the namespace": {blind: []string{home}, result: resultFail,
			says: []string{"not known: whether namespace " + home + " is being deleted; could not read: cannot get namespaces in namespace " + home + ": broken", "no operator works: "}},
		"the Lease": {blind: []string{installation.Name}, result: resultWarn,
			says: []string{"not known: whether an operator works; could not read: cannot get leases.coordination.k8s.io in namespace " + home + ": broken"}, not: "no operator works"},
		"the Deployments": {blind: []string{"*v1.DeploymentList"}, result: resultWarn,
			says: []string{"not known: whether an operator works; could not read: cannot list deployments.apps in namespace " + home + ": broken"}, not: "no operator works"},
		"the Lease while the namespace is being deleted": {blind: []string{installation.Name}, ends: home, result: resultWarn,
			says: []string{"whether an operator works", "namespace " + home + " is being deleted: ", "If no operator works, revoke what is left:\n" + drains}, not: "and no operator works"},
		"some providers": {blind: []string{"*v1alpha1.ClusterTokenProviderList"}, ends: home, result: resultFail,
			says: []string{"and no operator works: at least ", "could not read: cannot list clustertokenproviders.apitoken.dev: broken"}},
		"everything that can be left": {blind: []string{"*v1alpha1.ClusterTokenProviderList", "*v1alpha1.TokenProviderList", "*v1alpha1.ApiTokenList"}, ends: home, result: resultWarn,
			says: []string{"what is left of its objects is not known: could not read: cannot list apitokens.apitoken.dev: broken"}, not: "is left\n"},
		"a kind that is not served, with its CRD": {gone: []string{"*v1alpha1.ApiTokenList"}, ends: home, result: resultFail,
			says: []string{"at least 0 ApiTokens", "could not read: cannot list apitokens.apitoken.dev"}},
		"a kind without its CRD": {gone: []string{"*v1alpha1.ApiTokenList", "apitokens.apitoken.dev"}, ends: home, result: resultFail,
			says: []string{"no operator works: 0 ApiTokens with 0 credentials"}, not: "at least"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &examination{Session: clitest.Session(t, left(t)), operator: home}
			e.Client = impaired{ending{Client: e.Client, name: c.ends}, c.blind, c.gone}
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

// impaired is a client that fails reads by the name of the object or the type of the list.
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
