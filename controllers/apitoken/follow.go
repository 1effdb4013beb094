package apitoken

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/fairqueue"
)

// follow notes the attempts that the cache shows, in every process. A standby that takes
// over has then known each attempt for as long as it was in its cache, and does not start to
// wait again. It reads no Secret and writes nothing.
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

// Doubt has the provider asked about a credential of an ApiToken, after everything else
// that is due there. Missed says that two complete lists in a row did not show it. Doubt
// does not wait.
func (r *Reconciler) Doubt(token types.NamespacedName, credential string, missed bool) {
	r.memory.Doubts.Add(token, credential, missed)
}

// doubtful wakes the ApiTokens of doubted credentials, after all others that wait.
func (r *Reconciler) doubtful(_ context.Context, q fairqueue.Queue) error {
	r.memory.Doubts.OnDoubt(func(token types.NamespacedName) { fairqueue.Later(q, reconcile.Request{NamespacedName: token}) })
	return nil
}
