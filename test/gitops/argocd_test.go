package gitops

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/cache"
	argosync "github.com/argoproj/argo-cd/gitops-engine/pkg/sync"
	synccommon "github.com/argoproj/argo-cd/gitops-engine/pkg/sync/common"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/tracing"
	"github.com/argoproj/argo-cd/v3/common"
	argov1alpha1 "github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/argo"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// kubectl is Argo CD's client of a cluster.
var kubectl kube.Kubectl = &kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}

// argoCD is Argo CD's cache of a cluster and its sync engine, with our health scripts.
type argoCD struct {
	w        *world
	cache    cache.ClusterCache
	override lua.ResourceHealthOverrides
}

// tracking is what the application controller caches about an object.
type tracking struct{ application string }

func newArgoCD(w *world, method argov1alpha1.TrackingMethod) *argoCD {
	w.Helper()
	resources := argo.NewResourceTracking()
	c := cache.NewClusterCache(env.Config, cache.SetKubectl(kubectl), cache.SetLogr(logr.Discard()),
		cache.SetClusterResources(true), cache.SetNamespaces([]string{w.ns}),
		cache.SetPopulateResourceInfoHandler(func(o *unstructured.Unstructured, isRoot bool) (any, bool) {
			info := tracking{}
			if isRoot {
				info.application = resources.GetAppName(o, common.LabelKeyAppInstance, method, "")
			}
			return info, info.application != ""
		}))
	w.OK(c.EnsureSynced())
	w.Cleanup(func() { c.Invalidate() })
	return &argoCD{w: w, cache: c, override: overrides(w.T)}
}

// managed are the objects of the application and of this test: cluster-wide ones
// of other tests carry the same mark.
func (a *argoCD) managed(r *cache.Resource) bool {
	info, ok := r.Info.(tracking)
	return ok && info.application == application && (r.Ref.Namespace == a.w.ns || strings.HasPrefix(r.Ref.Name, a.w.ns+"-") || r.Ref.Name == a.w.ns)
}

// operation is a sync in progress.
type operation struct {
	phase   synccommon.OperationPhase
	message string
	results []synccommon.ResourceSyncResult
	started metav1.Time
}

// sync applies the desired objects, with pruning, as the application controller does:
// it reads the cluster again before every step.
func (a *argoCD) sync(desired []*unstructured.Unstructured) operation {
	a.w.Helper()
	op := operation{phase: synccommon.OperationRunning, started: metav1.Now()}
	a.w.Until(func() string {
		a.step(desired, &op)
		if !op.phase.Completed() {
			return fmt.Sprintf("the sync does not end: %s: %+v", op.message, op.results)
		}
		return ""
	})
	return op
}

func (a *argoCD) step(desired []*unstructured.Unstructured, op *operation) {
	a.w.Helper()
	live, err := a.cache.GetManagedLiveObjs(desired, a.managed)
	a.w.OK(err)
	found := argosync.Reconcile(desired, live, a.w.ns, a.cache)
	sc, cleanup, err := argosync.NewSyncContext("revision", found, env.Config, env.Config, kubectl, a.w.ns,
		argosync.WithLogr(logr.Discard()), argosync.WithHealthOverride(a.override), argosync.WithPrune(true),
		argosync.WithInitialState(op.phase, op.message, op.results, op.started))
	a.w.OK(err)
	defer cleanup()
	sc.Sync()
	op.phase, op.message, op.results = sc.GetState()
}

// managedNow returns the objects that Argo CD treats as part of the application. It
// prunes them once they are not in Git.
func (a *argoCD) managedNow() []string {
	a.w.Helper()
	objects, err := a.cache.GetManagedLiveObjs(nil, a.managed)
	a.w.OK(err)
	var out []string
	for key := range objects {
		out = append(out, key.Kind+"/"+key.Name)
	}
	slices.Sort(out)
	return out
}

// pruned are the objects that a sync pruned.
func (op operation) pruned() []string {
	var out []string
	for _, r := range op.results {
		if r.Status == synccommon.ResultCodePruned {
			out = append(out, r.ResourceKey.Kind+"/"+r.ResourceKey.Name)
		}
	}
	slices.Sort(out)
	return out
}

// succeeds checks that a sync ended well.
func (op operation) succeeds(t *testing.T) {
	t.Helper()
	if !op.phase.Successful() {
		t.Fatalf("the sync ended with %s: %s: %+v", op.phase, op.message, op.results)
	}
}

// fails checks that a sync failed with a kind, for a reason.
func (op operation) fails(t *testing.T, kind, message string) {
	t.Helper()
	for _, r := range op.results {
		if r.ResourceKey.Kind == kind && r.HookPhase == synccommon.OperationFailed {
			if !strings.Contains(r.Message, message) {
				t.Errorf("the sync says %q, want %q", r.Message, message)
			}
			return
		}
	}
	t.Errorf("the sync did not fail with %s: %s: %+v", kind, op.phase, op.results)
}
