package gitops

import (
	"testing"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/argoproj/argo-cd/v3/common"
	argov1alpha1 "github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/argo"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
)

// application is the Argo CD application of these tests.
const application = "tokens"

// way is one combination of apply and diff in Argo CD.
type way struct {
	name       string
	serverSide bool
	options    func(t *testing.T) []diff.Option
}

func ways() []way {
	threeWay := func(*testing.T) []diff.Option { return nil }
	structured := func(t *testing.T) []diff.Option {
		_, parser, err := kubectl.LoadOpenAPISchema(env.Config)
		if err != nil {
			t.Fatal(err)
		}
		return []diff.Option{diff.WithStructuredMergeDiff(true), diff.WithGVKParser(parser), diff.WithManager(common.ArgoCDSSAManager)}
	}
	serverSide := func(t *testing.T) []diff.Option {
		applier, cleanup, err := kubectl.ManageServerSideDiffDryRuns(env.Config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cleanup)
		return append(structured(t)[1:], diff.WithServerSideDiff(true), diff.WithIgnoreMutationWebhook(true),
			diff.WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(applier)))
	}
	return []way{
		{"client-side apply, three-way diff", false, threeWay},
		{"server-side apply, three-way diff", true, threeWay},
		{"server-side apply, structured merge diff", true, structured},
		{"client-side apply, server-side diff", false, serverSide},
		{"server-side apply, server-side diff", true, serverSide},
	}
}

// TestArgoSeesNoDriftAfterIssueAndRotation applies the samples and the example as Argo CD does, lets the
// operator issue and rotate, and compares: nothing differs, without any
// ignoreDifferences, not even the one for status that Argo CD has by default.
func TestArgoSeesNoDriftAfterIssueAndRotation(t *testing.T) {
	for _, way := range ways() {
		t.Run(way.name, func(t *testing.T) {
			w := newWorld(t)
			desired := w.tracked(argov1alpha1.TrackingMethodAnnotationAndLabel, w.inNamespace(append(example(t), sampleObjects(t)...)))
			w.minters(desired)
			w.apply(desired, way.serverSide)
			w.start()
			w.allReady(desired)
			w.noDifference(desired, way)

			for _, o := range desired {
				if o.GetKind() == "ApiToken" {
					w.OK(unstructured.SetNestedField(o.Object, int64(1), "spec", "rotation", "generation"))
				}
			}
			w.apply(desired, way.serverSide)
			w.allReady(desired)
			w.noDifference(desired, way)

			w.seesDifference(desired, way)
		})
	}
}

// tracked marks objects as those of the application, as Argo CD does before it applies them.
func (w *world) tracked(method argov1alpha1.TrackingMethod, objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	w.Helper()
	for _, o := range objects {
		w.OK(argo.NewResourceTracking().SetAppInstance(o, common.LabelKeyAppInstance, application, w.ns, method, ""))
	}
	return objects
}

// apply applies objects with Argo CD's own operations, namespaces first.
func (w *world) apply(objects []*unstructured.Unstructured, serverSide bool) {
	w.Helper()
	operations, cleanup, err := kubectl.ManageResources(env.Config)
	w.OK(err)
	defer cleanup()
	for _, namespaces := range []bool{true, false} {
		for _, o := range objects {
			if (o.GetKind() == "Namespace") == namespaces {
				_, err := operations.ApplyResource(w.Context(), o, cmdutil.DryRunNone, false, true, serverSide, common.ArgoCDSSAManager)
				w.OK(err)
			}
		}
	}
}

// noDifference compares every object with the one in the cluster.
func (w *world) noDifference(desired []*unstructured.Unstructured, way way) {
	w.Helper()
	options := way.options(w.T)
	compared := 0
	for _, o := range desired {
		if o.GetKind() == "Deployment" {
			continue // a built-in kind, which the operator does not change
		}
		result, err := diff.Diff(o, w.read(o), options...)
		w.OK(err)
		if result.Modified {
			w.Errorf("%s %s is OutOfSync:\nlive      %s\npredicted %s", o.GetKind(), o.GetName(), result.NormalizedLive, result.PredictedLive)
		}
		compared++
	}
	if compared < 10 {
		w.Errorf("only %d objects were compared", compared)
	}
}

// seesDifference makes sure that the comparison can fail: an ApiToken that
// a user edited in the cluster is OutOfSync.
func (w *world) seesDifference(desired []*unstructured.Unstructured, way way) {
	w.Helper()
	for _, o := range desired {
		if o.GetKind() != "ApiToken" {
			continue
		}
		live := w.read(o)
		w.OK(unstructured.SetNestedStringSlice(live.Object, []string{"objectstorage:admin-read-write", "billing:read-only"}, "spec", "scopes"))
		w.OK(unstructured.SetNestedStringSlice(live.Object, []string{"edited"}, "spec", "buckets"))
		w.OK(w.Update(w.Context(), live))
		result, err := diff.Diff(o, w.read(o), way.options(w.T)...)
		w.OK(err)
		if !result.Modified {
			w.Errorf("%s %s was edited in the cluster, and the comparison reports no difference", o.GetKind(), o.GetName())
		}
		return
	}
	w.Error("no ApiToken to edit")
}
