package fake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/fake"
)

// wireDriver is a driver of the fake that asks a server before each call whether it
// may continue, so that the suite can take over its way. It has no optional powers
// but those of the fake's Driver.
type wireDriver struct {
	*fake.Driver
	url      string
	careless careless
}

// careless are the ways to believe an answer that says nothing.
type careless struct {
	connects, mints, finds, lists, revokes, panics, keeps, stops, skips, bypasses bool
}

// wireOf returns the harness of a driver with these faults.
func wireOf(c careless) (conformance.Harness, func()) {
	h := harness("buckets")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"answer":{"ok":"yes"}}`) // the client may be gone
	}))
	h.Driver = &wireDriver{Driver: h.Driver.(*fake.Driver), url: server.URL, careless: c}
	h.InMemory = false
	h.NextPage = func(body []byte, _ int) []byte { return bytes.Replace(body, []byte("}}"), []byte(`},"next":true}`), 1) }
	return h, server.Close
}

func (d *wireDriver) Connect(ctx context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	c := &wireClient{driver: d, http: cfg.HTTP}
	if d.careless.bypasses {
		c.http = &http.Client{}
	}
	if err := c.ask(ctx); err != nil {
		if d.careless.connects {
			return c, provider.Account{ID: "an-account"}, nil
		}
		return nil, provider.Account{}, err
	}
	inner, account, err := d.Driver.Connect(ctx, cfg)
	c.Client = inner
	return c, account, err
}

type wireClient struct {
	provider.Client
	driver *wireDriver
	http   *http.Client
	kept   [][]byte
}

// ask returns nil when the server said yes, on its last page.
func (c *wireClient) ask(ctx context.Context) error {
	for page := 0; ; page++ {
		more, err := c.page(ctx)
		if err != nil {
			if c.driver.careless.keeps {
				c.kept = append(c.kept, make([]byte, 128<<20))
			}
			return &provider.Error{Code: provider.CodeUnavailable, Message: "the provider did not say yes", Err: err}
		}
		if !more || c.driver.careless.skips || c.driver.careless.stops && page == 4 {
			return nil
		}
	}
}

func (c *wireClient) page(ctx context.Context) (more bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.driver.url, http.NoBody)
	if err != nil {
		return false, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	var said struct {
		Answer *struct{ OK string }
		Next   bool
	}
	err = json.NewDecoder(resp.Body).Decode(&said)
	if c.driver.careless.panics && err == nil && said.Answer.OK == "yes" { // it panics when there is no answer
		return said.Next, nil
	}
	if err == nil && resp.StatusCode == http.StatusOK && said.Answer != nil && said.Answer.OK == "yes" {
		return said.Next, nil
	}
	return false, errors.Join(errors.New("no yes"), err)
}

func (c *wireClient) Mint(ctx context.Context, req provider.MintRequest) (provider.Minted, error) {
	if err := c.ask(ctx); err != nil {
		if c.driver.careless.mints && ctx.Err() == nil {
			return provider.Minted{
				Credential: provider.Credential{Name: req.Name, ID: "an-id", State: provider.Live},
				Secret:     map[string]provider.Value{fake.KeyID: provider.NewValue("an-id"), fake.KeySecret: {}},
			}, nil
		}
		return provider.Minted{}, err
	}
	return c.Client.Mint(ctx, req)
}

func (c *wireClient) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	if err := c.ask(ctx); err != nil {
		if c.driver.careless.finds && ctx.Err() == nil {
			return nil, nil
		}
		return nil, err
	}
	return c.Client.Find(ctx, ref)
}

func (c *wireClient) List(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		if err := c.ask(ctx); err != nil {
			if !c.driver.careless.lists || ctx.Err() != nil {
				yield(provider.Credential{}, err)
			}
			return
		}
		c.Client.List(ctx, owner)(yield)
	}
}

func (c *wireClient) Revoke(ctx context.Context, ref provider.Ref) error {
	if err := c.ask(ctx); err != nil {
		if c.driver.careless.revokes && ctx.Err() == nil {
			return nil
		}
		return err
	}
	return c.Client.Revoke(ctx, ref)
}

// brokenWires are breaches of drivers that believe any answer.
var brokenWires = map[string]struct {
	careless
	requirements []string
}{
	"connect believes nonsense": {careless{connects: true}, []string{"NonsenseIsAnError"}},
	"mint believes nonsense":    {careless{mints: true}, []string{"NonsenseIsAnError"}},
	"nonsense is not found":     {careless{finds: true}, []string{"NonsenseIsAnError"}},
	"nonsense is an empty list": {careless{lists: true}, []string{"NonsenseIsAnError"}},
	"nonsense is a deletion":    {careless{revokes: true}, []string{"NonsenseIsAnError"}},
	"nonsense is a panic":       {careless{panics: true}, []string{"NonsenseIsAnError"}},
	"answers are kept":          {careless{keeps: true}, []string{"NonsenseIsAnError", "FloodIsAnError"}},
	"another HTTP client":       {careless{bypasses: true}, []string{"NonsenseIsAnError", "FloodIsAnError"}},
	"a long list is cut":        {careless{stops: true}, []string{"CutListIsAnError"}},
	"further pages are ignored": {careless{skips: true}, []string{"CutListIsAnError"}},
}
