package testutil

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func TestClockMovesWallAndMonotonicTime(t *testing.T) {
	c := NewClock(epoch)
	c.Advance(time.Minute)
	c.AdvanceMonotonic(time.Second)
	c.SetWall(epoch)
	c.AdvanceTo(epoch.Add(time.Hour))
	c.AdvanceTo(epoch)
	if now, mono := c.Now(), c.Monotonic(); !now.Equal(epoch.Add(time.Hour)) || mono != time.Hour+time.Minute+time.Second {
		t.Errorf("wall %v, monotonic %v", now, mono)
	}
}

func TestSleepWaitsForMonotonicTime(t *testing.T) {
	c := NewClock(epoch)
	slept := make(chan error, 1)
	go func() { slept <- c.Sleep(t.Context(), time.Minute) }()
	if err := c.WaitForSleepers(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Minute - 1)
	c.SetWall(epoch.Add(time.Hour)) // a jump of the wall clock wakes no sleeper
	select {
	case err := <-slept:
		t.Fatalf("woke too early: %v", err)
	default:
	}
	c.Advance(1)
	if err := <-slept; err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Sleep(ended, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

func TestRequestsAreCountedByVerbAndResource(t *testing.T) {
	r := &Requests{Apart: []string{"minter"}}
	transport := r.Wrap(roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("no server") }))
	for _, sent := range []struct{ method, path string }{
		{http.MethodGet, "/api/v1/namespaces/ml/secrets/training"},
		{http.MethodGet, "/api/v1/namespaces/ml/secrets/minter"},
		{http.MethodGet, "/api/v1/secrets?watch=true"},
		{http.MethodGet, "/api/v1/secrets?limit=500"},
		{http.MethodGet, "/api/v1/namespaces/ml"},
		{http.MethodPost, "/api/v1/namespaces/ml/secrets?dryRun=All"},
		{http.MethodPost, "/api/v1/namespaces/ml/secrets"},
		{http.MethodPut, "/apis/apitoken.dev/v1alpha1/namespaces/ml/apitokens/training/status"},
		{http.MethodPatch, "/apis/apitoken.dev/v1alpha1/namespaces/ml/apitokens/training"},
		{http.MethodDelete, "/apis/apitoken.dev/v1alpha1/clustertokenproviders/store"},
		{http.MethodPost, "/apis/events.k8s.io/v1/namespaces/ml/events"},
		{http.MethodGet, "/apis/apitoken.dev/v1alpha1"},
		{http.MethodGet, "/version"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), sent.method, "https://server"+sent.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := transport.RoundTrip(req); err == nil {
			_ = res.Body.Close()
		}
	}
	got := r.Take()
	want := Counts{
		{Verb: "get", Resource: "secrets"}: 1, {Verb: "get", Resource: "secrets:minter"}: 1, {Verb: "watch", Resource: "secrets"}: 1,
		{Verb: "list", Resource: "secrets"}: 1, {Verb: "get", Resource: "namespaces"}: 1,
		{Verb: "create", Resource: "secrets", DryRun: true}: 1, {Verb: "create", Resource: "secrets"}: 1,
		{Verb: "update", Resource: "apitokens/status"}: 1, {Verb: "patch", Resource: "apitokens"}: 1,
		{Verb: "delete", Resource: "clustertokenproviders"}: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if got.Writes() != 4 || got.Reads() != 3 || got.Of("apitokens").Writes() != 2 {
		t.Errorf("%d writes, %d reads: %s", got.Writes(), got.Reads(), got)
	}
	if len(r.Take()) > 0 {
		t.Error("counted twice")
	}
}

func TestLogFindsLines(t *testing.T) {
	var l Log
	l.Logger(5).V(5).Info("deep", "name", "a")
	l.Logger(5).V(6).Info("deeper", "name", "a")
	l.Logger(0).WithName("part").Error(errors.New("no"), "failed", "name", "b")
	if l.Count() != 2 || l.Count(`"name"="a"`, "deep") != 1 || l.Last(`"name"="b"`) == "" || l.Last(`"name"="c"`) != "" {
		t.Errorf("the log:\n%s", l.String())
	}
	if tail := l.Tail(5); tail != l.Last("failed") {
		t.Errorf("tail: %s", tail)
	}
}
