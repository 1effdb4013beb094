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

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
)

// TestFewAnswersAreDecodedAtOnce: while four answers are being read, whoever has them,
// a fifth waits, and ends with its call.
func TestFewAnswersAreDecodedAtOnce(t *testing.T) {
	client := bounded.HTTP(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("content"))}, nil
	})})
	// reading begins to read an answer, after before, and holds it until the release.
	reading := func(before func(), began chan<- error, release <-chan struct{}) func(context.Context) error {
		return func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://192.0.2.1/", http.NoBody)
			if err != nil {
				return err
			}
			resp, err := client.Do(req)
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
	}
	const most = 4
	began, release, ended := make(chan error), make(chan struct{}), make(chan error)
	for range most {
		o := good()
		o.do = reading(func() {}, began, release)
		go func() { ended <- bounded.Client(o, bounded.Options{}).Revoke(t.Context(), provider.Ref{Name: "n"}) }()
	}
	for range most {
		if err := <-began; err != nil {
			t.Error(err)
		}
	}
	ctx, giveUp := context.WithCancel(t.Context())
	o, fifth := good(), make(chan error, 1)
	o.do = reading(giveUp, fifth, release)
	go func() { ended <- bounded.Client(o, bounded.Options{}).Revoke(ctx, provider.Ref{Name: "n"}) }()
	if err := <-fifth; !errors.Is(err, context.Canceled) {
		t.Errorf("the fifth answer was read beside four others: %v", err)
	}
	close(release)
	failed := 0
	for range most + 1 {
		if err := <-ended; err != nil {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d calls failed, want only that of the fifth answer", failed)
	}
}

// TestLongReadsEnd: a driver that takes long over one answer, such as one with expensive
// expressions, does not keep others from reading theirs until its call ends.
func TestLongReadsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := good()
		client := bounded.HTTP(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("content"))}, nil
		})})
		o.do = func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://192.0.2.1/", http.NoBody)
			if err != nil {
				return err
			}
			resp, err := client.Do(req)
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
		start := time.Now() //nolint:forbidigo // the time of the bubble
		_, err := bounded.Client(o, bounded.Options{}).Find(t.Context(), provider.Ref{Name: "n"})
		took := time.Since(start) //nolint:forbidigo // the time of the bubble
		if took != 5*time.Second || !errors.Is(err, provider.ErrCut) || !strings.Contains(err.Error(), "longer than 5s to read one answer") {
			t.Errorf("after %s: %v", took, err)
		}
	})
}
