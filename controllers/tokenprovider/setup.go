package tokenprovider

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/fairqueue"
	"apitoken.dev/operator/internal/places"
)

// +kubebuilder:rbac:groups=apitoken.dev,resources=tokenproviders;clustertokenproviders,verbs=list;watch;patch
// +kubebuilder:rbac:groups=apitoken.dev,resources=tokenproviders/status;clustertokenproviders/status,verbs=patch
// +kubebuilder:rbac:groups=apitoken.dev,resources=apitokens,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// gatherFor delays the reconcile after an event of an ApiToken, so that many events cause
// one reconcile.
const gatherFor = time.Second

// Setup adds the reconciler to a manager whose cache has the index of account.AddIndex.
func (r *Reconciler) Setup(mgr ctrl.Manager, concurrency int, newQueue fairqueue.Factory) error {
	if r.Places == nil {
		r.Places = places.New(r.Clock, places.Limits{})
	}
	if err := mgr.Add(manager.RunnableFunc(r.Places.Run)); err != nil {
		return fmt.Errorf("adding the places: %w", err)
	}
	err := ctrl.NewControllerManagedBy(mgr).
		Named(strings.ToLower(string(r.Kind))).
		For(account.NewObject(r.Kind).Raw, builder.WithPredicates(predicate.Funcs{UpdateFunc: providerChanged})).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.providersOfSecret)).
		Watches(&v1alpha1.ApiToken{}, r.tokenEvents()).
		WatchesRawSource(source.Func(r.errorEvents)).
		WatchesRawSource(source.Func(r.turns)).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency, NewQueue: newQueue}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the controller of %s: %w", r.Kind, err)
	}
	return nil
}

// providerChanged ignores writes to the status, which are the operator's own.
func providerChanged(e event.UpdateEvent) bool {
	before, after := e.ObjectOld, e.ObjectNew
	return before.GetGeneration() != after.GetGeneration() || !slices.Equal(before.GetFinalizers(), after.GetFinalizers())
}

// ledgerChanged reports whether an update changes which ApiTokens need a provider.
func ledgerChanged(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*v1alpha1.ApiToken)
	after, okay := e.ObjectNew.(*v1alpha1.ApiToken)
	return ok && okay && (len(before.Status.Credentials) != len(after.Status.Credentials) ||
		controllerutil.ContainsFinalizer(before, v1alpha1.Finalizer) != controllerutil.ContainsFinalizer(after, v1alpha1.Finalizer) ||
		account.KeyFor(before) != account.KeyFor(after))
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// errorEvents reconciles a provider at once when it becomes unhealthy, and soon after any
// other error.
func (r *Reconciler) errorEvents(_ context.Context, q queue) error {
	r.Pool.Watch(r.Kind, func(key account.Key, unhealthy bool) {
		request := reconcile.Request{NamespacedName: key.ObjectKey()}
		if unhealthy {
			q.Add(request)
			return
		}
		q.AddAfter(request, gatherFor)
	})
	return nil
}

// turns wakes the providers whose turn for a health check has come.
func (r *Reconciler) turns(_ context.Context, q queue) error {
	r.Places.OnTurn(func(who types.NamespacedName) { fairqueue.Wake(q, reconcile.Request{NamespacedName: who}) })
	return nil
}

func (r *Reconciler) tokenEvents() handler.EventHandler {
	enqueue := func(q queue, objects ...client.Object) {
		for _, obj := range objects {
			token, ok := obj.(*v1alpha1.ApiToken)
			if !ok {
				continue
			}
			if key := account.KeyFor(token); key.Kind == r.Kind {
				q.AddAfter(reconcile.Request{NamespacedName: key.ObjectKey()}, gatherFor)
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			if token, ok := e.Object.(*v1alpha1.ApiToken); ok && userOf(token).needs {
				enqueue(q, e.Object)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if ledgerChanged(e) {
				enqueue(q, e.ObjectOld, e.ObjectNew)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { enqueue(q, e.Object) },
	}
}

// providersOfSecret returns the providers whose minting credentials a Secret holds.
func (r *Reconciler) providersOfSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	all, err := account.List(ctx, r.Client)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "finding the providers of a Secret", "secret", client.ObjectKeyFromObject(secret))
		return nil
	}
	var out []reconcile.Request
	for _, o := range all {
		if o.Kind == r.Kind && o.CredentialsKey(r.Namespace) == client.ObjectKeyFromObject(secret) {
			out = append(out, reconcile.Request{NamespacedName: o.Key().ObjectKey()})
		}
	}
	return out
}
