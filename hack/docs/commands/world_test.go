package commands

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/controllers/orphansweep"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/provider/drivers/kloudbean"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/simulate/kloudbeansim"
	"apitoken.dev/operator/test/support/testenv"
	"apitoken.dev/operator/test/support/testutil"
)

// server is the shared API server of all pages.
type server struct {
	root, bin, kubeconfig string
	env                   *testenv.Env
}

func newServer(t *testing.T, root string) *server {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), filepath.Join(root, "hack", "controlplane", "build.sh"), "kubectl").Output()
	if err != nil {
		t.Fatalf("building kubectl: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	ctrl.SetLogger(logr.Discard()) // the operator has a logger of its own
	s := &server{root: root, bin: lines[len(lines)-1], env: testenv.Start(t, testenv.WithControllerManager())}
	s.bin += string(os.PathListSeparator) + buildPlugin(t, root)
	s.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(s.kubeconfig, s.env.Kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// buildPlugin builds the kubectl plugin, and returns the directory that it is in.
func buildPlugin(t *testing.T, root string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "./cmd/kubectl-apitoken")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the plugin: %v\n%s", err, out)
	}
	return dir
}

// world is the environment of a page: the CRDs and roles of config, an operator, providers, and a
// directory with the files of the repository.
type world struct {
	*kit.Kit
	server *server
	dir    string
	clock  clock.Clock
	log    *testutil.Log
	hooks  []hook

	backend *fake.Backend
	panel   *kloudbeansim.Simulator
	panelAt string
	// identity overrides the identity of the cluster.
	identity string

	// running has the arguments of the running operator; "" if none runs.
	running string
	stop    func()
}

func newWorld(t *testing.T, s *server, page string) *world {
	t.Helper()
	w := &world{Kit: kit.New(t, s.env), server: s, dir: t.TempDir(), clock: clock.NewReal(), log: &testutil.Log{}, stop: func() {}}
	w.Dump = func() string { return "operator:\n" + w.log.Tail(20) }
	w.backend = fake.NewBackend(w.clock)
	w.panel = kloudbeansim.New(w.clock.Now, "reports")
	panel := httptest.NewServer(w.panel.Handler())
	w.panel.EndpointURL, w.panelAt = panel.URL, panel.URL
	t.Cleanup(panel.Close)
	for _, name := range []string{"config", "docs", "charts", "hack"} {
		if _, err := os.Stat(filepath.Join(s.root, name)); err == nil {
			w.OK(os.Symlink(filepath.Join(s.root, name), filepath.Join(w.dir, name)))
		}
	}
	t.Cleanup(w.clear)
	w.install()
	story, ok := stories[page]
	if !ok {
		story.begin = (*world).declare
	}
	w.hooks = story.hooks
	story.begin(w)
	return w
}

// sh runs a command that is not in the page.
func (w *world) sh(text string) {
	w.Helper()
	if out, err := w.server.shell(w.T, w.dir, text); err != nil {
		w.Fatalf("%v\n%s\n%s\noperator:\n%s", err, text, out, w.log.Tail(20))
	}
}

func (w *world) files(contents map[string]string) {
	w.Helper()
	for name, text := range contents {
		w.OK(os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600))
	}
}

// install does the same as make deploy.
func (w *world) install() {
	w.Helper()
	w.sh("kubectl apply --server-side --force-conflicts -k config/setup")
	w.sh("kubectl apply --server-side --force-conflicts -k config/default")
	w.sh("kubectl wait --for=condition=Established --timeout=60s -f config/crd/bases")
	w.follow()
}

// follow starts, restarts or stops the operator according to its Deployment.
func (w *world) follow() {
	w.Helper()
	d := &appsv1.Deployment{}
	err := w.Get(w.Context(), client.ObjectKey{Namespace: operator.DefaultNamespace, Name: operator.Name}, d)
	w.OK(client.IgnoreNotFound(err))
	wanted := ""
	if err == nil && d.DeletionTimestamp.IsZero() && (d.Spec.Replicas == nil || *d.Spec.Replicas > 0) {
		wanted = strings.Join(d.Spec.Template.Spec.Containers[0].Args, " ")
	}
	if wanted == w.running {
		return
	}
	w.stop()
	w.stop, w.running = func() {}, wanted
	if wanted != "" {
		w.start(strings.Fields(wanted))
	}
}

// start starts the operator with the arguments of its Deployment.
func (w *world) start(args []string) {
	w.Helper()
	o := operator.Options{Logger: w.log.Logger(1), Version: "test", ClusterIdentity: w.identity}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "--leader-elect": // there is one process
		case "--cluster-identity":
			o.ClusterIdentity = value
		case "--sweep-mode":
			o.SweepMode = orphansweep.Mode(value)
		default:
			w.Fatalf("the test does not know the flag %s", arg)
		}
	}
	o.Registry = w.drivers()
	mgr, err := operator.New(w.Context(), w.server.env.Config, o)
	w.OK(err)
	w.stop = w.Run(mgr.Start)
	// A manager that is stopped before its caches are filled does not stop.
	if !mgr.GetCache().WaitForCacheSync(w.Context()) {
		w.Fatal("the operator's caches are not filled")
	}
}

// drivers returns the drivers of the operator in these tests.
func (w *world) drivers() *registry.Registry {
	w.Helper()
	r, err := registry.New(
		registry.Entry{Driver: fake.New(w.backend), Settings: func(s registry.Spec) (any, bool) { return nil, s.AWS != nil }},
		registry.Entry{Driver: kloudbean.New(), Settings: func(s registry.Spec) (any, bool) {
			if s.KloudBean == nil {
				return nil, false
			}
			return *s.KloudBean, true
		}},
	)
	w.OK(err)
	return r
}

// declare creates what most pages expect to exist: a namespace, a provider, an ApiToken, and a workload
// that uses its Secret.
func (w *world) declare() {
	w.Helper()
	w.admit()
	w.sh(`kubectl -n apitoken-system create secret generic object-store-minter --from-literal=AWS_ACCESS_KEY_ID=x --from-literal=AWS_SECRET_ACCESS_KEY=y --dry-run=client -o yaml |
  kubectl apply --server-side -f -
kubectl apply --server-side -f - <<EOF
apiVersion: apitoken.dev/v1alpha1
kind: ClusterTokenProvider
metadata: {name: object-store}
spec:
  credentialsSecretRef: {name: object-store-minter}
  allowedNamespaces: {matchLabels: {tokens: allowed}}
  aws: {iamEndpoint: https://iam.example.com, s3Endpoint: https://s3.example.com}
---
apiVersion: apitoken.dev/v1alpha1
kind: ApiToken
metadata: {name: training-data, namespace: ml}
spec:
  providerRef: {kind: ClusterTokenProvider, name: object-store}
  scopes: [objectstorage:object-read-only]
  buckets: [datasets]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: trainer, namespace: ml}
spec:
  selector: {matchLabels: {app: trainer}}
  template:
    metadata: {labels: {app: trainer}}
    spec:
      containers:
      - {name: trainer, image: registry.example.com/trainer:1, envFrom: [{secretRef: {name: training-data}}]}
EOF
kubectl -n ml wait apitoken/training-data --for=condition=Ready --timeout=1m`)
}

// admit creates a namespace that the provider admits.
func (w *world) admit() {
	w.Helper()
	w.sh("kubectl create namespace ml --dry-run=client -o yaml | kubectl apply --server-side -f -\nkubectl label namespace ml tokens=allowed")
}

// clear deletes the objects of a page without the operator.
func (w *world) clear() {
	w.stop()
	w.stop, w.running = func() {}, ""
	w.vanish()
	ctx := context.WithoutCancel(w.Context())
	namespaces := []string{"ml", operator.DefaultNamespace}
	for _, name := range namespaces {
		if err := client.IgnoreNotFound(w.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})); err != nil {
			w.Error(err)
		}
	}
	end := w.clock.Monotonic() + time.Minute
	for _, name := range namespaces {
		ns := &corev1.Namespace{}
		for !apierrors.IsNotFound(w.Get(ctx, client.ObjectKey{Name: name}, ns)) {
			if w.clock.Monotonic() > end || w.clock.Sleep(ctx, 50*time.Millisecond) != nil {
				w.Fatalf("namespace %s does not go away: %+v", name, ns.Status)
			}
		}
	}
}

// vanish removes all objects of the operator without a revocation, as a loss of etcd would.
func (w *world) vanish() {
	ctx := context.WithoutCancel(w.Context())
	for _, list := range []client.ObjectList{
		&v1alpha1.ApiTokenList{}, &v1alpha1.TokenProviderList{}, &v1alpha1.ClusterTokenProviderList{}, &corev1.SecretList{},
	} {
		err := w.List(ctx, list)
		if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
			continue // its CRD is removed already
		}
		if err == nil {
			err = meta.EachListItem(list, func(o runtime.Object) error { return w.remove(ctx, o) })
		}
		if err != nil {
			w.Errorf("removing a %T: %v", list, err)
		}
	}
}

func (w *world) remove(ctx context.Context, o runtime.Object) error {
	object, ok := o.(client.Object)
	if !ok {
		return fmt.Errorf("%T is no object", o)
	}
	if len(object.GetFinalizers()) > 0 {
		before, _ := object.DeepCopyObject().(client.Object)
		object.SetFinalizers(nil)
		if err := client.IgnoreNotFound(w.Patch(ctx, object, client.MergeFrom(before))); err != nil {
			return err
		}
	}
	return client.IgnoreNotFound(w.Delete(ctx, object))
}
