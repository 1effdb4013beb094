// Package tokenprovider reconciles TokenProviders and ClusterTokenProviders. It checks
// their minting credentials without minting, and its finalizers protect the provider and
// its Secret from deletion for as long as an ApiToken needs them to revoke.
package tokenprovider

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/pacing"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/tracing"
	"apitoken.dev/operator/internal/trim"
)

// Connector connects to providers and reports their health. *connections.Pool implements
// it.
type Connector interface {
	Check(ctx context.Context, key account.Key, place *places.Place, again bool) (connections.Connection, error)
	Health(key account.Key) pacing.Health
	Watch(kind v1alpha1.ProviderKind, wake func(key account.Key, unhealthy bool))
	Drop(key account.Key)
}

// Reconciler reconciles the providers of one kind. Setup makes it usable.
type Reconciler struct {
	// Kind it reconciles.
	Kind v1alpha1.ProviderKind
	// Client reads from the cache: providers and ApiTokens in full, Secrets as metadata.
	Client client.Client
	// Live reads from the API server.
	Live client.Reader
	Pool Connector
	// Places limit the health checks in progress. Nil means no limit.
	Places   *places.Places
	Clock    clock.Clock
	Recorder events.EventRecorder
	// Namespace of the operator, where a ClusterTokenProvider's credentials are.
	Namespace string
	// Cluster is the identity hash of this cluster; see package credname.
	Cluster string
	// Namespaces that the operator serves; empty means all.
	Namespaces []string
	// Audit is the audit trail. Nil means no audit trail.
	Audit *audit.Log
	// Tracers trace each reconcile. Nil means no traces.
	Tracers trace.TracerProvider

	memory memory
}

// conflictDelay is the wait before a retry after a write conflict, which means that the
// cache lags.
const conflictDelay = time.Second

// Reconcile checks one provider and reports its status.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	ctx, span := tracing.Reconcile(ctx, r.Tracers, string(r.Kind), req.Namespace, req.Name)
	after, err := r.reconcile(ctx, account.Key{Kind: r.Kind, Namespace: req.Namespace, Name: req.Name})
	tracing.End(span, err)
	switch {
	case errors.Is(err, errInLine):
		return ctrl.Result{}, nil // Places wakes it when its turn comes
	case apierrors.IsConflict(err), errors.Is(err, errMoreToRelease):
		return ctrl.Result{RequeueAfter: conflictDelay}, nil
	}
	return ctrl.Result{RequeueAfter: after}, client.IgnoreNotFound(err)
}

func (r *Reconciler) reconcile(ctx context.Context, key account.Key) (time.Duration, error) {
	o, err := account.Get(ctx, r.Client, key)
	if apierrors.IsNotFound(err) {
		r.forget(key)
		return 0, r.releaseAfter(ctx, key)
	}
	if err != nil {
		return 0, err
	}
	tokens, err := account.Referencing(ctx, r.Client, key)
	if err != nil {
		return 0, err
	}
	users := usersOf(tokens)
	if o.Deleting() {
		var released bool
		if users, released, err = r.finish(ctx, o, users); released || err != nil {
			return 0, err
		}
	} else if _, err := trim.SetFinalizer(ctx, r.Client, r.Live, o.Raw, true); err != nil {
		return 0, err
	}
	found, err := r.checkDue(ctx, o)
	if err != nil {
		return 0, err
	}
	later, err := r.report(ctx, o, found, users)
	if err != nil {
		return 0, err
	}
	// The Secret that the provider named before, or a Secret that is being deleted, may no
	// longer be needed.
	more, err := r.releaseSecrets(ctx, o.CredentialsKey(r.Namespace).Namespace)
	if err != nil {
		return 0, err
	}
	if more {
		later = sooner(later, conflictDelay)
	}
	return soonest(found.next-r.Clock.Monotonic(), later), nil
}

// finish removes the finalizer of a deleted provider once no ApiToken needs it. Until then
// it returns the users. The cache may lack a new ApiToken, so the last check reads live.
func (r *Reconciler) finish(ctx context.Context, o account.Object, users []user) ([]user, bool, error) {
	if !controllerutil.ContainsFinalizer(o.Raw, v1alpha1.Finalizer) {
		r.forget(o.Key())
		return nil, true, nil
	}
	if needing := inUse(users); len(needing) > 0 {
		return users, false, nil
	}
	users, err := r.liveUsers(ctx, o.Key())
	if err != nil || len(inUse(users)) > 0 {
		return users, false, err
	}
	credentials := o.CredentialsKey(r.Namespace)
	var named []client.ObjectKey
	if o.HasCredentials() {
		named = append(named, credentials)
	}
	if _, err := r.releaseSecrets(ctx, credentials.Namespace, named...); err != nil {
		return nil, false, err
	}
	if _, err := trim.SetFinalizer(ctx, r.Client, r.Live, o.Raw, false); err != nil {
		return nil, false, err
	}
	r.forget(o.Key())
	return nil, true, nil
}

func (r *Reconciler) forget(key account.Key) {
	r.memory.forget(key)
	r.Places.Leave(key.ObjectKey())
	r.Pool.Drop(key)
}

// finding is the result of a health check.
type finding struct {
	account  provider.Account
	endpoint account.Endpoint
	err      error
	// next is when the next check is due, by the monotonic clock. resumes is the same by
	// the wall clock; set only if the provider asked to wait until then.
	next    time.Duration
	resumes time.Time
}

// lockedPatch sends the changes since base. It fails with a conflict if another client has
// changed the object since.
func lockedPatch(base client.Object) client.Patch {
	return client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})
}

// sooner returns the shorter of two waits; 0 means no wait.
func sooner(a, b time.Duration) time.Duration {
	if a > 0 && (b <= 0 || a < b) {
		return a
	}
	return b
}

// soonest returns the shorter of two waits. A second wait of 0 is ignored.
func soonest(a, b time.Duration) time.Duration {
	if b > 0 && b < a {
		a = b
	}
	return max(a, time.Millisecond)
}
