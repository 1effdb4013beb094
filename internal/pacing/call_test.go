package pacing

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/testutil"
)

// measured is a bench whose metrics are separate from those of other tests.
func measured(t *testing.T) *bench {
	b := newBench(t)
	b.gate.driver = t.Name()
	return b
}

// TestCallsAreCounted: each operation with its time and the code of its error.
func TestCallsAreCounted(t *testing.T) {
	b := measured(t)
	b.gate.limiter = newLimiter(b.clock, -1, 2)
	calls := b.calls(t.Context())
	b.inner.err = &provider.Error{Code: provider.CodeQuota, Message: "full"}
	for name, call := range calls {
		if err := call(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for operation, want := range map[string]uint64{"mint": 1, "find": 1, "list": 2, "revoke": 1, "update": 1, "probe": 1} {
		labels := prometheus.Labels{"driver": t.Name(), "operation": operation}
		if got := testutil.Series(t, "apitoken_provider_call_duration_seconds", labels).GetHistogram().GetSampleCount(); got != want {
			t.Errorf("%s: %d calls, want %d", operation, got, want)
		}
		labels["code"] = string(provider.CodeQuota)
		if got := testutil.Series(t, "apitoken_provider_call_errors_total", labels).GetCounter().GetValue(); got != float64(want) {
			t.Errorf("%s: %g errors, want %d", operation, got, want)
		}
	}
}

// TestTimeOfAListExcludesItsConsumer: what the caller does between two credentials.
func TestTimeOfAListExcludesItsConsumer(t *testing.T) {
	b := measured(t)
	for _, err := range b.gate.Client(b.inner, b.caller()).List(t.Context(), provider.Owner{}) {
		if err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(time.Minute)
	}
	h := testutil.Series(t, "apitoken_provider_call_duration_seconds", prometheus.Labels{"driver": t.Name(), "operation": "list"}).GetHistogram()
	if h.GetSampleCount() != 1 || h.GetSampleSum() != 0 {
		t.Errorf("%d calls took %gs", h.GetSampleCount(), h.GetSampleSum())
	}
}

// TestQueueTimeIsCounted: a queued call with its time, a call that is not sent with the
// reason.
func TestQueueTimeIsCounted(t *testing.T) {
	b := measured(t)
	calls := b.calls(t.Context())
	for range 2 {
		if err := calls["find"](); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	for range 4 {
		go func() { ended <- calls["revoke"]() }()
	}
	if err := b.clock.WaitForSleepers(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	if err := calls["mint"](); err == nil {
		t.Error("it is sent")
	}
	b.letGo(ended, 4)
	h := testutil.Series(t, "apitoken_provider_rate_limit_wait_seconds", prometheus.Labels{"driver": t.Name()}).GetHistogram()
	if h.GetSampleCount() != 6 || h.GetSampleSum() != 1+2+3+4 {
		t.Errorf("%d calls waited %gs", h.GetSampleCount(), h.GetSampleSum())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.calls(ctx)["find"](); err == nil {
		t.Error("it is sent")
	}
	b.gate.leave(t.Context(), opFind, &provider.Error{Code: provider.CodeRateLimited, RetryAfter: time.Minute})
	if err := calls["find"](); err == nil {
		t.Error("it is sent into a pause")
	}
	if err := Blocked(b.gate.Client(b.inner, b.caller())); err == nil {
		t.Error("a Mint would be sent into a pause")
	}
	for _, want := range [][2]string{{"mint", "crowded"}, {"find", "given_up"}, {"find", "pause"}, {"mint", "pause"}} {
		labels := prometheus.Labels{"driver": t.Name(), "operation": want[0], "reason": want[1]}
		if got := testutil.Series(t, "apitoken_provider_calls_held_back_total", labels).GetCounter().GetValue(); got != 1 {
			t.Errorf("%v: %g", want, got)
		}
	}
}
