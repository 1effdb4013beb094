package connections

import (
	"context"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/internal/transport"
	"apitoken.dev/operator/test/support/fake"
)

// hostile is a driver that panics, or records its arguments.
type hostile struct {
	*fake.Driver
	panics bool
	http   *http.Client
	// pages is the URL that its client lists from; empty means the list of the fake.
	pages string
	// lost: it panics when it is asked for its server after it has connected.
	lost bool
}

func (h *hostile) Connect(ctx context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	if h.http = cfg.HTTP; h.panics {
		panic("CANARY-value")
	}
	client, account, err := h.Driver.Connect(ctx, cfg)
	if h.pages != "" {
		client = &paged{Client: client, http: cfg.HTTP, url: h.pages}
	}
	return client, account, err
}

func (h *hostile) Validate(cfg provider.Config, req provider.MintRequest) error {
	if h.panics {
		panic("CANARY-value")
	}
	return h.Driver.Validate(cfg, req)
}

func (h *hostile) Server(ctx context.Context, cfg provider.Config) provider.Server {
	if h.lost {
		panic("CANARY-value")
	}
	return h.Driver.Server(ctx, cfg)
}

// contained returns a world whose pool has a hostile driver.
func contained(t *testing.T) (*world, *hostile) {
	t.Helper()
	w := newWorld(t)
	h := &hostile{Driver: fake.New(w.backend)}
	drivers, err := registry.New(registry.Entry{Driver: h, Settings: func(s registry.Spec) (any, bool) { return s.AWS.Region, s.AWS != nil }})
	w.OK(err)
	w.pool = NewPool(Options{Reader: w.Client, Live: w.Client, Registry: drivers, Namespace: w.key.Namespace, Cluster: "cluster"})
	return w, h
}

// TestPanicOfADriverIsAnError: it does not end the process, the pool stays usable, and the
// log entry has a stack and no secret value.
func TestPanicOfADriverIsAnError(t *testing.T) {
	w, h := contained(t)
	h.panics = true
	var log strings.Builder
	ctx := logr.NewContext(t.Context(), funcr.New(func(_, args string) { log.WriteString(args) }, funcr.Options{}))
	_, err := w.viaConnect(ctx, w.key)
	if e := provider.AsError(err); err == nil || e.Code != provider.CodeUnknown || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("Connect: %v", err)
	}
	if said := log.String(); !strings.Contains(said, "contained_test.go") || !strings.Contains(said, "Connect") || strings.Contains(said, "CANARY") {
		t.Errorf("the log says %s", said)
	}
	f := w.facts(w.key, w.key.Namespace)
	if err := f.Driver.(provider.Validator).Validate(f.Config, provider.MintRequest{}); err == nil {
		t.Error("Validate panicked and refused nothing")
	}
	h.panics, h.lost = false, true
	if _, err := w.viaConnect(ctx, w.key); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if said := log.String(); !strings.Contains(said, `"method"="Server"`) {
		t.Errorf("the log says %s", said)
	}
}

// TestEveryDriverGetsItsHTTPClient: the client trusts the CAs of the provider. Invalid CAs
// are an error that names the field.
func TestEveryDriverGetsItsHTTPClient(t *testing.T) {
	w, h := contained(t)
	if _, err := w.viaConnect(t.Context(), w.key); err != nil || h.http == nil {
		t.Errorf("client %v, %v", h.http, err)
	}
	p := w.provider()
	w.Merge(p, func() {
		p.Spec.AWS.CABundle = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
	})
	_, err := w.viaConnect(t.Context(), w.key)
	if e := provider.AsError(err); err == nil || e.Code != provider.CodeInvalid || !strings.HasPrefix(e.Message, "spec.aws.caBundle") {
		t.Errorf("a broken bundle: %v", err)
	}
}

// paged is a client whose list of the whole cluster takes three requests.
type paged struct {
	provider.Client
	http *http.Client
	url  string
}

func (p *paged) List(ctx context.Context, _ provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		for range 3 {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, http.NoBody)
			if err == nil {
				var resp *http.Response
				if resp, err = p.http.Do(req); err == nil {
					err = resp.Body.Close()
				}
			}
			if err != nil {
				yield(provider.Credential{}, err)
				return
			}
		}
	}
}

// TestRequestsOfASweepAreRateLimited: each request of a long list counts against the rate
// limit. Here the second one would be queued for more than an hour.
func TestRequestsOfASweepAreRateLimited(t *testing.T) {
	w, h := contained(t)
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests++ }))
	t.Cleanup(server.Close)
	var local transport.Endpoints
	w.OK(local.Set("127.0.0.0/8,::1/128"))
	o := w.pool.o
	o.Rate, o.Burst, o.HTTP = 1e-5, 2, transport.New(transport.Options{Endpoints: local}) // the connect uses the rest of the burst
	w.pool = NewPool(o)
	h.pages = server.URL
	c, err := w.viaConnect(t.Context(), w.key)
	w.OK(err)
	var failed error
	for _, err := range c.Client.List(t.Context(), provider.Owner{Cluster: "cluster"}) {
		failed = err
	}
	if e := provider.AsError(failed); failed == nil || e.Code != provider.CodeRateLimited || requests != 1 {
		t.Errorf("%v after %d requests", failed, requests)
	}
}
