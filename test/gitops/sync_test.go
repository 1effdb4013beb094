package gitops

import (
	"fmt"
	"os"
	"slices"
	"testing"

	synccommon "github.com/argoproj/argo-cd/gitops-engine/pkg/sync/common"
	"github.com/argoproj/argo-cd/v3/common"
	argov1alpha1 "github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/fake"
)

// exists reports whether an object of the world exists.
func (w *world) exists(o client.Object, name string) bool {
	w.Helper()
	err := w.Get(w.Context(), client.ObjectKey{Namespace: w.ns, Name: name}, o)
	w.OK(client.IgnoreNotFound(err))
	return !apierrors.IsNotFound(err)
}

// rollOut does what the Deployment controller does: the Deployment of the example
// is available.
func (w *world) rollOut() {
	w.Helper()
	d := &appsv1.Deployment{}
	if !w.exists(d, "training") {
		w.Fatal("there is no Deployment")
	}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}
	w.OK(w.Status().Update(w.Context(), d))
}

// deployed is a world in which Argo CD has synced the example.
func deployed(t *testing.T, method argov1alpha1.TrackingMethod, edits ...func(o *unstructured.Unstructured)) (*world, *argoCD, []*unstructured.Unstructured) {
	t.Helper()
	w := newWorld(t)
	desired := w.inNamespace(example(t))
	for _, edit := range edits {
		for _, o := range desired {
			edit(o)
		}
	}
	w.tracked(method, desired)
	w.minters(desired)
	w.start()
	a := newArgoCD(w, method)
	op := operation{phase: synccommon.OperationRunning, started: metav1.Now()}
	w.Until(func() string {
		a.step(desired, &op)
		if !w.exists(&appsv1.Deployment{}, "training") {
			return fmt.Sprintf("the Deployment is not applied: %s: %+v", op.message, op.results)
		}
		return ""
	})
	w.rollOut()
	a.sync(desired).succeeds(t)
	return w, a, desired
}

// methods are the ways in which Argo CD tracks its own objects.
var methods = []argov1alpha1.TrackingMethod{
	argov1alpha1.TrackingMethodAnnotation, argov1alpha1.TrackingMethodLabel, argov1alpha1.TrackingMethodAnnotationAndLabel,
}

// TestPublishedSecretIsNotPruned syncs the example, and then an empty repository: Argo CD
// never owns the published Secret, which is deleted with the ApiToken that owns it.
func TestPublishedSecretIsNotPruned(t *testing.T) {
	for _, method := range methods {
		t.Run(string(method), func(t *testing.T) {
			w, a, desired := deployed(t, method)
			secret := &corev1.Secret{}
			if !w.exists(secret, tokenName) {
				t.Fatal("no Secret was published")
			}
			if owner := metav1.GetControllerOf(secret); owner == nil || owner.Kind != "ApiToken" || owner.Name != tokenName {
				t.Errorf("the Secret belongs to %+v", owner)
			}
			if app := secret.Labels[common.LabelKeyAppInstance] + secret.Annotations[common.AnnotationKeyAppInstance]; app != "" {
				t.Errorf("the Secret is marked as one of application %q", app)
			}
			if slices.Contains(a.managedNow(), "Secret/"+tokenName) {
				t.Error("Argo CD takes the Secret for its own")
			}

			op := a.sync(onlyOf(desired, "Namespace"))
			op.succeeds(t)
			want := []string{"ApiToken/" + tokenName, "ClusterTokenProvider/" + w.ns + "-" + storeName, "Deployment/training"}
			if diff := cmp.Diff(want, op.pruned()); diff != "" {
				t.Errorf("Argo CD prunes something else (-want +got):\n%s", diff)
			}
			w.Until(func() string {
				if w.exists(&v1alpha1.ApiToken{}, tokenName) || w.exists(secret, tokenName) {
					return "the ApiToken or its Secret still exists"
				}
				return ""
			})
			if live := w.backend.LiveNames(); len(live) != 0 {
				t.Errorf("still live at the provider: %v", live)
			}
		})
	}
}

// TestTrackedSecretIsPruned: a Secret with the tracking mark of the application is pruned.
// TestPublishedSecretIsNotPruned relies on it.
func TestTrackedSecretIsPruned(t *testing.T) {
	w, a, desired := deployed(t, argov1alpha1.TrackingMethodAnnotation)
	marked := &unstructured.Unstructured{}
	marked.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	marked.SetNamespace(w.ns)
	marked.SetName("marked")
	w.tracked(argov1alpha1.TrackingMethodAnnotation, []*unstructured.Unstructured{marked})
	w.ExpectApplied(marked)
	w.Until(func() string {
		if !slices.Contains(a.managedNow(), "Secret/marked") {
			return "Argo CD does not know the marked Secret"
		}
		return ""
	})
	op := a.sync(desired)
	op.succeeds(t)
	if diff := cmp.Diff([]string{"Secret/marked"}, op.pruned()); diff != "" {
		t.Errorf("Argo CD prunes something else (-want +got):\n%s", diff)
	}
}

// TestRetainedSecretOutlivesAPrunedApiToken: with deletionPolicy Retain the Secret and its credential
// outlive the pruned ApiToken, although Argo CD deletes in the foreground.
func TestRetainedSecretOutlivesAPrunedApiToken(t *testing.T) {
	w, a, desired := deployed(t, argov1alpha1.TrackingMethodAnnotation, func(o *unstructured.Unstructured) {
		if o.GetKind() == "ApiToken" {
			_ = unstructured.SetNestedField(o.Object, "Retain", "spec", "deletionPolicy")
		}
	})
	a.sync(onlyOf(desired, "Namespace", "ClusterTokenProvider")).succeeds(t)
	w.Until(func() string {
		if w.exists(&v1alpha1.ApiToken{}, tokenName) {
			return "the ApiToken still exists"
		}
		return ""
	})
	secret := &corev1.Secret{}
	if !w.exists(secret, tokenName) || secret.DeletionTimestamp != nil || len(w.backend.LiveNames()) != 1 {
		t.Errorf("the Secret or its credential is deleted; live credentials: %v", w.backend.LiveNames())
	}
	if slices.Contains(a.managedNow(), "Secret/"+tokenName) {
		t.Error("Argo CD takes the Secret for its own")
	}
}

// TestSyncWaveWaitsUntilTheOneBeforeIsHealthy: a wave begins when the one before it is
// Healthy, and a Degraded object ends the sync.
func TestSyncWaveWaitsUntilTheOneBeforeIsHealthy(t *testing.T) {
	t.Run("a provider that does not work holds back its ApiTokens", func(t *testing.T) {
		w := newWorld(t)
		desired := w.tracked(argov1alpha1.TrackingMethodAnnotation, w.inNamespace(example(t)))
		w.start()
		op := newArgoCD(w, argov1alpha1.TrackingMethodAnnotation).sync(desired)
		op.fails(t, "ClusterTokenProvider", "object-store-minter")
		if w.exists(&v1alpha1.ApiToken{}, tokenName) {
			t.Error("the ApiToken was applied")
		}
	})
	t.Run("an ApiToken that waits for a user holds back its workload", func(t *testing.T) {
		w := newWorld(t)
		w.withoutAPI()
		desired := w.tracked(argov1alpha1.TrackingMethodAnnotation, w.inNamespace(example(t)))
		w.minters(desired)
		w.start()
		op := newArgoCD(w, argov1alpha1.TrackingMethodAnnotation).sync(desired)
		op.fails(t, "ApiToken", "create a credential at the provider")
		if w.exists(&appsv1.Deployment{}, "training") {
			t.Error("the Deployment was applied")
		}
	})
	t.Run("when the workload is applied, its Secret is there", func(t *testing.T) {
		w := newWorld(t)
		desired := w.tracked(argov1alpha1.TrackingMethodAnnotation, w.inNamespace(example(t)))
		w.minters(desired)
		w.hold(fake.Mint)
		w.start()
		a, op := newArgoCD(w, argov1alpha1.TrackingMethodAnnotation), operation{phase: synccommon.OperationRunning, started: metav1.Now()}
		token := onlyOf(desired, "ApiToken")[0]
		w.Until(func() string {
			a.step(desired, &op)
			if !w.exists(&v1alpha1.ApiToken{}, tokenName) {
				return "the ApiToken is not applied"
			}
			return ""
		})
		w.shows(token, v1alpha1.ConditionReconciling, v1alpha1.ReasonIssuing)
		for range 5 {
			a.step(desired, &op)
		}
		if w.exists(&appsv1.Deployment{}, "training") {
			t.Error("the Deployment was applied before the Secret exists")
		}
		w.release()
		w.Until(func() string {
			a.step(desired, &op)
			if !w.exists(&appsv1.Deployment{}, "training") {
				return "the Deployment is not applied: " + op.message
			}
			return ""
		})
		if !w.exists(&corev1.Secret{}, tokenName) {
			t.Error("there is no Secret")
		}
	})
}

// TestArgoApplicationExampleIsValid reads the example strictly, with Argo CD's own types.
func TestArgoApplicationExampleIsValid(t *testing.T) {
	const file = "../../docs/gitops-example/argocd/application.yaml"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var a argov1alpha1.Application
	if err := yaml.UnmarshalStrict(raw, &a); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if diff := cmp.Diff("docs/gitops-example", a.Spec.Source.Path); diff != "" {
		t.Error(diff)
	}
	if a.Spec.IgnoreDifferences != nil {
		t.Error("the example ignores differences, which is not necessary")
	}
	if !a.Spec.SyncPolicy.Automated.GetPrune() || !a.Spec.SyncPolicy.Automated.GetSelfHeal() {
		t.Error("the example neither prunes nor heals")
	}
	if retry := a.Spec.SyncPolicy.Retry; retry == nil || !retry.Refresh {
		t.Error("the example retries a failed sync with the commit that failed: a fix in Git waits until the retries end")
	}
}

// onlyOf keeps the objects of some kinds.
func onlyOf(objects []*unstructured.Unstructured, kinds ...string) []*unstructured.Unstructured {
	return slices.DeleteFunc(slices.Clone(objects), func(o *unstructured.Unstructured) bool { return !slices.Contains(kinds, o.GetKind()) })
}
