package apitoken

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/fairqueue"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/secretstore"
)

// +kubebuilder:rbac:groups=apitoken.dev,resources=apitokens,verbs=list;watch;patch
// The ValidatingAdmissionPolicy in config/components/release-guard asks for release when the finalizer is removed.
// +kubebuilder:rbac:groups=apitoken.dev,resources=apitokens,verbs=release
// +kubebuilder:rbac:groups=apitoken.dev,resources=apitokens/status,verbs=update
// +kubebuilder:rbac:groups=apitoken.dev,resources=apitokens/finalizers,verbs=update
// +kubebuilder:rbac:groups=apitoken.dev,resources=tokenproviders;clustertokenproviders,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// The first and the longest delay between retries of a reconcile that returned an error.
const (
	retryFirst = time.Second
	retryMost  = plan.MaxRetryDelay
)

// Setup registers the reconciler. It watches ApiTokens, the metadata of Secrets, providers
// and the labels of namespaces. An ApiToken that waits for a place at a provider is woken
// when its turn comes. The field index account.IndexProvider must exist.
func (r *Reconciler) Setup(mgr ctrl.Manager, concurrency int, queue fairqueue.Factory) error {
	if err := mgr.Add(manager.RunnableFunc(r.Places.Run)); err != nil {
		return fmt.Errorf("adding the places at providers: %w", err)
	}
	if err := r.follow(mgr); err != nil {
		return err
	}
	byProvider := handler.EnqueueRequestsFromMapFunc(r.ofProvider)
	woken := builder.WithPredicates(providerWakes())
	return ctrl.NewControllerManagedBy(mgr).Named("apitoken").
		For(&v1alpha1.ApiToken{}).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.ofSecret)).
		WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.ofNamespace),
			builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&v1alpha1.TokenProvider{}, byProvider, woken).
		Watches(&v1alpha1.ClusterTokenProvider{}, byProvider, woken).
		WatchesRawSource(source.Func(r.wakeOnTurn)).
		WatchesRawSource(source.Func(r.wakeDoubted)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrency,
			NewQueue:                queue,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](retryFirst, retryMost),
		}).
		Complete(r)
}

// wakeOnTurn wakes an ApiToken when its turn at a provider has come.
func (r *Reconciler) wakeOnTurn(_ context.Context, q fairqueue.Queue) error {
	r.queue.Store(&q)
	r.Places.OnTurn(func(who types.NamespacedName) { fairqueue.Wake(q, reconcile.Request{NamespacedName: who}) })
	return nil
}

// ofSecret maps a published Secret, a stored copy or a handover to its ApiToken.
func (r *Reconciler) ofSecret(_ context.Context, o client.Object) []reconcile.Request {
	r.secrets.Shown(o)
	name := secretstore.TokenOf(o)
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: name}}}
}

// ofProvider maps a provider to the ApiTokens that refer to it.
func (r *Reconciler) ofProvider(ctx context.Context, o client.Object) []reconcile.Request {
	key := account.Of(o).Key()
	out := r.requests(ctx, client.MatchingFields{account.IndexField: key.String()})
	return append(out, r.ofOtherKind(ctx, key)...)
}

// ofOtherKind maps a provider to the ApiTokens that refer to a missing provider of the same
// name and the other kind: their condition says whether this one exists.
func (r *Reconciler) ofOtherKind(ctx context.Context, key account.Key) []reconcile.Request {
	opts := []client.ListOption{client.MatchingFields{account.IndexField: account.Named(key.Name)}}
	if key.Namespace != "" {
		opts = append(opts, client.InNamespace(key.Namespace))
	}
	return r.requestsIf(ctx, func(t *v1alpha1.ApiToken) bool {
		return account.KeyFor(t).Kind != key.Kind && plan.AwaitsProvider(t)
	}, opts...)
}

// ofNamespace maps a namespace whose labels changed to its ApiTokens.
func (r *Reconciler) ofNamespace(ctx context.Context, o client.Object) []reconcile.Request {
	return r.requests(ctx, client.InNamespace(o.GetName()))
}

func (r *Reconciler) requests(ctx context.Context, opts ...client.ListOption) []reconcile.Request {
	return r.requestsIf(ctx, func(*v1alpha1.ApiToken) bool { return true }, opts...)
}

func (r *Reconciler) requestsIf(ctx context.Context, concerned func(*v1alpha1.ApiToken) bool, opts ...client.ListOption) []reconcile.Request {
	var tokens v1alpha1.ApiTokenList
	if err := r.Client.List(ctx, &tokens, opts...); err != nil {
		return nil // the cache has stopped: the process is stopping
	}
	out := make([]reconcile.Request, 0, len(tokens.Items))
	for i := range tokens.Items {
		if t := &tokens.Items[i]; concerned(t) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(t)})
		}
	}
	return out
}

// providerWakes ignores updates of a provider that change none of the facts of an ApiToken.
func providerWakes() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool { return account.FactsDiffer(e.ObjectOld, e.ObjectNew) },
	}
}

// follow records the attempts that the cache shows, in the leader and in each standby. A
// standby that takes over then knows since when each attempt was in its cache, and does not
// wait for it from the beginning. It reads no Secret and writes nothing.
func (r *Reconciler) follow(mgr ctrl.Manager) error {
	return mgr.Add(inEveryProcess(func(ctx context.Context) error {
		informer, err := mgr.GetCache().GetInformer(ctx, &v1alpha1.ApiToken{}, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("following ApiTokens: %w", err)
		}
		note := func(o any) {
			if t, ok := o.(*v1alpha1.ApiToken); ok {
				r.memory.Attempts.See(t, r.Clock.Monotonic())
			}
		}
		following, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    note,
			UpdateFunc: func(_, o any) { note(o) },
			DeleteFunc: func(o any) {
				if name, err := toolscache.DeletionHandlingObjectToName(o); err == nil {
					r.memory.Forget(name.AsNamespacedName())
				}
			},
		})
		if err != nil {
			return fmt.Errorf("following ApiTokens: %w", err)
		}
		if toolscache.WaitForCacheSync(ctx.Done(), following.HasSynced) {
			mgr.GetLogger().V(1).Info("following the ledgers of all ApiTokens")
		}
		return nil
	}))
}

// inEveryProcess is a runnable that does not wait to become leader.
type inEveryProcess func(context.Context) error

// Start implements manager.Runnable.
func (f inEveryProcess) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (inEveryProcess) NeedLeaderElection() bool { return false }

// Doubt requests a check of a credential with Find, because the provider's list shows it
// differently than issued. The check has the lowest priority at the provider. Missed says
// that two complete lists in a row did not show the credential. Doubt returns at once.
func (r *Reconciler) Doubt(token types.NamespacedName, credential string, missed bool) {
	r.memory.Doubts.Add(token, credential, missed)
}

// wakeDoubted wakes the ApiToken of each credential passed to Doubt, with the lowest priority.
func (r *Reconciler) wakeDoubted(_ context.Context, q fairqueue.Queue) error {
	r.memory.Doubts.OnDoubt(func(token types.NamespacedName) { fairqueue.Later(q, reconcile.Request{NamespacedName: token}) })
	return nil
}
