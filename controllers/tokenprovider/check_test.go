package tokenprovider

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/pacing"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
)

// scripted answers checks in order and records how each was called.
type scripted struct {
	asked   string
	answers []error
	health  pacing.Health
}

func (s *scripted) answer(how string) (connections.Connection, error) {
	s.asked += how
	if how == "R" {
		s.health.Unhealthy = false
	}
	var err error
	if len(s.answers) > 0 {
		err, s.answers = s.answers[0], s.answers[1:]
	}
	return connections.Connection{Account: provider.Account{ID: "a"}}, err
}

func (s *scripted) Check(_ context.Context, _ account.Key, _ *places.Place, again bool) (connections.Connection, error) {
	if again {
		return s.answer("R")
	}
	return s.answer("C")
}

func (s *scripted) Health(account.Key) pacing.Health { return s.health }

func (*scripted) Watch(v1alpha1.ProviderKind, func(account.Key, bool)) {}

func (*scripted) Drop(account.Key) {}

// checkWorld checks one provider with a scripted pool.
type checkWorld struct {
	*world
	key    account.Key
	minter *corev1.Secret
	clock  *shifted
	pool   *scripted
	r      *Reconciler
}

func newCheckWorld(t *testing.T) *checkWorld {
	t.Helper()
	w := &checkWorld{world: newWorld(t), clock: newShifted(), pool: &scripted{}}
	w.minter = w.secret("minter", "good")
	w.key = w.provider("p", "minter")
	w.r = &Reconciler{
		Kind: w.key.Kind, Client: w.Client, Live: w.Client, Pool: w.pool, Places: places.New(w.clock, places.Limits{}), Clock: w.clock, Namespace: w.namespace,
	}
	return w
}

// check checks the provider if that is due.
func (w *checkWorld) check() finding {
	w.Helper()
	found, err := w.r.checkDue(w.Context(), w.get(w.key))
	w.OK(err)
	return found
}

// expectCheck fails the test unless the check makes these calls to the pool, and finds an
// error if fails is set.
func (w *checkWorld) expectCheck(calls string, fails bool) finding {
	w.Helper()
	w.pool.asked = ""
	found := w.check()
	if w.pool.asked != calls || (found.err != nil) != fails {
		w.Errorf("asked %q, want %q; the finding is %v", w.pool.asked, calls, found.err)
	}
	return found
}

// TestProviderIsCheckedWhenDueOrChanged: a provider is checked once, and again when the
// check is due, when it failed, and when the provider or its Secret changed. C accepts a
// cached connection, R connects again.
func TestProviderIsCheckedWhenDueOrChanged(t *testing.T) {
	w := newCheckWorld(t)
	c, pool, secret, check := w.clock, w.pool, w.minter, w.expectCheck
	check("C", false)
	check("", false)
	c.advance(recheckEvery * 2)
	check("R", false)
	check("", false)

	pool.answers = []error{&provider.Error{Code: provider.CodeUnavailable}, &provider.Error{Code: provider.CodeUnavailable}}
	c.advance(recheckEvery * 2)
	check("R", true)
	check("", true)
	c.advance(firstRetry)
	check("R", true)
	c.advance(firstRetry)
	check("", true) // the wait has doubled
	c.advance(firstRetry)
	check("R", false)

	if err := w.Get(t.Context(), secretKey(secret), secret); err != nil {
		t.Fatal(err)
	}
	w.Merge(secret, func() { secret.Data["token"] = []byte("other") })
	check("C", false)

	w.Merge(secret, func() { secret.Finalizers = nil })
	w.ExpectDeleted(secret)
	w.ExpectGone(secret)
	pool.answers = []error{&connections.MissingCredentialsError{}}
	check("R", true) // a cached connection would hide it
}

// TestUnhealthyProviderIsCheckedAtOnce: while these checks find no error, they become
// rarer. After a failed check, the waits are those of failed checks.
func TestUnhealthyProviderIsCheckedAtOnce(t *testing.T) {
	w := newCheckWorld(t)
	c, pool, check := w.clock, w.pool, w.expectCheck
	check("C", false)
	pool.health.Unhealthy = true
	check("R", false)
	check("", false)
	for _, pause := range []time.Duration{firstRetry, 2 * firstRetry} {
		pool.health.Unhealthy = true
		found := check("", false)
		if wait := found.next - c.Monotonic(); wait <= 0 || wait > pause {
			t.Errorf("it is checked after %s, want %s", wait, pause)
		}
		c.advance(pause)
		check("R", false)
	}
	c.advance(2 * recheckEvery)
	check("R", false) // the regular check of a healthy provider
	pool.health.Unhealthy = true
	pool.answers = []error{&provider.Error{Code: provider.CodeUnauthenticated}}
	check("R", true)
	pool.health.Unhealthy = true
	check("", true)
	c.advance(firstRetry)
	check("R", false)
}

// TestRateLimitedProviderKeepsItsFinding: a working provider stays Ready. One that was
// never checked is not Ready, and its message says when the check is due.
func TestRateLimitedProviderKeepsItsFinding(t *testing.T) {
	w := newCheckWorld(t)
	c, pool, check := w.clock, w.pool, w.check
	limited := &provider.Error{Code: provider.CodeRateLimited, RetryAfter: 5 * time.Minute, Message: "it wants fewer requests"}
	pool.answers = []error{limited}
	found := check()
	v := judge(found)
	if v.ready || v.stalled || v.reason != v1alpha1.ReasonUnreachable || !strings.Contains(v.message, "fewer requests. The credentials are checked at 2") {
		t.Errorf("before any check: %+v", v)
	}
	if left := found.next - c.Monotonic(); left > 5*time.Minute || left < 4*time.Minute {
		t.Errorf("it is checked again after %s", left)
	}
	c.advance(5 * time.Minute)
	if found = check(); found.err != nil || !judge(found).ready {
		t.Fatalf("after the wait: %+v", found)
	}

	c.advance(2 * recheckEvery)
	pool.answers = []error{limited}
	found = check()
	if v := judge(found); !v.ready {
		t.Errorf("a working provider that is rate-limited: %+v", v)
	}
	if left := found.next - c.Monotonic(); left > 5*time.Minute || left < 4*time.Minute {
		t.Errorf("it is checked again after %s", left)
	}
	pool.asked, pool.health.Unhealthy = "", true
	if check(); pool.asked != "" {
		t.Error("an unhealthy provider ends a wait")
	}
	c.advance(5 * time.Minute)
	if check(); pool.asked != "R" {
		t.Errorf("after the wait it asked %q", pool.asked)
	}
}

// unreadable fails to read the metadata of Secrets while broken is set.
type unreadable struct {
	client.Reader
	broken bool
}

func (u *unreadable) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if m, ok := o.(*metav1.PartialObjectMetadata); ok && u.broken && m.Kind == "Secret" {
		return errors.New("the API server did not answer")
	}
	return u.Reader.Get(ctx, key, o, opts...)
}

// TestFailedCheckLeavesTheQueueOfPlaces: a provider whose Secret cannot be protected gives
// up its position, and takes a new one at the retry.
func TestFailedCheckLeavesTheQueueOfPlaces(t *testing.T) {
	w := newWorld(t)
	w.secret("minter", "good")
	key := w.provider("p", "minter")
	c, live := newShifted(), &unreadable{Reader: w.Client}
	r := &Reconciler{Kind: key.Kind, Client: w.Client, Live: live, Pool: &scripted{}, Clock: c, Namespace: w.namespace,
		Places: places.New(c, places.Limits{Provider: 1})}
	if _, ok := r.Places.Take(places.Want{Who: client.ObjectKey{Namespace: w.namespace, Name: "other"}, Provider: key.String()}); !ok {
		t.Fatal("there is no place")
	}
	check := func(inLine bool, waiting int) {
		t.Helper()
		_, err := r.checkDue(t.Context(), w.get(key))
		if err == nil || errors.Is(err, errInLine) != inLine || r.Places.Stats().Waiting != waiting {
			t.Fatalf("%v, and %d are waiting", err, r.Places.Stats().Waiting)
		}
	}
	check(true, 1)
	held := &corev1.Secret{}
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "minter"}, held); err != nil {
		t.Fatal(err)
	}
	w.Merge(held, func() { held.Finalizers = nil })
	live.broken = true
	check(false, 0)
	live.broken = false
	check(true, 1)
}

func secretKey(s *corev1.Secret) client.ObjectKey {
	return client.ObjectKey{Namespace: s.Namespace, Name: s.Name}
}
