package main

import (
	"context"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"

	"apitoken.dev/operator/test/support/testutil"
)

// quietFor is how long a side must send nothing to count as done.
const quietFor = 200 * time.Millisecond

// traffic counts what one side sends to the API server, and can hold its writes
// of ApiTokens back until the clock runs.
type traffic struct {
	testutil.Requests
	events   atomic.Int64
	inFlight atomic.Int64
	last     atomic.Int64

	// blind, if set, is a namespace that all lists and watches exclude.
	blind string

	mu   sync.Mutex
	gate chan struct{} // nil: open
}

// configure returns a configuration whose requests all go through t, on their own
// connections and without client-side limits.
func (t *traffic) configure(cfg *rest.Config, name string) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.UserAgent = name
	cfg.QPS, cfg.Burst = -1, 0
	cfg.Dial = (&net.Dialer{}).DialContext
	cfg.Wrap(t.Wrap)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return roundTripper{t, next} })
	return cfg
}

type roundTripper struct {
	t    *traffic
	next http.RoundTripper
}

// everywhere are the resources that are listed and watched in all namespaces.
var everywhere = map[string]bool{"apitokens": true, "secrets": true}

// RoundTrip implements http.RoundTripper.
func (r roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	if r.t.blind != "" && everywhere[path.Base(req.URL.Path)] && !strings.Contains(req.URL.Path, "/namespaces/") {
		req = req.Clone(req.Context())
		query := req.URL.Query()
		query.Set("fieldSelector", "metadata.namespace!="+r.t.blind)
		req.URL.RawQuery = query.Encode()
	}
	if req.Method != http.MethodGet {
		if strings.HasSuffix(req.URL.Path, "/events") || strings.Contains(req.URL.Path, "/events/") {
			r.t.events.Add(1)
		}
		if strings.Contains(req.URL.Path, "/apitokens/") {
			if err := r.t.pass(req.Context()); err != nil {
				return nil, err
			}
		}
	}
	r.t.inFlight.Add(1)
	defer func() {
		r.t.last.Store(time.Now().UnixNano())
		r.t.inFlight.Add(-1)
	}()
	return r.next.RoundTrip(req)
}

// hold makes writes of ApiTokens wait until release.
func (t *traffic) hold() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gate = make(chan struct{})
}

func (t *traffic) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.gate)
	t.gate = nil
}

func (t *traffic) pass(ctx context.Context) error {
	t.mu.Lock()
	gate := t.gate
	t.mu.Unlock()
	if gate == nil {
		return nil
	}
	select {
	case <-gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// quiet waits until nothing has been sent for quietFor. A request that waits at the gate
// does not count as sent.
func (t *traffic) quiet(ctx context.Context) error {
	since := time.Now()
	for {
		last := time.Unix(0, t.last.Load())
		if last.Before(since) {
			last = since
		}
		rest := quietFor - time.Since(last)
		if rest <= 0 && t.inFlight.Load() == 0 {
			return nil
		}
		if err := sleep(ctx, max(rest, time.Millisecond)); err != nil {
			return err
		}
	}
}

// take returns what was sent since the last call of take.
func (t *traffic) take() sent {
	return sent{counts: t.Take(), events: int(t.events.Swap(0))}
}

// sent are numbers of requests.
type sent struct {
	counts testutil.Counts
	events int
}

// tokens are the requests for ApiTokens and their Secrets.
func (s sent) tokens() testutil.Counts { return s.counts.Of("apitokens", "secrets") }

// plus returns the sum.
func (s sent) plus(other sent) sent {
	sum := sent{counts: testutil.Counts{}, events: s.events + other.events}
	for _, counts := range []testutil.Counts{s.counts, other.counts} {
		for request, n := range counts {
			sum.counts[request] += n
		}
	}
	return sum
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
