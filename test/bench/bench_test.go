package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestMedianIsNotMovedByAnOutlier(t *testing.T) {
	cases := map[string]struct {
		numbers []float64
		want    float64
	}{
		"none":        {nil, 0},
		"one":         {[]float64{3}, 3},
		"odd":         {[]float64{9, 1, 3}, 3},
		"even":        {[]float64{4, 1, 2, 9}, 3},
		"one outlier": {[]float64{1, 1, 1, 1000}, 1},
	}
	for name, c := range cases {
		if got := median(c.numbers); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestInvalidFlagsAreRejected(t *testing.T) {
	s, err := parse(nil, io.Discard)
	if err != nil || s.tokens != 500 || s.concurrency != 16 {
		t.Errorf("without flags: %+v, %v", s, err)
	}
	for _, args := range [][]string{{"-tokens", "0"}, {"-rounds", "0"}, {"-concurrency", "0"}, {"-tokens", "3", "-rounds", "4"}, {"more"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}

func TestParallelCallsAllAndReturnsTheFirstError(t *testing.T) {
	var sum atomic.Int64
	err := parallel(t.Context(), 3, 10, func(_ context.Context, i int) error {
		sum.Add(int64(i))
		return nil
	})
	if err != nil || sum.Load() != 45 {
		t.Errorf("the sum is %d: %v", sum.Load(), err)
	}
	broken := errors.New("broken")
	if err := parallel(t.Context(), 3, 1000, func(context.Context, int) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestTrafficHidesANamespaceAndHoldsWrites(t *testing.T) {
	queries := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { queries <- r.URL.RawQuery }))
	defer server.Close()
	tr := &traffic{blind: "hidden"}
	sendable := roundTripper{tr, tr.Wrap(http.DefaultTransport)}
	send := func(method, path string) error {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		res, err := sendable.RoundTrip(req)
		if err != nil {
			return err
		}
		return res.Body.Close()
	}
	paths := map[string]string{
		"/apis/apitoken.dev/v1alpha1/apitokens":              "fieldSelector=metadata.namespace%21%3Dhidden",
		"/apis/apitoken.dev/v1alpha1/namespaces/a/apitokens": "",
	}
	for path, want := range paths {
		if err := send(http.MethodGet, path); err != nil {
			t.Fatal(err)
		}
		if got := <-queries; got != want {
			t.Errorf("%s was asked with %q, want %q", path, got, want)
		}
	}

	tr.hold()
	done := make(chan error, 1)
	go func() { done <- send(http.MethodPatch, "/apis/apitoken.dev/v1alpha1/namespaces/a/apitokens/t") }()
	if err := tr.quiet(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(queries) != 0 {
		t.Error("a write passed the gate")
	}
	tr.release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := send(http.MethodPost, "/apis/events.k8s.io/v1/namespaces/a/events"); err != nil {
		t.Error(err)
	}
	got := tr.take()
	if got.tokens().Writes() != 1 || got.events != 1 {
		t.Errorf("counted %s and %d events", got.counts, got.events)
	}
}

func TestReportHasRatiosAndAims(t *testing.T) {
	one := round{
		operator: cost{tokens: 10, wall: time.Second, cpu: 20 * time.Millisecond},
		floor:    cost{tokens: 10, wall: time.Second / 2, cpu: 5 * time.Millisecond},
	}
	other := one
	other.floor.wall = 4 * time.Second
	r := results{rounds: []round{one, one, other}, rotation: cost{tokens: 30, wall: time.Second}}
	var out strings.Builder
	r.print(&out, settings{tokens: 30})
	for _, want := range []string{"ratio 0.50 (0.50 to 4.00)", "difference 1.50", "0.50, missed", "2.00 in total, met", "something else is using this machine"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
}
