package tokenprovider

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/pacing"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/testutil"
)

func TestLiveCredentialsChangeOnceAMinute(t *testing.T) {
	o := account.Of(&v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p"}})
	c := newShifted()
	r := &Reconciler{Clock: c}

	shown, wait := r.count(o, 3)
	if shown != 3 || wait != 0 {
		t.Errorf("the first number is shown as %d after %s, want at once", shown, wait)
	}
	o.Status.LiveCredentials = 3
	r.memory.setCounted(o.Key(), c.Monotonic())
	if shown, wait = r.count(o, 5); shown != 3 || wait <= countEvery-time.Second || wait > countEvery {
		t.Errorf("within the minute it shows %d and reconciles again after %s", shown, wait)
	}
	if shown, wait = r.count(o, 3); shown != 3 || wait != 0 {
		t.Errorf("an unchanged number is due again after %s", wait)
	}
	c.advance(countEvery)
	if shown, wait = r.count(o, 5); shown != 5 || wait != 0 {
		t.Errorf("after the minute it shows %d and waits %s", shown, wait)
	}
}

func TestErrorsBecomeReasons(t *testing.T) {
	failed := func(code provider.Code) error { return &provider.Error{Code: code, Message: "It failed"} }
	tests := map[string]struct {
		err     error
		reason  string
		stalled bool
	}{
		"unauthenticated":   {failed(provider.CodeUnauthenticated), v1alpha1.ReasonCredentialsRejected, true},
		"permission denied": {failed(provider.CodePermissionDenied), v1alpha1.ReasonCredentialsRejected, true},
		"invalid":           {failed(provider.CodeInvalid), v1alpha1.ReasonInvalidSettings, true},
		"unavailable":       {failed(provider.CodeUnavailable), v1alpha1.ReasonUnreachable, false},
		"rate limited":      {failed(provider.CodeRateLimited), v1alpha1.ReasonUnreachable, false},
		"account blocked":   {failed(provider.CodeAccountBlocked), v1alpha1.ReasonAccountBlocked, true},
		"quota":             {failed(provider.CodeQuota), v1alpha1.ReasonUnreachable, false},
		"unknown":           {errors.New("SECRET in a raw error"), v1alpha1.ReasonUnreachable, false},
		"no driver":         {&provider.Error{Code: provider.CodeInvalid, Err: registry.ErrNoDriver}, v1alpha1.ReasonDriverMissing, true},
		"missing":           {&connections.MissingCredentialsError{}, v1alpha1.ReasonCredentialsMissing, true},
		"being deleted":     {&deletingError{}, v1alpha1.ReasonCredentialsMissing, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := classify(test.err)
			if got.reason != test.reason || got.stalled != test.stalled || got.ready {
				t.Errorf("got %+v", got)
			}
			if strings.Contains(got.message, "SECRET") || strings.Contains(got.message, "..") || !strings.HasSuffix(got.message, ".") {
				t.Errorf("the message is %q", got.message)
			}
			if _, ok := v1alpha1.ReasonHelp[got.reason]; !ok {
				t.Errorf("the reason %s has no message", got.reason)
			}
		})
	}
}

// TestWrongCredentialsAndMissingRightsDiffer: the message does not ask to replace working
// credentials that lack a right.
func TestWrongCredentialsAndMissingRightsDiffer(t *testing.T) {
	const replace = "Put working credentials"
	for code, want := range map[provider.Code]bool{provider.CodeUnauthenticated: true, provider.CodePermissionDenied: false} {
		got := classify(&provider.Error{Code: code, Message: "it failed"})
		if strings.Contains(got.message, replace) != want {
			t.Errorf("%s: the message is %q", code, got.message)
		}
	}
}

func TestWaitAfterACheckDependsOnItsResult(t *testing.T) {
	down := &provider.Error{Code: provider.CodeUnavailable}
	tests := map[string]struct {
		err      error
		failures int
		least    time.Duration
		most     time.Duration
	}{
		"works":                                    {nil, 0, recheckEvery, recheckEvery + recheckEvery/10},
		"unreachable once":                         {down, 1, time.Second, time.Second},
		"unreachable three times":                  {down, 3, 4 * time.Second, 4 * time.Second},
		"unreachable for a long time":              {down, 40, soonRetry, soonRetry},
		"a Secret can be created without an event": {&connections.MissingCredentialsError{}, 40, soonRetry, soonRetry},
		"the account is blocked for a long time":   {&provider.Error{Code: provider.CodeAccountBlocked}, 40, recheckEvery, recheckEvery},
		"rejected for a long time":                 {&provider.Error{Code: provider.CodeUnauthenticated}, 40, recheckEvery, recheckEvery},
		"the provider asks to wait":                {&provider.Error{Code: provider.CodeRateLimited, RetryAfter: 5 * time.Minute}, 1, 5 * time.Minute, 5 * time.Minute},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := pause(test.err, test.failures, "uid"); got < test.least || got > test.most {
				t.Errorf("got %s, want %s to %s", got, test.least, test.most)
			}
		})
	}
}

func TestInUseMessageNamesFive(t *testing.T) {
	var names []string
	for i := range 8 {
		names = append(names, fmt.Sprintf("ns/t%d", i))
	}
	got := inUseMessage(names)
	for _, want := range []string{"ns/t0", "ns/t4", "and 3 more"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
	if strings.Contains(got, "ns/t5") {
		t.Errorf("%q names more than five", got)
	}
}

func TestConditionsReplaceEachOther(t *testing.T) {
	p := &v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p", Generation: 3}}
	o := account.Of(p)
	types := func() map[string]metav1.ConditionStatus {
		out := map[string]metav1.ConditionStatus{}
		for _, c := range o.Status.Conditions {
			out[c.Type] = c.Status
		}
		return out
	}
	steps := []struct {
		v    verdict
		want map[string]metav1.ConditionStatus
	}{
		{verdict{reason: v1alpha1.ReasonUnreachable}, map[string]metav1.ConditionStatus{"Ready": "False", "Reconciling": "True"}},
		{verdict{stalled: true, reason: v1alpha1.ReasonCredentialsRejected}, map[string]metav1.ConditionStatus{"Ready": "False", "Stalled": "True"}},
		{verdict{ready: true, reason: v1alpha1.ReasonReady}, map[string]metav1.ConditionStatus{"Ready": "True"}},
	}
	now := metav1.NewTime(time.Unix(1000, 0))
	for _, step := range steps {
		setConditions(o, step.v, nil, now)
		if diff := cmp.Diff(step.want, types()); diff != "" {
			t.Errorf("after %s: %s", step.v.reason, diff)
		}
	}
	ready := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady)
	if ready.ObservedGeneration != 3 || !ready.LastTransitionTime.Equal(&now) {
		t.Errorf("Ready is %+v", ready)
	}
}

// TestLongMessageIsCut: a message longer than the schemas of conditions and events allow
// would make the API server reject the status and the event.
func TestLongMessageIsCut(t *testing.T) {
	w := newWorld(t)
	key := w.provider("p", "minter")
	recorder := events.NewFakeRecorder(1)
	r := &Reconciler{Client: w.Client, Clock: newShifted(), Pool: &scripted{}, Recorder: recorder}
	if _, err := r.report(t.Context(), w.get(key), finding{err: provider.Invalid("spec.x " + strings.Repeat("€", 40_000))}, nil); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionStalled} {
		c := meta.FindStatusCondition(w.get(key).Status.Conditions, kind)
		if c == nil || !strings.HasPrefix(c.Message, "spec.x ") || !strings.HasSuffix(c.Message, "€...") || len(c.Message) > v1alpha1.MaxMessage {
			t.Errorf("%s is %+v", kind, c)
		}
	}
	if note := (<-recorder.Events); !strings.HasSuffix(note, "€...") || len(note) > len("Warning InvalidSettings ")+v1alpha1.MaxMessage {
		t.Errorf("the event says %d bytes: %s", len(note), note)
	}
}

// seenEvents records the objects of events.
type seenEvents struct{ regarding []runtime.Object }

func (s *seenEvents) Eventf(regarding, _ runtime.Object, _, _, _, _ string, _ ...any) {
	s.regarding = append(s.regarding, regarding)
}

// TestReadinessIsAudited: there is a line and an event when a provider becomes Ready and
// when it ceases to be Ready, and none while it does not change. All events have the same
// reference, so that the recorder aggregates those of a provider that flaps.
func TestReadinessIsAudited(t *testing.T) {
	w := newWorld(t)
	key := w.provider("p", "minter")
	log, recorder := &testutil.Log{}, &seenEvents{}
	r := &Reconciler{Client: w.Client, Clock: newShifted(), Pool: &scripted{}, Recorder: recorder, Audit: audit.New(log.Logger(0))}
	good := finding{account: provider.Account{ID: "acct"}}
	bad := finding{err: &provider.Error{Code: provider.CodeUnavailable, Message: "away CANARY"}}
	for _, found := range []finding{good, good, bad, bad, good} {
		if _, err := r.report(t.Context(), w.get(key), found, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := log.Count(`"found"="ProviderReady"`, `"provider"="p"`, `"reason"="Ready"`, `"askedBy"="check"`); n != 2 {
		t.Errorf("%d lines say that it is Ready: %s", n, log)
	}
	if n := log.Count(`"found"="ProviderNotReady"`, `"reason"="Unreachable"`); n != 1 || strings.Contains(log.String(), "CANARY") {
		t.Errorf("%d lines say that it is not Ready: %s", n, log)
	}
	if len(recorder.regarding) != 3 {
		t.Fatalf("%d events", len(recorder.regarding))
	}
	for _, regarding := range recorder.regarding {
		if diff := cmp.Diff(recorder.regarding[0], regarding); diff != "" {
			t.Errorf("the events are about different references: %s", diff)
		}
	}
}

func TestLedgerChangesCauseAReconcile(t *testing.T) {
	token := func(change func(*v1alpha1.ApiToken)) *v1alpha1.ApiToken {
		tok := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "t", Finalizers: []string{v1alpha1.Finalizer}}}
		tok.Spec.ProviderRef.Name = "p"
		tok.Status.Credentials = []v1alpha1.LedgerEntry{{Name: "a", State: v1alpha1.StateMinting}}
		change(tok)
		return tok
	}
	before := token(func(*v1alpha1.ApiToken) {})
	tests := map[string]struct {
		change func(*v1alpha1.ApiToken)
		want   bool
	}{
		"a state":     {func(t *v1alpha1.ApiToken) { t.Status.Credentials[0].State = v1alpha1.StateActive }, false},
		"a condition": {func(t *v1alpha1.ApiToken) { t.Status.Conditions = []metav1.Condition{{Type: "Ready"}} }, false},
		"a new entry": {func(t *v1alpha1.ApiToken) {
			t.Status.Credentials = append(t.Status.Credentials, v1alpha1.LedgerEntry{Name: "b"})
		}, true},
		"the finalizer":          {func(t *v1alpha1.ApiToken) { t.Finalizers = nil }, true},
		"another provider":       {func(t *v1alpha1.ApiToken) { t.Spec.ProviderRef.Name = "q" }, true},
		"the last entry is gone": {func(t *v1alpha1.ApiToken) { t.Status.Credentials = nil }, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := ledgerChanged(event.UpdateEvent{ObjectOld: before, ObjectNew: token(test.change)}); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

// TestLastErrorChangesOnceAMinute: status.lastError shows the latest error of a call. The
// error of an earlier process stays until there is a newer one.
func TestLastErrorChangesOnceAMinute(t *testing.T) {
	o := account.Of(&v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p"}})
	c, pool := newShifted(), &scripted{}
	r := &Reconciler{Clock: c, Pool: pool}
	failed := func(second int64, message string) *pacing.Failure {
		return &pacing.Failure{At: time.Unix(second, 5), Operation: "mint", Code: provider.CodeQuota, Message: message}
	}
	earlier := &v1alpha1.ProviderError{Message: "of an earlier process"}
	o.Status.LastError = earlier
	if shown, wait := r.lastError(o); shown != earlier || wait != 0 {
		t.Errorf("without an error it shows %+v and waits %s", shown, wait)
	}
	pool.health.LastError = failed(10, "first")
	shown, wait := r.lastError(o)
	want := &v1alpha1.ProviderError{At: metav1.Unix(10, 0), Operation: "mint", Code: "QuotaExceeded", Message: "first"}
	if !want.At.Equal(&shown.At) || shown.Operation != want.Operation || shown.Code != want.Code || shown.Message != want.Message || wait != 0 {
		t.Errorf("it shows %+v after %s, want %+v at once", shown, wait, want)
	}
	o.Status.LastError = shown
	r.memory.setLastError(o.Key(), c.Monotonic())
	if again, wait := r.lastError(o); again != shown || wait != 0 {
		t.Errorf("the same error is shown as %+v after %s", again, wait)
	}
	pool.health.LastError = failed(20, strings.Repeat("é", 2000))
	if kept, wait := r.lastError(o); kept != shown || wait <= lastErrorEvery-time.Second || wait > lastErrorEvery {
		t.Errorf("within the minute it shows %+v and reconciles again after %s", kept, wait)
	}
	c.advance(lastErrorEvery)
	if shown, wait = r.lastError(o); shown.Message != v1alpha1.CutMessage(strings.Repeat("é", 2000)) || wait != 0 {
		t.Errorf("after the minute it shows %q and waits %s", shown.Message, wait)
	}
	r.memory.forget(o.Key())
	if _, ok := r.memory.lastErrorAt(o.Key()); ok {
		t.Error("a deleted provider is remembered")
	}
}

func TestSoonerIgnoresNoWait(t *testing.T) {
	for _, c := range [][3]time.Duration{{0, 0, 0}, {1, 0, 1}, {0, 2, 2}, {1, 2, 1}, {2, 1, 1}} {
		if got := sooner(c[0], c[1]); got != c[2] {
			t.Errorf("the sooner of %d and %d is %d", c[0], c[1], got)
		}
	}
}
