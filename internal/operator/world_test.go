package operator

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/testenv"
	"apitoken.dev/operator/test/support/testutil"
)

var env *testenv.Env

func TestMain(m *testing.M) { os.Exit(testenv.Main(m, &env)) }

func admin(t *testing.T) client.Client {
	t.Helper()
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	return env.Client(scheme)
}

// namespace makes one with a name of its own.
func namespace(t *testing.T, c client.Client, labels map[string]string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "operator-", Labels: labels}}
	if err := c.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	return ns.Name
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

// run starts an operator and returns how to stop it.
func run(t *testing.T, cfg *rest.Config, o Options) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg, o) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func eventually(t *testing.T, check func() error) {
	t.Helper()
	c := clock.NewReal()
	var err error
	for c.Monotonic() < testutil.Patience {
		if err = check(); err == nil {
			return
		}
		if c.Sleep(t.Context(), 20*time.Millisecond) != nil {
			break
		}
	}
	t.Fatal(err)
}

func ready(t *testing.T, c client.Client, o client.Object, conditions *[]metav1.Condition) {
	t.Helper()
	eventually(t, func() error {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(*conditions, v1alpha1.ConditionReady) {
			return fmt.Errorf("%s is not Ready: %+v", o.GetName(), *conditions)
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

func clusterProvider(t *testing.T, c client.Client, operator string) *v1alpha1.ClusterTokenProvider {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: "minter"}, Data: map[string][]byte{"token": []byte("x")}}
	p := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: operator}, Spec: v1alpha1.ClusterProviderSpec{
		AllowedNamespaces: &metav1.LabelSelector{MatchLabels: map[string]string{"tokens": operator}},
		ProviderSpec:      v1alpha1.ProviderSpec{CredentialsSecretRef: v1alpha1.SecretReference{Name: "minter"}, AWS: &v1alpha1.AWSProvider{Region: "r"}},
	}}
	for _, o := range []client.Object{secret, p} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func apiToken(namespace, provider string) *v1alpha1.ApiToken {
	return &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "t"}, Spec: v1alpha1.ApiTokenSpec{
		ProviderRef: v1alpha1.ProviderReference{Kind: v1alpha1.KindClusterTokenProvider, Name: provider},
		Scopes:      []v1alpha1.Scope{"objectstorage:object-read-only"}, Buckets: []v1alpha1.Bucket{"datasets"},
	}}
}

// asInstalled installs the rights of config/rbac and returns who the operator is with them.
func asInstalled(t *testing.T, c client.Client, namespace string) *rest.Config {
	t.Helper()
	objects := []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}}
	for _, name := range []string{"service_account", "role", "role_binding", "leader_election_role", "leader_election_role_binding"} {
		content, err := os.ReadFile("../../config/rbac/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(content, &o.Object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	for _, o := range objects {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	return env.AsServiceAccount(namespace, Name)
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

// address returns one that nobody listens on.
func address(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
