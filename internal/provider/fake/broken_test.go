package fake_test

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"os"
	"os/exec"
	"strings"
	"testing"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/conformance"
	"apitoken.dev/operator/internal/provider/fake"
)

// brokenEnv names the broken driver that this process runs the suite on.
const brokenEnv = "APITOKEN_BROKEN_DRIVER"

// brokenDriver is a driver of the fake whose client breaks the contract.
type brokenDriver struct {
	*fake.Driver
	breaks func(*brokenClient)
}

func (d brokenDriver) Connect(ctx context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	good, account, err := d.Driver.Connect(ctx, cfg)
	if err != nil {
		return nil, provider.Account{}, err
	}
	c := &brokenClient{Client: good, config: cfg, mint: good.Mint, find: good.Find, list: good.List, revoke: good.Revoke, account: &account}
	d.breaks(c)
	return c, *c.account, nil
}

// brokenClient calls its functions, which are those of a good client until one is replaced.
type brokenClient struct {
	provider.Client
	config  provider.Config
	account *provider.Account
	mint    func(context.Context, provider.MintRequest) (provider.Minted, error)
	find    func(context.Context, string) ([]provider.Credential, error)
	list    func(context.Context, provider.Owner) iter.Seq2[provider.Credential, error]
	revoke  func(context.Context, provider.Ref) error
}

func (c *brokenClient) Mint(ctx context.Context, r provider.MintRequest) (provider.Minted, error) {
	return c.mint(ctx, r)
}

func (c *brokenClient) Find(ctx context.Context, name string) ([]provider.Credential, error) {
	return c.find(ctx, name)
}

func (c *brokenClient) List(ctx context.Context, o provider.Owner) iter.Seq2[provider.Credential, error] {
	return c.list(ctx, o)
}

func (c *brokenClient) Revoke(ctx context.Context, r provider.Ref) error { return c.revoke(ctx, r) }

// mintErrors replaces the errors of Mint.
func (c *brokenClient) mintErrors(replace func(error) error) {
	c.mint = func(ctx context.Context, r provider.MintRequest) (provider.Minted, error) {
		out, err := c.Client.Mint(ctx, r)
		if err != nil {
			err = replace(err)
		}
		return out, err
	}
}

// broken are ways to break the contract, and the requirement that has to notice.
var broken = map[string]struct {
	requirement string
	breaks      func(*brokenClient)
}{
	"account changes": {"AccountIsStable", func(c *brokenClient) { c.account.ID = rand.Text() }},
	"secret is missing": {"MintReturnsNameIDAndSecret", func(c *brokenClient) {
		c.mint = func(ctx context.Context, r provider.MintRequest) (provider.Minted, error) {
			out, err := c.Client.Mint(ctx, r)
			delete(out.Secret, fake.KeySecret)
			return out, err
		}
	}},
	"mint tries again": {"LostAnswerIsInDoubt", func(c *brokenClient) {
		c.mint = func(ctx context.Context, r provider.MintRequest) (provider.Minted, error) {
			if out, err := c.Client.Mint(ctx, r); err == nil {
				return out, nil
			}
			_ = c.Client.Revoke(ctx, provider.Ref{Name: r.Name})
			return provider.Minted{}, nil
		}
	}},
	"doubt is hidden": {"LostAnswerIsInDoubt", func(c *brokenClient) {
		c.mintErrors(func(err error) error {
			return &provider.Error{Code: provider.CodeUnavailable, NotExecuted: true, Message: "no", Err: err}
		})
	}},
	"everything is in doubt": {"RejectionLeavesNothing", func(c *brokenClient) {
		c.mintErrors(func(error) error { return errors.New("something failed") })
	}},
	"error shows the minting credential": {"RejectionLeavesNothing", func(c *brokenClient) {
		c.mintErrors(func(err error) error {
			e := *provider.AsError(err)
			e.Message = "rejected for " + c.config.Credentials[fake.TokenKey].Reveal()
			return &e
		})
	}},
	"find takes any name": {"OtherNameIsNotFound", func(c *brokenClient) {
		c.find = func(ctx context.Context, name string) (out []provider.Credential, _ error) {
			for credential, err := range c.Client.List(ctx, provider.Owner{Cluster: c.config.Cluster}) {
				if err != nil {
					return nil, err
				}
				out = append(out, credential)
			}
			return out, nil
		}
	}},
	"find hides remains": {"RemainsAreFoundAndRevoked", func(c *brokenClient) {
		c.find = func(ctx context.Context, name string) (out []provider.Credential, _ error) {
			found, err := c.Client.Find(ctx, name)
			for _, credential := range found {
				if credential.Live {
					out = append(out, credential)
				}
			}
			return out, err
		}
	}},
	"list ignores the owner": {"OtherOwnersAreNotListed", func(c *brokenClient) {
		c.list = func(ctx context.Context, o provider.Owner) iter.Seq2[provider.Credential, error] {
			return c.Client.List(ctx, provider.Owner{Cluster: o.Cluster})
		}
	}},
	"revoke wants an ID": {"RevokeByName", func(c *brokenClient) {
		c.revoke = func(ctx context.Context, r provider.Ref) error {
			if r.ID == "" {
				return nil
			}
			return c.Client.Revoke(ctx, r)
		}
	}},
	"revoke wants a name": {"RevokeByID", func(c *brokenClient) {
		c.revoke = func(ctx context.Context, r provider.Ref) error {
			if r.Name == "" {
				return nil
			}
			return c.Client.Revoke(ctx, r)
		}
	}},
	"revoke does nothing": {"RevokedIsRefused", func(c *brokenClient) {
		c.revoke = func(ctx context.Context, _ provider.Ref) error { return ctx.Err() }
	}},
	"revoke of nothing fails": {"RevokeOfNothingIsDone", func(c *brokenClient) {
		c.revoke = func(ctx context.Context, r provider.Ref) error {
			if found, _ := c.Client.Find(ctx, r.Name); len(found) == 0 {
				return errors.New("not found")
			}
			return c.Client.Revoke(ctx, r)
		}
	}},
	"revoke hides failures": {"FailedRevokeIsNotDone", func(c *brokenClient) {
		c.revoke = func(ctx context.Context, r provider.Ref) error { _ = c.Client.Revoke(ctx, r); return nil }
	}},
	"context is ignored": {"CancelledCallsEnd", func(c *brokenClient) {
		c.find = func(ctx context.Context, name string) ([]provider.Credential, error) {
			return c.Client.Find(context.WithoutCancel(ctx), name)
		}
	}},
}

// TestBrokenDriver runs the suite on the broken driver that the environment
// names; without one it runs itself for each, and every one has to fail.
func TestBrokenDriver(t *testing.T) {
	if name := os.Getenv(brokenEnv); name != "" {
		h := harness()
		h.Driver = brokenDriver{Driver: h.Driver.(*fake.Driver), breaks: broken[name].breaks}
		if name == "context is ignored" {
			h.Faults.Hang = nil // it would wait for ever
		}
		conformance.Run(t, h)
		return
	}
	for name, tc := range broken {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBrokenDriver$")
			cmd.Env = append(os.Environ(), brokenEnv+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("the suite does not notice")
			}
			if want := "--- FAIL: TestBrokenDriver/" + tc.requirement + " "; !strings.Contains(string(out), want) {
				t.Errorf("%s does not notice:\n%s", tc.requirement, out)
			}
		})
	}
}
