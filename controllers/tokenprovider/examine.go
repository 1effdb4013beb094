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
	// recheckEvery is how often working credentials are checked again; up to a
	// tenth is added, so that providers do not all take their turn at once.
	recheckEvery = 10 * time.Minute
	// firstRetry is the pause after a failed check; it doubles with each failure.
	firstRetry = time.Second
	// soonRetry is the longest pause while something may get better by itself.
	soonRetry = time.Minute
)

// examine returns the last finding while it is fresh, and checks again when it is
// due, the provider or its Secret changed, or a call made the provider unhealthy. Only
// with errInLine is the provider in the line of places afterwards: otherwise it would
// keep a turn from those behind it.
func (r *Reconciler) examine(ctx context.Context, o account.Object) (_ finding, err error) {
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
	// What was found not to work is examined again anyway, with its own pauses.
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

// conclude says how long a finding is good for. A provider that works and only
// asks for fewer requests is not down: it stays as it was found.
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
		found, c.alarms, c.alarmAt = last.finding, last.alarms, now+wait
	case busy:
		found.resumes = r.Clock.Now().Add(wait + time.Second - 1).UTC().Truncate(time.Second)
	case found.err == nil && unhealthy:
		c.alarms = last.alarms + 1
		c.alarmAt = now + doubling(c.alarms, soonRetry)
	}
	found.next = now + wait
	c.finding = found
	return c
}

// check holds the Secret and then checks the credentials in it. A connection that
// is kept is good enough, unless the last check failed or has to be done again, the
// provider is unhealthy, or the Secret is gone, which a kept connection would hide.
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
		return found, held, nil //nolint:nilerr // what failed is what was found
	}
	if gone {
		// It has appeared since: it has to be held before the provider may be Ready.
		if held, err = r.hold(ctx, o, nil); err != nil {
			return finding{}, nil, err
		}
	}
	if o.HasCredentials() {
		found.err = lasting(o.CredentialsKey(r.Namespace), held)
	}
	return found, held, nil
}

// stale reports whether the last check of this provider failed or is due again.
func (r *Reconciler) stale(o account.Object, last check) bool {
	return last.version.uid == o.GetUID() && (last.finding.err != nil || r.Clock.Monotonic() >= last.finding.next)
}

// lasting returns an error for a Secret that is not there to stay.
func lasting(name client.ObjectKey, held *secret) error {
	switch {
	case held == nil:
		return &connections.MissingCredentialsError{Secret: name}
	case held.DeletionTimestamp != nil:
		return &deletingError{secret: name}
	default:
		return nil
	}
}

// deletingError says that the credentials Secret is kept only by our finalizer.
// The credentials still revoke, but nothing more should be minted with them.
type deletingError struct{ secret client.ObjectKey }

// Error implements error.
func (e *deletingError) Error() string {
	return fmt.Sprintf("Secret %s is being deleted; it is kept while credentials need it to be revoked. "+
		"Name another one in spec.credentialsSecretRef", e.secret)
}

// errInLine says that there is no place for a health check now. The provider is
// reconciled again when its turn comes.
var errInLine = errors.New("there is no place for a health check now")

// connect connects and accepts what it finds, with a place, of which one namespace has few: providers that
// do not answer never delay those of others. In their own namespace they come last.
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

// pause is how long a finding is good for.
func pause(err error, failures int, uid types.UID) time.Duration {
	if err == nil {
		h := fnv.New32a()
		_, _ = h.Write([]byte(uid)) // a hash does not fail
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

// doubling is the pause after so many failures in a row, one at least.
func doubling(failures int, longest time.Duration) time.Duration {
	if failures < 20 {
		return min(longest, firstRetry<<(failures-1))
	}
	return longest
}
