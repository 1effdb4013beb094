package chart

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
)

// The operator has only the rights that the chart renders for a list of namespaces. They suffice for
// both kinds of provider, and grant nothing in other namespaces.
func TestOperatorServesOnlyItsNamespaces(t *testing.T) {
	k := kit.New(t, env)
	allowed := map[string]string{"tokens": "allowed"}
	for _, name := range []string{namespace, "ml", "web", "other"} {
		namespaceNamed(t, k, name)
		labelled := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"tokens":"allowed"}}}`))
		k.OK(k.Patch(t.Context(), labelled, patch))
	}
	installRights(t, k, "--values", chartDir+"/examples/values-namespaced.yaml")
	refuses(t, "other")

	backend := fake.NewBackend(clock.NewReal())
	logs := &kit.Output{}
	stop := k.Run(func(ctx context.Context) error {
		return operator.Run(ctx, env.AsServiceAccount(namespace, release), operator.Options{
			Registry: kit.Drivers(t, fake.New(backend)), Namespace: namespace, Namespaces: []string{"ml", "web"}, LeaderElection: true,
			Logger: logr.FromSlogHandler(slog.NewTextHandler(logs, nil)),
		})
	})
	shared, own := kit.ClusterTokenProvider("shared", allowed), kit.TokenProvider("web", "own")
	ofShared, ofOwn := kit.ApiToken("ml", "t", kit.OfCluster("shared")), kit.ApiToken("web", "t", kit.OfNamespace("own"))
	notServed := kit.ApiToken("other", "t", kit.OfCluster("shared"))
	k.ExpectApplied(kit.Minter(namespace, kit.MinterToken), kit.Minter("web", kit.MinterToken), shared, own, ofShared, ofOwn, notServed)
	k.ExpectReady(ofShared)
	k.ExpectReady(ofOwn)
	if live := backend.LiveNames(); len(live) != 2 {
		t.Errorf("live at the provider: %v", live)
	}
	for _, o := range []client.Object{ofShared, ofOwn, shared, own} {
		k.ExpectDeleted(o)
		k.ExpectGone(o)
	}
	if live := backend.LiveNames(); len(live) != 0 {
		t.Errorf("live after the deletion: %v", live)
	}
	stop()
	for _, bad := range []string{"orbidden", fake.Canary} {
		if at := strings.Index(logs.String(), bad); at >= 0 {
			t.Errorf("the log says: %s", logs.String()[max(0, at-300):min(len(logs.String()), at+300)])
		}
	}
}

// installRights creates the rendered service accounts, roles and bindings.
func installRights(t *testing.T, c client.Client, args ...string) {
	t.Helper()
	for _, o := range objects(t, render(t, args...)) {
		switch o.GetKind() {
		case "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding":
			if err := c.Create(t.Context(), o); client.IgnoreAlreadyExists(err) != nil {
				t.Fatal(err)
			}
		}
	}
}

// refuses fails when the operator's account may read Secrets in a namespace.
func refuses(t *testing.T, in string) {
	t.Helper()
	c, err := client.New(env.AsServiceAccount(namespace, release), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.List(t.Context(), &corev1.SecretList{}, client.InNamespace(in)); !apierrors.IsForbidden(err) {
		t.Errorf("reading Secrets in %q: %v", in, err)
	}
}
