package drain_test

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/drain"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/repofile"
	"apitoken.dev/operator/test/support/testenv"
	"apitoken.dev/operator/test/support/testutil"
)

// env has the namespace controller, because these tests delete namespaces and CRDs. Each
// test drains the whole cluster, so they do not run in parallel.
var env *testenv.Env

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(testenv.Main(m, &env, testenv.WithControllerManager()))
}

// world is an operator in its own namespace, with a provider and a team that uses it.
type world struct {
	*kit.Kit
	own, team string
	backend   *fake.Backend
	provider  *v1alpha1.ClusterTokenProvider
	said      *kit.Output
	stop      func()
	away      atomic.Bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Kit: kit.New(t, env), said: &kit.Output{}, stop: func() {}, backend: fake.NewBackend(clock.NewReal())}
	w.Dump = w.said.String
	w.backend.OnCall = func(context.Context, fake.Call) fake.Fault {
		if w.away.Load() {
			return fake.Fault{Kind: fake.Reject, Code: provider.CodeUnavailable}
		}
		return fake.Fault{}
	}
	w.installCRDs()
	w.own = w.Namespace("drain", nil)
	w.team = w.Namespace("drain", map[string]string{"tokens": w.own})
	w.provider = kit.ClusterTokenProvider(w.own, map[string]string{"tokens": w.own})
	w.ExpectApplied(w.minter(), w.provider)
	w.start()
	w.ExpectReady(w.provider)
	t.Cleanup(w.clean)
	return w
}

func (w *world) minter() *corev1.Secret { return kit.Minter(w.own, kit.MinterToken) }

func (w *world) options() operator.Options {
	w.Helper()
	drivers := kit.Drivers(w.T, fake.New(w.backend))
	return operator.Options{Registry: drivers, Namespace: w.own, ClusterIdentity: w.own, Concurrency: 4}
}

// start starts the operator; stop ends it, as when its pod is deleted.
func (w *world) start() {
	w.Helper()
	o := w.options()
	w.stop = w.Run(func(ctx context.Context) error { return operator.Run(ctx, env.Config, o) })
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

func (w *world) apiToken(namespace, name string, edits ...func(*v1alpha1.ApiToken)) *v1alpha1.ApiToken {
	return kit.ApiToken(namespace, name, kit.OfCluster(w.own), edits...)
}

func (w *world) create(name string, edits ...func(*v1alpha1.ApiToken)) error {
	return w.Create(w.Context(), w.apiToken(w.team, name, edits...))
}

func (w *world) issued(name string, edits ...func(*v1alpha1.ApiToken)) *v1alpha1.ApiToken {
	w.Helper()
	return w.issuedIn(w.team, name, edits...)
}

func (w *world) issuedIn(namespace, name string, edits ...func(*v1alpha1.ApiToken)) *v1alpha1.ApiToken {
	w.Helper()
	token := w.apiToken(namespace, name, edits...)
	w.ExpectApplied(token)
	w.ExpectReady(token)
	return token
}

// live checks how many credentials are live at the provider.
func (w *world) live(want int) {
	w.Helper()
	if got := w.backend.LiveNames(); len(got) != want {
		w.Errorf("live at the provider: %v, want %d\n%s", got, want, w.said)
	}
}

// unreachable makes every call to the provider fail.
func (w *world) unreachable() { w.away.Store(true) }

func (w *world) deleteNamespace() {
	w.Helper()
	w.OK(w.Delete(w.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.own}}))
}

// loseMinter deletes the Secret of the minting credentials despite its finalizer.
func (w *world) loseMinter() {
	w.Helper()
	s := w.minter()
	w.OK(w.Get(w.Context(), client.ObjectKeyFromObject(s), s))
	s.Finalizers = nil
	w.OK(w.Update(w.Context(), s))
	w.OK(w.Delete(w.Context(), s))
}

// nothingLeft checks that the cluster has no object of the operator.
func (w *world) nothingLeft() {
	w.Helper()
	for _, list := range []client.ObjectList{&v1alpha1.ApiTokenList{}, &v1alpha1.TokenProviderList{}, &v1alpha1.ClusterTokenProviderList{}} {
		w.OK(w.List(w.Context(), list))
		if n := meta.LenList(list); n > 0 {
			w.Errorf("%d objects are left in %T", n, list)
		}
	}
}

// crds are the operator's CRDs.
func (w *world) crds() []*unstructured.Unstructured {
	w.Helper()
	var out []*unstructured.Unstructured
	for _, file := range repofile.Glob(w, "config/crd/bases/*.yaml") {
		out = append(out, repofile.Objects(w, file)...)
	}
	return out
}

func (w *world) deleteCRDs() {
	w.Helper()
	for _, o := range w.crds() {
		w.OK(w.Delete(w.Context(), o))
	}
}

func (w *world) noCRDs() {
	w.Helper()
	for _, o := range w.crds() {
		w.ExpectGone(o)
	}
}

// installCRDs installs those that an earlier test deleted.
func (w *world) installCRDs() {
	w.Helper()
	for _, o := range w.crds() {
		w.OK(client.IgnoreAlreadyExists(w.Create(w.Context(), o)))
	}
	w.Eventually(func() error {
		var errs []error
		for _, list := range []client.ObjectList{&v1alpha1.ApiTokenList{}, &v1alpha1.TokenProviderList{}, &v1alpha1.ClusterTokenProviderList{}} {
			errs = append(errs, w.List(w.Context(), list))
		}
		return errors.Join(errs...)
	})
}

// clean removes what a test has left, so that the next one starts with an empty cluster.
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
