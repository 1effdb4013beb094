package drain_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/drain"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/testenv"
	"apitoken.dev/operator/test/support/testutil"
)

// env has the namespace controller: what these tests are about is how a namespace and
// CRDs end. Each test drains the whole cluster, so they do not run in parallel.
var env *testenv.Env

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(testenv.Main(m, &env, testenv.WithControllerManager()))
}

// world is an operator in a namespace of its own, with a provider and a team that uses it.
type world struct {
	*testing.T
	client.Client
	own, team string
	backend   *fake.Backend
	provider  *v1alpha1.ClusterTokenProvider
	said      *transcript
	stop      func()
	away      atomic.Bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	w := &world{T: t, said: &transcript{}, stop: func() {}, backend: fake.NewBackend(clock.NewReal())}
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		w.ok(add(scheme))
	}
	w.backend.OnCall = func(context.Context, fake.Call) fake.Fault {
		if w.away.Load() {
			return fake.Fault{Kind: fake.Reject, Code: provider.CodeUnavailable}
		}
		return fake.Fault{}
	}
	w.Client = env.Client(scheme)
	w.installCRDs()
	w.own = w.namespace(nil)
	w.team = w.namespace(map[string]string{"tokens": w.own})
	w.ok(w.Create(t.Context(), minter(w.own)))
	w.provider = &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: w.own}, Spec: v1alpha1.ClusterProviderSpec{
		AllowedNamespaces: &metav1.LabelSelector{MatchLabels: map[string]string{"tokens": w.own}},
		ProviderSpec:      v1alpha1.ProviderSpec{CredentialsSecretRef: v1alpha1.SecretReference{Name: "minter"}, AWS: &v1alpha1.AWSProvider{Region: "r"}},
	}}
	w.ok(w.Create(t.Context(), w.provider))
	w.start()
	w.eventually(func() error {
		w.ok(w.Get(t.Context(), client.ObjectKeyFromObject(w.provider), w.provider))
		if !meta.IsStatusConditionTrue(w.provider.Status.Conditions, v1alpha1.ConditionReady) {
			return fmt.Errorf("the provider is not Ready: %+v", w.provider.Status)
		}
		return nil
	})
	t.Cleanup(w.clean)
	return w
}

func minter(namespace string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "minter"}, Data: map[string][]byte{"token": []byte("x")}}
}

func (w *world) minter() *corev1.Secret { return minter(w.own) }

func (w *world) options() operator.Options {
	w.Helper()
	drivers, err := registry.New(registry.Entry{Driver: fake.New(w.backend), Settings: func(s registry.Spec) (any, bool) { return nil, s.AWS != nil }})
	w.ok(err)
	return operator.Options{Registry: drivers, Namespace: w.own, ClusterIdentity: w.own, Concurrency: 4}
}

// start starts the operator; stop ends it, as when its pod goes.
func (w *world) start() {
	w.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	done := make(chan error, 1)
	o := w.options()
	go func() { done <- operator.Run(ctx, env.Config, o) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		w.ok(<-done)
	})
	w.Cleanup(func() { w.stop() })
}

// drain runs a drain of the world's operator.
func (w *world) drain(d drain.Options) error {
	w.Helper()
	o, given := w.options(), d.Operator
	if given.Namespace != "" {
		o.Namespace = given.Namespace
	}
	o.Namespaces = given.Namespaces
	d.Operator, d.Progress = o, w.said
	if d.Patience == 0 {
		d.Patience = testutil.Patience
	}
	return drain.Run(w.Context(), env.Config, d)
}

func (w *world) drained(d drain.Options) {
	w.Helper()
	if err := w.drain(d); err != nil {
		w.Fatalf("%v\n%s", err, w.said)
	}
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) eventually(check func() error) {
	w.Helper()
	c := clock.NewReal()
	err := check()
	for ; err != nil && c.Monotonic() < testutil.Patience; err = check() {
		if c.Sleep(w.Context(), 20*time.Millisecond) != nil {
			break
		}
	}
	w.ok(err)
}

func (w *world) namespace(labels map[string]string) string {
	w.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "drain-", Labels: labels}}
	w.ok(w.Create(w.Context(), ns))
	return ns.Name
}

func apiToken(namespace, name, provider string) *v1alpha1.ApiToken {
	return &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.ApiTokenSpec{
		ProviderRef: v1alpha1.ProviderReference{Kind: v1alpha1.KindClusterTokenProvider, Name: provider},
		Scopes:      []v1alpha1.Scope{"objectstorage:object-read-only"}, Buckets: []v1alpha1.Bucket{"datasets"},
	}}
}

func (w *world) create(name string, edits ...func(*v1alpha1.ApiToken)) error {
	token := apiToken(w.team, name, w.own)
	for _, edit := range edits {
		edit(token)
	}
	return w.Create(w.Context(), token)
}

func (w *world) issued(name string, edits ...func(*v1alpha1.ApiToken)) *v1alpha1.ApiToken {
	w.Helper()
	return w.issuedIn(w.team, name, edits...)
}

func (w *world) issuedIn(namespace, name string, edits ...func(*v1alpha1.ApiToken)) *v1alpha1.ApiToken {
	w.Helper()
	token := apiToken(namespace, name, w.own)
	for _, edit := range edits {
		edit(token)
	}
	w.ok(w.Create(w.Context(), token))
	w.eventually(func() error {
		w.ok(w.Get(w.Context(), client.ObjectKeyFromObject(token), token))
		if !meta.IsStatusConditionTrue(token.Status.Conditions, v1alpha1.ConditionReady) {
			return fmt.Errorf("%s is not Ready: %+v", name, token.Status)
		}
		return nil
	})
	return token
}

// live checks how many credentials are live at the provider.
func (w *world) live(want int) {
	w.Helper()
	if got := w.backend.LiveNames(); len(got) != want {
		w.Errorf("live at the provider: %v, want %d\n%s", got, want, w.said)
	}
}

// unreachable lets every call of the provider fail.
func (w *world) unreachable() { w.away.Store(true) }

func (w *world) deleteNamespace() {
	w.Helper()
	w.ok(w.Delete(w.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.own}}))
}

// loseMinter deletes the Secret with the minting credentials, finalizer and all.
func (w *world) loseMinter() {
	w.Helper()
	s := w.minter()
	w.ok(w.Get(w.Context(), client.ObjectKeyFromObject(s), s))
	s.Finalizers = nil
	w.ok(w.Update(w.Context(), s))
	w.ok(w.Delete(w.Context(), s))
}

func (w *world) gone(o client.Object) {
	w.Helper()
	w.eventually(func() error {
		switch err := w.Get(w.Context(), client.ObjectKeyFromObject(o), o); {
		case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
			return nil
		case err != nil:
			return err
		}
		return fmt.Errorf("%T %s is still there: %+v", o, o.GetName(), o)
	})
}

// nothingLeft checks that the cluster has no object of the operator.
func (w *world) nothingLeft() {
	w.Helper()
	for _, list := range []client.ObjectList{&v1alpha1.ApiTokenList{}, &v1alpha1.TokenProviderList{}, &v1alpha1.ClusterTokenProviderList{}} {
		w.ok(w.List(w.Context(), list))
		if n := meta.LenList(list); n > 0 {
			w.Errorf("%d objects are left in %T", n, list)
		}
	}
}

// crds are the operator's.
func (w *world) crds() []*unstructured.Unstructured {
	w.Helper()
	return w.manifests("crd/bases/*.yaml")
}

// manifests reads the objects of files below config.
func (w *world) manifests(pattern string) []*unstructured.Unstructured {
	w.Helper()
	files, err := filepath.Glob("../../config/" + pattern)
	w.ok(err)
	var out []*unstructured.Unstructured
	for _, file := range files {
		content, err := os.ReadFile(file)
		w.ok(err)
		for d := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096); ; {
			o := &unstructured.Unstructured{}
			if d.Decode(&o.Object) != nil {
				break
			}
			if len(o.Object) > 0 {
				out = append(out, o)
			}
		}
	}
	return out
}

func (w *world) deleteCRDs() {
	w.Helper()
	for _, o := range w.crds() {
		w.ok(w.Delete(w.Context(), o))
	}
}

func (w *world) noCRDs() {
	w.Helper()
	for _, o := range w.crds() {
		w.gone(o)
	}
}

// installCRDs installs those that an earlier test deleted.
func (w *world) installCRDs() {
	w.Helper()
	for _, o := range w.crds() {
		w.ok(client.IgnoreAlreadyExists(w.Create(w.Context(), o)))
	}
	w.eventually(func() error {
		var errs []error
		for _, list := range []client.ObjectList{&v1alpha1.ApiTokenList{}, &v1alpha1.TokenProviderList{}, &v1alpha1.ClusterTokenProviderList{}} {
			errs = append(errs, w.List(w.Context(), list))
		}
		return errors.Join(errs...)
	})
}

// clean ends what a test has left, so that the next one begins with an empty cluster.
func (w *world) clean() {
	w.stop()
	w.away.Store(false)
	ctx := context.WithoutCancel(w.Context())
	for _, list := range []client.ObjectList{&v1alpha1.ApiTokenList{}, &v1alpha1.ClusterTokenProviderList{}} {
		if w.List(ctx, list) != nil {
			continue
		}
		_ = meta.EachListItem(list, func(item runtime.Object) error {
			o := item.(client.Object) //nolint:forcetypeassert // items of a list of objects
			o.SetFinalizers(nil)
			_ = w.Update(ctx, o)
			_ = w.Delete(ctx, o)
			return nil
		})
	}
}

// transcript is written to by many.
type transcript struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.Write(p)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
