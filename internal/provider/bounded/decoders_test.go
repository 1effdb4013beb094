package bounded_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
)

// TestDecodingIsLimitedInTotalAndPerOwner: while four answers are being read, a fifth waits,
// and ends with its call. So does the second answer of an owner, while others continue.
func TestDecodingIsLimitedInTotalAndPerOwner(t *testing.T) {
	for name, c := range map[string]struct {
		reading []string
		waits   string
	}{
		"four owners":                {[]string{"a", "b", "c", "d"}, "e"},
		"one owner":                  {[]string{"a"}, "a"},
		"one owner and three others": {[]string{"a", "b", "c"}, "a"},
	} {
		t.Run(name, func(t *testing.T) { testWaits(t, c.reading, c.waits) })
	}
}

// answered returns a client whose requests are answered at once.
func answered() *http.Client {
	return bounded.HTTP(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("content"))}, nil
	})})
}

// get sends a request. The caller closes the body of the answer.
func get(ctx context.Context, client *http.Client) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://192.0.2.1/", http.NoBody)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}

// testWaits lets owners read one answer each, and checks that another answer waits
// until those are read.
func testWaits(t *testing.T, reading []string, waits string) {
	client := answered()
	release, ended := make(chan struct{}), make(chan error)
	// read begins to read an answer, after before, and holds it until the release.
	read := func(ctx context.Context, owner string, before func()) error {
		began := make(chan error, 1)
		o := good()
		o.do = func(ctx context.Context) error {
			resp, err := get(ctx, client)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			before()
			_, err = resp.Body.Read(make([]byte, 1))
			began <- err
			<-release
			return err
		}
		go func() { ended <- bounded.Client(o, bounded.Options{Owner: owner}).Revoke(ctx, provider.Ref{Name: "n"}) }()
		return <-began
	}
	for _, owner := range reading {
		if err := read(t.Context(), owner, func() {}); err != nil {
			t.Errorf("%s: %v", owner, err)
		}
	}
	ctx, giveUp := context.WithCancel(t.Context())
	if err := read(ctx, waits, giveUp); !errors.Is(err, context.Canceled) {
		t.Errorf("an answer of %s was read together with those of %v: %v", waits, reading, err)
	}
	close(release)
	failed := 0
	for range len(reading) + 1 {
		if err := <-ended; err != nil {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d calls failed, want only the one that waited", failed)
	}
}

// TestLongDecodingEndsTheCall: a call that takes long to read one answer, for example because of
// expensive expressions, ends, so that other owners can read theirs.
func TestLongDecodingEndsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := good()
		client := answered()
		o.do = func(ctx context.Context) error {
			resp, err := get(ctx, client)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if _, err := io.ReadAll(resp.Body); err != nil {
				return err
			}
			<-ctx.Done() // as an evaluation does
			return nil
		}
		since := clock.NewReal() // in the time of the bubble
		_, err := bounded.Client(o, bounded.Options{}).Find(t.Context(), provider.Ref{Name: "n"})
		took := since.Monotonic()
		if took != 5*time.Second || !errors.Is(err, provider.ErrCut) || !strings.Contains(err.Error(), "longer than 5s to read one answer") {
			t.Errorf("after %s: %v", took, err)
		}
	})
}
