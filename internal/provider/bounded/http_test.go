package bounded_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
)

// web is a driver that reads pages from an address until a page names no next one.
type web struct {
	*odd
	url string
	// swallow treats errors as the end of the list, as a careless driver does.
	swallow bool
	http    *http.Client
}

func (w *web) Connect(_ context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	w.http = cfg.HTTP
	return w, w.account, nil
}

// pages reads until an answer has no body.
func (w *web) pages(ctx context.Context) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := w.http.Do(req)
		if err != nil {
			if w.swallow {
				return nil
			}
			return &provider.Error{Code: provider.CodeUnavailable, Message: "no answer", Err: err}
		}
		content, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return &provider.Error{Code: provider.CodeInvalid, Message: resp.Status}
		}
		if len(content) == 0 {
			return nil
		}
	}
}

func (w *web) Find(ctx context.Context, _ provider.Ref) ([]provider.Credential, error) {
	return nil, w.pages(ctx)
}

func (w *web) Revoke(ctx context.Context, _ provider.Ref) error { return w.pages(ctx) }

func (w *web) List(ctx context.Context, _ provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		if err := w.pages(ctx); err != nil {
			yield(provider.Credential{}, err)
		}
	}
}

// serving returns the client of a web driver on a server, and counts its requests.
func serving(t *testing.T, o bounded.Options, swallow bool, h http.HandlerFunc) (provider.Client, func() int) {
	t.Helper()
	var mu sync.Mutex
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		mu.Unlock()
		h(w, r)
	}))
	t.Cleanup(s.Close)
	d := bounded.Driver(&web{odd: good(), url: s.URL, swallow: swallow}, o)
	c, _, err := d.Connect(t.Context(), provider.Config{HTTP: s.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return c, func() int { mu.Lock(); defer mu.Unlock(); return n }
}

// TestCallWithTooManyRequestsIsAnError: after 50 requests the call is an error, even if the
// driver treats the rejected request as the end.
func TestCallWithTooManyRequestsIsAnError(t *testing.T) {
	for _, swallow := range []bool{false, true} {
		c, requests := serving(t, bounded.Options{}, swallow, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "more") })
		for _, name := range []string{"Find", "List", "Revoke"} {
			before := requests()
			err := calls[name](t.Context(), nil, c)
			if !provider.InDoubt(err) || !strings.Contains(err.Error(), "50 requests") || requests()-before != 50 {
				t.Errorf("%s, swallowing %t: %v after %d requests", name, swallow, err, requests()-before)
			}
		}
	}
}

// TestEachRequestOfASweepWaitsForItsTurn: the list of a whole cluster can take many requests,
// and waits for its turn before each but the first.
func TestEachRequestOfASweepWaitsForItsTurn(t *testing.T) {
	turns, left := 0, 100
	o := bounded.Options{Pace: func(context.Context) error { turns++; return nil }}
	c, requests := serving(t, o, false, func(w http.ResponseWriter, _ *http.Request) {
		if left--; left > 0 {
			_, _ = io.WriteString(w, "more")
		}
	})
	if err := last(c.List(t.Context(), provider.Owner{Cluster: "c"})); err != nil || requests() != 100 || turns != 99 {
		t.Errorf("%v after %d requests and %d turns", err, requests(), turns)
	}
	held := errors.New("the provider asked for a pause")
	c, _ = serving(t, bounded.Options{Pace: func(context.Context) error { return held }}, false, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "more")
	})
	if err := last(c.List(t.Context(), provider.Owner{})); !errors.Is(err, held) {
		t.Errorf("held back: %v", err)
	}
}

// zeros writes n zero bytes.
func zeros(w io.Writer, n int) {
	block := make([]byte, 64<<10)
	for ; n > 0; n -= len(block) {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

func gzipped(n int) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	zeros(z, n)
	_ = z.Close()
	return out.Bytes()
}

// TestLargeAnswersAreRejectedInLittleMemory: no answer takes more memory than its limit.
func TestLargeAnswersAreRejectedInLittleMemory(t *testing.T) {
	bomb := gzipped(128 << 20)
	value := strings.Repeat("[],", 300_000)
	cases := map[string]http.HandlerFunc{
		"endless": func(w http.ResponseWriter, _ *http.Request) { zeros(w, 1<<30) },
		"an endless refusal": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			zeros(w, 1<<30)
		},
		"gzip that grows a thousandfold": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb)
		},
		"headers": func(w http.ResponseWriter, _ *http.Request) {
			for i := range 100 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 1000))
			}
		},
		"many values": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "["+value+"0]") },
		"many XML elements": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("<member/>", 100_000))
		},
	}
	for name, h := range cases {
		c, _ := serving(t, bounded.Options{}, false, h)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := c.Find(t.Context(), provider.Ref{Name: "n"})
		runtime.ReadMemStats(&after)
		if !provider.InDoubt(err) || !strings.Contains(err.Error(), "the call was stopped: the provider answered with") {
			t.Errorf("%s: %v", name, err)
		}
		// Both sides of the connection run in this process.
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
			t.Errorf("%s took %d MiB", name, took>>20)
		}
	}
}

func TestAllAnswersTogetherAreBounded(t *testing.T) {
	page := strings.Repeat("x", 1<<20)
	c, requests := serving(t, bounded.Options{}, true, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })
	if _, err := c.Find(t.Context(), provider.Ref{Name: "n"}); !provider.InDoubt(err) || requests() != 17 {
		t.Errorf("%v after %d requests", err, requests())
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	c, requests := serving(t, bounded.Options{}, false, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	if _, err := c.Find(t.Context(), provider.Ref{Name: "n"}); err == nil || requests() != 1 {
		t.Errorf("%v after %d requests", err, requests())
	}
}

func TestWithoutAnHTTPClientNothingIsSent(t *testing.T) {
	w := &web{odd: good(), url: "http://192.0.2.1/"}
	c, _, err := bounded.Driver(w, bounded.Options{}).Connect(t.Context(), provider.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Find(t.Context(), provider.Ref{Name: "n"}); err == nil {
		t.Error("a request was sent without a client")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (r roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return r(req) }

// TestUnansweredRequestEndsBeforeItsCall: a request that is not answered ends before its call does.
func TestUnansweredRequestEndsBeforeItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		w := &web{odd: good(), url: "http://192.0.2.1/", http: bounded.HTTP(hang)}
		since := clock.NewReal() // in the time of the bubble
		_, err := bounded.Client(w, bounded.Options{}).Find(t.Context(), provider.Ref{Name: "n"})
		if took := since.Monotonic(); err == nil || took != bounded.RequestTime {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// TestRefusedAddressIsInDoubtAfterARequest: a refused address is an explicit rejection only when no request of
// the call was sent. The message names the host, what is refused and what to do.
func TestRefusedAddressIsInDoubtAfterARequest(t *testing.T) {
	for sent, inDoubt := range map[int]bool{0: false, 1: true} {
		n := 0
		client := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			if n++; n > sent {
				return nil, fmt.Errorf("dial: %w", bounded.ErrAddress)
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("more"))}, nil
		})}
		w := &web{odd: good(), url: "http://me:word@192.0.2.1/word?word", http: bounded.HTTP(client)}
		_, err := bounded.Client(w, bounded.Options{}).Find(t.Context(), provider.Ref{Name: "n"})
		if provider.InDoubt(err) != inDoubt || !errors.Is(err, bounded.ErrAddress) || provider.AsError(err).Code != provider.CodeInvalid {
			t.Errorf("after %d requests: %v, in doubt %t", sent, err, provider.InDoubt(err))
		}
		for _, says := range []string{`"192.0.2.1"`, "loopback", "link-local", "metadata", "100.64.0.0/10", "private", "--tenant-endpoints", "ClusterTokenProvider"} {
			if got := provider.AsError(err).Message; !strings.Contains(got, says) || strings.Contains(got, "word") {
				t.Errorf("%q does not contain %s, or contains more than the host", got, says)
			}
		}
	}
}

// TestDecodersAreFreedAfterPanicsAndUnclosedAnswers: drivers that never close an answer, or panic while
// they read it, do not block other drivers.
func TestDecodersAreFreedAfterPanicsAndUnclosedAnswers(t *testing.T) {
	client := answered()
	o := good()
	o.do = func(ctx context.Context) error {
		resp, err := get(ctx, client) //nolint:bodyclose // that it is not closed is the case
		if err != nil {
			return err
		}
		if _, err := resp.Body.Read(make([]byte, 1)); err != nil {
			return err
		}
		panic("while it reads") // and does not close
	}
	c := bounded.Client(o, bounded.Options{})
	for range 20 {
		if err := c.Revoke(t.Context(), provider.Ref{Name: "n"}); provider.AsError(err).Code != provider.CodeUnknown {
			t.Fatalf("got %v", err)
		}
	}
}
