package metrics

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"apitoken.dev/operator/internal/provider"
)

func registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(durations, failures, waits, held)
	return r
}

func TestCallsAreCountedByResult(t *testing.T) {
	durations.Reset()
	failures.Reset()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx context.Context
		err error
	}{
		{t.Context(), nil},
		{t.Context(), &provider.Error{Code: provider.CodeQuota}},
		{t.Context(), &provider.Refusal{}},
		{t.Context(), errors.New("CANARY")},
		{ended, &provider.Error{Code: provider.CodeUnavailable}},
	} {
		Called(c.ctx, "fake", "mint", 2*time.Second, c.err)
	}
	want := `
# HELP apitoken_provider_call_errors_total Failed calls to a provider, by driver, operation and error code.
# TYPE apitoken_provider_call_errors_total counter
apitoken_provider_call_errors_total{code="GivenUp",driver="fake",operation="mint"} 1
apitoken_provider_call_errors_total{code="QuotaExceeded",driver="fake",operation="mint"} 1
apitoken_provider_call_errors_total{code="Refused",driver="fake",operation="mint"} 1
apitoken_provider_call_errors_total{code="Unknown",driver="fake",operation="mint"} 1
`
	if err := testutil.GatherAndCompare(registry(), strings.NewReader(want), "apitoken_provider_call_errors_total"); err != nil {
		t.Error(err)
	}
	families, err := registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "apitoken_provider_call_duration_seconds" {
			continue
		}
		if h := family.GetMetric()[0].GetHistogram(); h.GetSampleCount() != 5 || h.GetSampleSum() != 10 {
			t.Errorf("%d calls took %gs", h.GetSampleCount(), h.GetSampleSum())
		}
	}
}
