package rights

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/testenv"
)

var env *testenv.Env

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(testenv.Main(m, &env, testenv.WithAudit(), testenv.WithControllerManager()))
}

// patience is how long a test waits for an expected state: long enough for a busy machine.
const patience = 2 * time.Minute

func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		ok(t, add(s))
	}
	return s
}

func admin(t *testing.T) client.Client {
	t.Helper()
	return env.Client(scheme(t))
}

// as returns a client with the rights of a service account and no others.
func as(t *testing.T, namespace, account string) client.Client {
	t.Helper()
	c, err := client.New(env.AsServiceAccount(namespace, account), client.Options{Scheme: scheme(t)})
	ok(t, err)
	return c
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, c client.Client, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		ok(t, c.Create(t.Context(), o))
	}
}

// namespace creates a namespace with a unique name and these labels.
func namespace(t *testing.T, c client.Client, labels map[string]string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "rights-", Labels: labels}}
	create(t, c, ns)
	return ns.Name
}

func eventually(t *testing.T, check func() error) {
	t.Helper()
	c := clock.NewReal()
	err := check()
	for ; err != nil && c.Monotonic() < patience; err = check() {
		if c.Sleep(t.Context(), 20*time.Millisecond) != nil {
			break
		}
	}
	ok(t, err)
}

func ready(t *testing.T, c client.Client, o client.Object, conditions *[]metav1.Condition) {
	t.Helper()
	eventually(t, func() error {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		r := meta.FindStatusCondition(*conditions, v1alpha1.ConditionReady)
		if r == nil || r.Status != metav1.ConditionTrue || r.ObservedGeneration != o.GetGeneration() {
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
			state := ""
			if token, ok := o.(*v1alpha1.ApiToken); ok {
				state = fmt.Sprintf("%+v", token.Status)
			}
			return fmt.Errorf("%T %s still exists: %v %s", o, o.GetName(), o.GetFinalizers(), state)
		}
		return client.IgnoreNotFound(err)
	})
}

// manifests reads objects from a file below config.
func manifests(t *testing.T, path ...string) []*unstructured.Unstructured {
	t.Helper()
	f, err := os.Open(filepath.Join(append([]string{"..", "..", "config"}, path...)...))
	ok(t, err)
	defer f.Close()
	var out []*unstructured.Unstructured
	for d := utilyaml.NewYAMLOrJSONDecoder(f, 4096); ; {
		o := &unstructured.Unstructured{}
		if d.Decode(&o.Object) != nil {
			return out
		}
		if len(o.Object) > 0 {
			out = append(out, o)
		}
	}
}

// manualBucket is a bucket whose credentials are manual.
const manualBucket = "manual"

// drivers returns a registry with the driver of these tests, under the block aws.
func drivers(t *testing.T, b *fake.Backend) *registry.Registry {
	t.Helper()
	d := fake.New(b)
	d.ManualForm = func(req provider.MintRequest) (provider.Form, bool) {
		return provider.Form{Where: "Panel > Add", Revoke: "Panel > Delete", Keys: []string{fake.KeyID, fake.KeySecret},
			Fields: []provider.FormField{{Label: "Bucket", Value: manualBucket}}}, req.Grant.Buckets[0] == manualBucket
	}
	r, err := registry.New(registry.Entry{Driver: d, Settings: func(s registry.Spec) (any, bool) { return nil, s.AWS != nil }})
	ok(t, err)
	return r
}

// run starts an operator and returns a function that stops it.
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

// address returns an unused address.
func address(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	defer l.Close()
	return l.Addr().String()
}

func minter(namespace string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "minter"}, Data: map[string][]byte{"token": []byte("x")}}
}

func providerSpec() v1alpha1.ProviderSpec {
	return v1alpha1.ProviderSpec{CredentialsSecretRef: v1alpha1.SecretReference{Name: "minter"}, AWS: &v1alpha1.AWSProvider{Region: "r"}}
}

// clusterProvider returns a provider that admits the namespaces with the label tokens=NAME.
func clusterProvider(name string) *v1alpha1.ClusterTokenProvider {
	return &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.ClusterProviderSpec{
		ProviderSpec: providerSpec(), AllowedNamespaces: &metav1.LabelSelector{MatchLabels: map[string]string{"tokens": name}}}}
}

func apiToken(namespace, name string, kind v1alpha1.ProviderKind, provider string) *v1alpha1.ApiToken {
	return &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.ApiTokenSpec{
		ProviderRef: v1alpha1.ProviderReference{Kind: kind, Name: provider},
		Scopes:      []v1alpha1.Scope{"objectstorage:object-read-only"}, Buckets: []v1alpha1.Bucket{"datasets"},
	}}
}
