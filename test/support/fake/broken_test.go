package fake_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/fake"
)

// brokenEnv names the broken driver that this process runs the suite on.
const brokenEnv = "APITOKEN_BROKEN_DRIVER"

// brokenDriver is a driver of the fake whose client breaks the contract.
type brokenDriver struct {
	*fake.Driver
	breach breach
}

func (d brokenDriver) Form(cfg provider.Config, r provider.MintRequest) (provider.Form, bool) {
	form, ok := d.Driver.Form(cfg, r)
	if d.breach.form != nil {
		d.breach.form(r, &form)
	}
	return form, ok
}

func (d brokenDriver) Validate(cfg provider.Config, r provider.MintRequest) error {
	if d.breach.validate != nil {
		d.breach.validate(&r)
	}
	return d.Driver.Validate(cfg, r)
}

func (d brokenDriver) Connect(ctx context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	good, account, err := d.Driver.Connect(ctx, cfg)
	if err != nil {
		return nil, provider.Account{}, err
	}
	c := &brokenClient{
		Client: good, config: cfg, account: &account,
		mint: good.Mint, find: good.Find, list: good.List, revoke: good.Revoke,
		update: good.(provider.Updater).Update, occupied: good.(provider.Counter).Occupied, accepts: good.(provider.Prober).Accepts,
	}
	if d.breach.breaks != nil {
		d.breach.breaks(c)
	}
	return c, *c.account, nil
}

// brokenClient calls its functions, which are those of a good client until one is replaced.
type brokenClient struct {
	provider.Client
	config  provider.Config
	account *provider.Account
	mint    func(context.Context, provider.MintRequest) (provider.Minted, error)
	find    func(context.Context, provider.Ref) ([]provider.Credential, error)
	list    func(context.Context, provider.Owner) iter.Seq2[provider.Credential, error]
	revoke  func(context.Context, provider.Ref) error

	update   func(context.Context, provider.Ref, provider.MintRequest) (provider.Credential, error)
	occupied func(context.Context) ([]provider.Credential, error)
	accepts  func(context.Context, map[string]provider.Value, provider.Grant) (bool, error)
}

func (c *brokenClient) Mint(ctx context.Context, r provider.MintRequest) (provider.Minted, error) {
	return c.mint(ctx, r)
}

func (c *brokenClient) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	return c.find(ctx, ref)
}

func (c *brokenClient) List(ctx context.Context, o provider.Owner) iter.Seq2[provider.Credential, error] {
	return c.list(ctx, o)
}

func (c *brokenClient) Revoke(ctx context.Context, r provider.Ref) error { return c.revoke(ctx, r) }

func (c *brokenClient) Update(ctx context.Context, ref provider.Ref, r provider.MintRequest) (provider.Credential, error) {
	return c.update(ctx, ref, r)
}

func (c *brokenClient) Occupied(ctx context.Context) ([]provider.Credential, error) {
	return c.occupied(ctx)
}

func (c *brokenClient) Accepts(ctx context.Context, secret map[string]provider.Value, g provider.Grant) (bool, error) {
	return c.accepts(ctx, secret, g)
}

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

// breach is a way to break the contract: the requirements that must detect it,
// and the driver it is a breach of; empty: "updates".
type breach struct {
	requirements []string
	breaks       func(*brokenClient)
	form         func(provider.MintRequest, *provider.Form)
	validate     func(*provider.MintRequest)
	states       conformance.States // what the harness says instead
	which        string
}

// broken are breaches that any driver can commit; brokenPowers are those of
// drivers with limits and optional interfaces.
var broken = map[string]breach{
	"account changes": {requirements: []string{"AccountIsStable"}, breaks: func(c *brokenClient) { c.account.ID = rand.Text() }},
	"secret is missing": {requirements: []string{"MintReturnsNameIDAndSecret"}, breaks: func(c *brokenClient) {
		c.mint = func(ctx context.Context, r provider.MintRequest) (provider.Minted, error) {
			out, err := c.Client.Mint(ctx, r)
			delete(out.Secret, fake.KeySecret)
			return out, err
		}
	}},
	"mint tries again": {requirements: []string{"LostAnswerIsInDoubt", "PageIsInDoubt"}, breaks: func(c *brokenClient) {
		c.mint = func(ctx context.Context, r provider.MintRequest) (provider.Minted, error) {
			if out, err := c.Client.Mint(ctx, r); err == nil {
				return out, nil
			}
			_ = c.Client.Revoke(ctx, provider.Ref{Name: r.Name})
			return provider.Minted{}, nil
		}
	}},
	"doubt is hidden": {requirements: []string{
		"LostAnswerIsInDoubt", "ServerErrorIsInDoubt", "PageIsInDoubt", "SlowAnswerIsInDoubt",
	}, breaks: func(c *brokenClient) {
		c.mintErrors(func(err error) error {
			return &provider.Error{Code: provider.CodeUnavailable, NotExecuted: true, Message: "no", Err: err}
		})
	}},
	"everything is in doubt": {requirements: []string{"RejectionLeavesNothing"}, breaks: func(c *brokenClient) {
		c.mintErrors(func(error) error { return errors.New("something failed") })
	}},
	"error shows the minting credential": {requirements: []string{"RejectionLeavesNothing"}, breaks: func(c *brokenClient) {
		c.mintErrors(func(err error) error {
			e := *provider.AsError(err)
			e.Message = "rejected for " + c.config.Credentials[fake.TokenKey].Reveal()
			return &e
		})
	}},
	"find takes any name": {requirements: []string{"OtherNameIsNotFound"}, breaks: func(c *brokenClient) {
		c.find = func(ctx context.Context, ref provider.Ref) (out []provider.Credential, _ error) {
			for credential, err := range c.Client.List(ctx, provider.Owner{Cluster: c.config.Cluster}) {
				if err != nil {
					return nil, err
				}
				out = append(out, credential)
			}
			return out, nil
		}
	}},
	"list ignores the owner": {requirements: []string{"OtherOwnersAreNotListed"}, breaks: func(c *brokenClient) {
		c.list = func(ctx context.Context, o provider.Owner) iter.Seq2[provider.Credential, error] {
			return c.Client.List(ctx, provider.Owner{Cluster: o.Cluster})
		}
	}},
	"revoke wants an ID": {requirements: []string{"RevokeByName"}, breaks: func(c *brokenClient) {
		c.revoke = func(ctx context.Context, r provider.Ref) error {
			if r.ID == "" {
				return nil
			}
			return c.Client.Revoke(ctx, r)
		}
	}},
	"revoke does nothing": {requirements: []string{"RevokedIsRefused"}, breaks: func(c *brokenClient) {
		c.revoke = func(ctx context.Context, _ provider.Ref) error { return ctx.Err() }
	}},
	"revoke of nothing fails": {requirements: []string{"RevokeOfNothingIsDone"}, breaks: func(c *brokenClient) {
		c.revoke = func(ctx context.Context, r provider.Ref) error {
			if found, _ := c.Client.Find(ctx, provider.Ref{Name: r.Name}); len(found) == 0 {
				return errors.New("not found")
			}
			return c.Client.Revoke(ctx, r)
		}
	}},
	"revoke hides failures": {requirements: []string{
		"FailedRevokeIsNotDone", "ServerErrorIsNotRevoked", "PageIsNotRevoked",
	}, breaks: func(c *brokenClient) {
		c.revoke = func(ctx context.Context, r provider.Ref) error { _ = c.Client.Revoke(ctx, r); return nil }
	}},
	"revoke wants to find": {requirements: []string{"DeletedElsewhereIsGone"}, breaks: func(c *brokenClient) {
		c.revoke = func(ctx context.Context, r provider.Ref) error {
			for credential, err := range c.Client.List(ctx, provider.Owner{Cluster: c.config.Cluster}) {
				if err != nil || credential.ID == r.ID || credential.Name == r.Name {
					return c.Client.Revoke(ctx, r)
				}
			}
			return errors.New("not found")
		}
	}},
	"expiry is counted by the provider's clock": {requirements: []string{"WrongClockGrantsNoMore"}, breaks: func(c *brokenClient) {
		c.mint = func(ctx context.Context, r provider.MintRequest) (provider.Minted, error) {
			out, err := c.Client.Mint(ctx, r)
			out.Credential.ExpiresAt = out.Credential.CreatedAt.Add(r.Grant.ExpiresAt.Sub(start) / 2)
			return out, err
		}
	}},
	"context is ignored": {requirements: []string{"CancelledCallsEnd"}, breaks: func(c *brokenClient) {
		c.find = func(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
			return c.Client.Find(context.WithoutCancel(ctx), ref)
		}
	}},
}

// The test starts itself once for each broken driver, and each run must fail. The environment
// variable names the broken driver.
func TestSuiteRejectsBrokenDrivers(t *testing.T) {
	all := maps.Clone(broken)
	maps.Copy(all, brokenPowers)
	maps.Copy(all, brokenIDs)
	maps.Copy(all, brokenCursors)
	maps.Copy(all, brokenStates)
	for name, tc := range brokenWires {
		all[name] = breach{requirements: tc.requirements}
	}
	if name := os.Getenv(brokenEnv); name != "" {
		if wire, ok := brokenWires[name]; ok {
			h, stop := wireOf(wire.careless)
			t.Cleanup(stop)
			conformance.Run(t, h)
			return
		}
		h := harness(cmp.Or(all[name].which, "updates"))
		h.Driver = brokenDriver{Driver: h.Driver.(*fake.Driver), breach: all[name]}
		if s := all[name].states; s.NeverEnded != "" {
			h.States = s
		}
		if name == "context is ignored" {
			h.Faults.Hang = nil // it would wait for ever
		}
		conformance.Run(t, h)
		return
	}
	for name, tc := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSuiteRejectsBrokenDrivers$/^("+strings.Join(tc.requirements, "|")+")$")
			cmd.Env = append(os.Environ(), brokenEnv+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("the suite does not notice")
			}
			for _, requirement := range tc.requirements {
				if want := "--- FAIL: TestSuiteRejectsBrokenDrivers/" + requirement + " "; !strings.Contains(string(out), want) {
					t.Errorf("%s does not notice:\n%s", requirement, out)
				}
			}
		})
	}
}
