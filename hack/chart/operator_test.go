package chart

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
)

// The whole operator, with the rights that the chart gives it for a list of
// namespaces and no others, serves both kinds of provider, leaves other
// namespaces alone, and is refused nothing.
func TestOperatorInNamespaces(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := env.Client(scheme)
	allowed := map[string]string{"tokens": "allowed"}
	for _, name := range []string{namespace, "ml", "web", "other"} {
		namespaceNamed(t, c, name)
		labelled := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"tokens":"allowed"}}}`))
		if err := c.Patch(t.Context(), labelled, patch); err != nil {
			t.Fatal(err)
		}
	}
	installRights(t, c, "--values", chartDir+"/examples/values-namespaced.yaml")
	refuses(t, "other")

	backend := fake.NewBackend(clock.NewReal())
	logs := &log{}
	stop := run(t, env.AsServiceAccount(namespace, release), operator.Options{
		Registry: drivers(t, backend), Namespace: namespace, Namespaces: []string{"ml", "web"}, LeaderElection: true,
		Logger: logr.FromSlogHandler(slog.NewTextHandler(logs, nil)),
	})
	spec := v1alpha1.ProviderSpec{CredentialsSecretRef: v1alpha1.SecretReference{Name: "minter"}, AWS: &v1alpha1.AWSProvider{Region: "r"}}
	shared := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: "shared"},
		Spec: v1alpha1.ClusterProviderSpec{ProviderSpec: spec, AllowedNamespaces: &metav1.LabelSelector{MatchLabels: allowed}}}
	own := &v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: "web", Name: "own"}, Spec: spec}
	ofShared, ofOwn := token("ml", v1alpha1.KindClusterTokenProvider, "shared"), token("web", v1alpha1.KindTokenProvider, "own")
	notServed := token("other", v1alpha1.KindClusterTokenProvider, "shared")
	for _, o := range []client.Object{minter(namespace), minter("web"), shared, own, ofShared, ofOwn, notServed} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	ready(t, c, ofShared)
	ready(t, c, ofOwn)
	if live := backend.LiveNames(); len(live) != 2 {
		t.Errorf("live at the provider: %v", live)
	}
	for _, o := range []client.Object{ofShared, ofOwn, shared, own} {
		if err := c.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		gone(t, c, o)
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

// installRights makes the rendered service accounts, roles and bindings.
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

func drivers(t *testing.T, b *fake.Backend) *registry.Registry {
	t.Helper()
	r, err := registry.New(registry.Entry{Driver: fake.New(b),
		Settings: func(s registry.Spec) (any, bool) { return nil, s.AWS != nil }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func run(t *testing.T, cfg *rest.Config, o operator.Options) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- operator.Run(ctx, cfg, o) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func minter(namespace string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "minter"}, Data: map[string][]byte{"token": []byte("x")}}
}

func token(namespace string, kind v1alpha1.ProviderKind, provider string) *v1alpha1.ApiToken {
	return &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "t"}, Spec: v1alpha1.ApiTokenSpec{
		ProviderRef: v1alpha1.ProviderReference{Kind: kind, Name: provider},
		Scopes:      []v1alpha1.Scope{"objectstorage:object-read-only"}, Buckets: []v1alpha1.Bucket{"datasets"},
	}}
}

func eventually(t *testing.T, check func() error) {
	t.Helper()
	c := clock.NewReal()
	var err error
	for c.Monotonic() < time.Minute {
		if err = check(); err == nil {
			return
		}
		if c.Sleep(t.Context(), 20*time.Millisecond) != nil {
			break
		}
	}
	t.Fatal(err)
}

func ready(t *testing.T, c client.Client, token *v1alpha1.ApiToken) {
	t.Helper()
	eventually(t, func() error {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(token), token); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(token.Status.Conditions, v1alpha1.ConditionReady) {
			return fmt.Errorf("%s is not Ready: %+v", token.Namespace, token.Status.Conditions)
		}
		return nil
	})
}

func gone(t *testing.T, c client.Client, o client.Object) {
	t.Helper()
	eventually(t, func() error {
		err := c.Get(t.Context(), client.ObjectKeyFromObject(o), o)
		if err == nil {
			return fmt.Errorf("%s is still there", o.GetName())
		}
		return client.IgnoreNotFound(err)
	})
}

// log is written to by many.
type log struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
