package tokenprovider

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
)

const (
	// recheckEvery is the interval between health checks of working credentials. Up to a
	// tenth is added, so that not all providers are checked at the same time.
	recheckEvery = 10 * time.Minute
	// firstRetry is the wait after a failed check. It doubles with each failure.
	firstRetry = time.Second
	// soonRetry is the maximum wait after failures that can end without a change in the
	// cluster.
	soonRetry = time.Minute
)

// checkDue runs a health check if the last one is due again, the provider or its Secret
// changed, or a call made the provider unhealthy. Otherwise it returns the last finding.
// Except with errInLine, the provider waits for no place afterwards: otherwise it would
// take a turn from other providers.
func (r *Reconciler) checkDue(ctx context.Context, o account.Object) (_ finding, err error) {
	key, now := o.Key(), r.Clock.Monotonic()
	defer func() {
		if !errors.Is(err, errInLine) {
			r.Places.Leave(key.ObjectKey())
		}
	}()
	cached, err := r.cachedSecret(ctx, o)
	if err != nil {
		return finding{}, err
	}
	seen := version{uid: o.GetUID(), generation: o.GetGeneration()}
	if cached != nil {
		seen.secret = cached.ResourceVersion
	}
	last := r.memory.lastCheck(key)
	// After a failed check, the next one has its own wait, and calls that fail do not
	// shorten it.
	unhealthy := last.finding.err == nil && r.Pool.Health(key).Unhealthy
	if last.version == seen && now < last.finding.next && (!unhealthy || now < last.alarmAt) {
		fresh := last.finding
		if unhealthy {
			fresh.next = min(fresh.next, last.alarmAt)
		}
		return fresh, nil
	}
	found, held, err := r.check(ctx, o, cached, last, unhealthy)
	if err != nil {
		return finding{}, err
	}
	if held != nil {
		seen.secret = held.ResourceVersion
	}
	c := r.conclude(seen, last, found, unhealthy)
	r.memory.setCheck(key, c)
	return c.finding, nil
}

// conclude sets when the next check is due. If a working provider is only rate-limited, its
// last finding remains.
func (r *Reconciler) conclude(seen version, last check, found finding, unhealthy bool) check {
	c := check{version: seen}
	if found.err != nil {
		if last.version.uid == seen.uid && last.version.generation == seen.generation {
			c.failures = last.failures
		}
		c.failures++
	}
	now, wait := r.Clock.Monotonic(), pause(found.err, c.failures, seen.uid)
	busy := found.err != nil && provider.AsError(found.err).Code == provider.CodeRateLimited
	switch {
	case busy && last.version == seen && last.finding.err == nil:
		found, c.falseAlarms, c.alarmAt = last.finding, last.falseAlarms, now+wait
	case busy:
		found.resumes = r.Clock.Now().Add(wait + time.Second - 1).UTC().Truncate(time.Second)
	case found.err == nil && unhealthy:
		c.falseAlarms = last.falseAlarms + 1
		c.alarmAt = now + doubling(c.falseAlarms, soonRetry)
	}
	found.next = now + wait
	c.finding = found
	return c
}

// check puts the finalizer on the Secret and then checks the credentials in it. It accepts
// a cached connection unless the last check failed or is due again, the provider is
// unhealthy, or the Secret is missing, which a cached connection would hide.
func (r *Reconciler) check(ctx context.Context, o account.Object, cached *secret, last check, unhealthy bool) (finding, *secret, error) {
	if _, err := metav1.LabelSelectorAsSelector(o.AllowedNamespaces); err != nil {
		return finding{err: &provider.Error{Code: provider.CodeInvalid, NotExecuted: true, Err: err,
			Message: fmt.Sprintf("spec.allowedNamespaces cannot be used: %v", err)}}, nil, nil
	}
	held, err := r.hold(ctx, o, cached)
	if err != nil {
		return finding{}, nil, err
	}
	gone := o.HasCredentials() && held == nil
	again := gone || unhealthy || r.stale(o, last)
	var found finding
	found.account, found.endpoint, found.err = r.connect(ctx, o, again, last.failures > 0)
	if errors.Is(found.err, errInLine) {
		return finding{}, nil, errInLine
	}
	if found.err != nil {
		return found, held, nil //nolint:nilerr // the error is the finding
	}
	if gone {
		// The Secret was created since. It must have the finalizer before the provider
		// becomes Ready.
		if held, err = r.hold(ctx, o, nil); err != nil {
			return finding{}, nil, err
		}
	}
	if o.HasCredentials() {
		found.err = missingOrDeleted(o.CredentialsKey(r.Namespace), held)
	}
	return found, held, nil
}

// stale reports whether the last check failed or is due again.
func (r *Reconciler) stale(o account.Object, last check) bool {
	return last.version.uid == o.GetUID() && (last.finding.err != nil || r.Clock.Monotonic() >= last.finding.next)
}

// missingOrDeleted returns an error for a Secret that is missing or is being deleted.
func missingOrDeleted(name client.ObjectKey, held *secret) error {
	switch {
	case held == nil:
		return &connections.MissingCredentialsError{Secret: name}
	case held.DeletionTimestamp != nil:
		return &deletingError{secret: name}
	default:
		return nil
	}
}

// deletingError reports that only the operator's finalizer keeps the Secret of the minting
// credentials. They still revoke, but must not mint any more.
type deletingError struct{ secret client.ObjectKey }

// Error implements error.
func (e *deletingError) Error() string {
	return fmt.Sprintf("Secret %s is being deleted; it is kept while credentials need it to be revoked. "+
		"Name another one in spec.credentialsSecretRef", e.secret)
}

// errInLine: there is no place for a health check now. Places wakes the provider when its
// turn comes.
var errInLine = errors.New("there is no place for a health check now")

// connect connects and accepts the result. It needs a place, and each namespace has few, so
// providers that do not answer never delay other namespaces. In their own namespace they
// come last.
func (r *Reconciler) connect(ctx context.Context, o account.Object, again, failed bool) (provider.Account, account.Endpoint, error) {
	key, class := o.Key(), places.Issues
	if failed {
		class = places.Rest
	}
	place, ok := r.Places.Take(places.Want{Who: key.ObjectKey(), Provider: key.String(), Class: class})
	if !ok {
		return provider.Account{}, account.Endpoint{}, errInLine
	}
	defer place.Release()
	connection, err := r.Pool.Check(ctx, key, place, again)
	if err == nil && connection.Account.ID == "" {
		err = &provider.Error{Code: provider.CodeUnknown, NotExecuted: true, Message: "the provider did not say which account the credentials belong to"}
	}
	if err == nil {
		err = r.accept(ctx, o, connection)
	}
	return connection.Account, connection.Endpoint, err
}

// pause returns the wait until the next check.
func pause(err error, failures int, uid types.UID) time.Duration {
	if err == nil {
		h := fnv.New32a()
		_, _ = h.Write([]byte(uid)) // a hash never returns an error
		return recheckEvery + time.Duration(h.Sum32()%100)*recheckEvery/1000
	}
	var verifying *verifyingError
	if errors.As(err, &verifying) {
		return firstRetry
	}
	longest := recheckEvery
	v := classify(err)
	if !v.stalled || v.missing {
		longest = soonRetry
	}
	wait := doubling(failures, longest)
	var e *provider.Error
	if errors.As(err, &e) {
		wait = max(wait, min(e.RetryAfter, time.Hour))
	}
	return wait
}

// doubling returns the wait after this number of consecutive failures, which is at least 1.
func doubling(failures int, longest time.Duration) time.Duration {
	if failures < 20 {
		return min(longest, firstRetry<<(failures-1))
	}
	return longest
}
