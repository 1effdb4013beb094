package fake_test

import (
	"context"
	"errors"
	"maps"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

var brokenPowers = map[string]breach{
	"occupied forgets other clusters": {which: "two", requirements: []string{"OccupiedCountsEverything"}, breaks: func(c *brokenClient) {
		c.occupied = func(ctx context.Context) (out []provider.Credential, _ error) {
			all, err := c.Client.(provider.Counter).Occupied(ctx)
			for _, credential := range all {
				if name, err := credname.Parse(credential.Name); err == nil && name.InCluster(c.config.Cluster) {
					out = append(out, credential)
				}
			}
			return out, err
		}
	}},
	"a full account is in doubt": {which: "one", requirements: []string{"FullAccountRejectsMint"}, breaks: func(c *brokenClient) {
		c.mintErrors(func(err error) error {
			e := *provider.AsError(err)
			e.NotExecuted = e.NotExecuted && e.Code != provider.CodeQuota
			return &e
		})
	}},
	"a full account is no quota": {which: "two", requirements: []string{"FullAccountRejectsMint"}, breaks: func(c *brokenClient) {
		c.mintErrors(func(err error) error {
			e := *provider.AsError(err)
			if e.Code == provider.CodeQuota {
				e.Code = provider.CodeInvalid
			}
			return &e
		})
	}},
	"unlisted is nothing": {which: "listed", requirements: []string{"UnlistedIsNotNothing"}, breaks: func(c *brokenClient) {
		c.find = func(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
			found, err := c.Client.Find(ctx, ref)
			if err != nil && ctx.Err() == nil {
				return nil, nil
			}
			return found, err
		}
	}},
	"find makes nothing of an ID": {which: "listed", requirements: []string{"UnlistedIsFoundByID"}, breaks: func(c *brokenClient) {
		c.find = func(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
			return c.Client.Find(ctx, provider.Ref{Name: ref.Name, Since: ref.Since})
		}
	}},
	"find makes nothing of a time": {which: "listed", requirements: []string{"NewNameIsNotUnlisted"}, breaks: func(c *brokenClient) {
		c.find = func(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
			return c.Client.Find(ctx, provider.Ref{Name: ref.Name, ID: ref.ID})
		}
	}},
	"unlisted is gone": {which: "listed", requirements: []string{"UnlistedIsNotRevoked"}, breaks: func(c *brokenClient) {
		c.revoke = func(ctx context.Context, r provider.Ref) error {
			err := c.Client.Revoke(ctx, r)
			if r.ID == "" && provider.AsError(err).Code == provider.CodeUnavailable && ctx.Err() == nil {
				return nil
			}
			return err
		}
	}},
	"update makes another one": {requirements: []string{"UpdateKeepsTheCredential"}, breaks: func(c *brokenClient) {
		c.update = func(ctx context.Context, ref provider.Ref, r provider.MintRequest) (provider.Credential, error) {
			if err := c.Client.Revoke(ctx, ref); err != nil {
				return provider.Credential{}, err
			}
			made, err := c.Client.Mint(ctx, r)
			return made.Credential, err
		}
	}},
	"the grant that is shown is wider": {which: "grants", requirements: []string{"GrantIsWhatWasMinted"}, breaks: func(c *brokenClient) {
		c.find = func(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
			found, err := c.Client.Find(ctx, ref)
			for i := range found {
				found[i].Grant = &provider.Grant{Scopes: found[i].Grant.Scopes, Buckets: []string{"*"}}
			}
			return found, err
		}
	}},
	"only find shows the grant": {requirements: []string{"GrantIsWhatWasMinted"}, breaks: func(c *brokenClient) {
		c.find = func(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
			found, err := c.Client.Find(ctx, ref)
			for i := range found {
				found[i].Grant = &provider.Grant{Scopes: []string{"objectstorage:object-read-only"}, Buckets: []string{"datasets"}}
			}
			return found, err
		}
	}},
	"update does not look": {requirements: []string{"IgnoredUpdateIsAnError"}, breaks: func(c *brokenClient) {
		c.update = func(ctx context.Context, ref provider.Ref, r provider.MintRequest) (provider.Credential, error) {
			out, err := c.Client.(provider.Updater).Update(ctx, ref, r)
			if err != nil && ctx.Err() == nil {
				return provider.Credential{Name: ref.Name, ID: ref.ID, State: provider.Live, ExpiresAt: r.Grant.ExpiresAt}, nil
			}
			return out, err
		}
	}},
	"update says what was asked for": {requirements: []string{"UpdateKeepsTheCredential"}, breaks: func(c *brokenClient) {
		c.update = func(_ context.Context, ref provider.Ref, r provider.MintRequest) (provider.Credential, error) {
			return provider.Credential{Name: ref.Name, ID: ref.ID, State: provider.Live, ExpiresAt: r.Grant.ExpiresAt}, nil
		}
	}},
	"mint ignores the end of its context": {which: "manual", requirements: []string{"MintRequiresSubmittedKeys", "CancelledChecksEnd"}, breaks: func(c *brokenClient) {
		c.mint = func(_ context.Context, r provider.MintRequest) (provider.Minted, error) {
			return provider.Minted{Credential: provider.Credential{Name: r.Name, ID: r.Submitted[fake.KeyID].Reveal(), State: provider.Live}, Secret: r.Submitted}, nil
		}
	}},
	"mint believes what is handed over": {which: "manual", requirements: []string{"WrongKeysAreRejected"}, breaks: func(c *brokenClient) {
		c.mint = func(ctx context.Context, r provider.MintRequest) (provider.Minted, error) {
			out, err := c.Client.Mint(ctx, r)
			if err != nil && ctx.Err() == nil && r.Submitted != nil {
				return provider.Minted{Credential: provider.Credential{Name: r.Name, ID: "an-id", State: provider.Live}, Secret: r.Submitted}, nil
			}
			return out, err
		}
	}},
	"mint shows the submitted keys": {which: "manual", requirements: []string{"WrongKeysAreRejected"}, breaks: func(c *brokenClient) {
		c.mint = func(ctx context.Context, r provider.MintRequest) (provider.Minted, error) {
			out, err := c.Client.Mint(ctx, r)
			if err != nil && r.Submitted != nil {
				e := *provider.AsError(err)
				e.Message += ": " + r.Submitted[fake.KeySecret].Reveal()
				err = &e
			}
			return out, err
		}
	}},
	"the ID is the secret": {which: "manual", requirements: []string{"SubmittedKeysAreReturned"}, breaks: func(c *brokenClient) {
		c.mint = func(ctx context.Context, r provider.MintRequest) (provider.Minted, error) {
			out, err := c.Client.Mint(ctx, r)
			out.Credential.ID += r.Submitted[fake.KeySecret].Reveal()
			return out, err
		}
	}},
	"the ID is of the attempt": {which: "manual", requirements: []string{"SubmittedKeysAreReturned"}, breaks: func(c *brokenClient) {
		c.mint = func(ctx context.Context, r provider.MintRequest) (provider.Minted, error) {
			out, err := c.Client.Mint(ctx, r)
			out.Credential.ID = r.Name
			return out, err
		}
	}},
	"another secret is returned": {which: "manual", requirements: []string{"SubmittedKeysAreReturned"}, breaks: func(c *brokenClient) {
		c.mint = func(ctx context.Context, r provider.MintRequest) (provider.Minted, error) {
			out, err := c.Client.Mint(ctx, r)
			if err == nil {
				out.Secret = maps.Clone(out.Secret)
				out.Secret[fake.KeySecret] = provider.NewValue("another")
			}
			return out, err
		}
	}},
	"a manual credential is revoked": {which: "manual", requirements: []string{"ManualIsNotRevoked"}, breaks: func(c *brokenClient) {
		c.revoke = func(ctx context.Context, r provider.Ref) error {
			return c.Client.Revoke(ctx, provider.Ref{Name: r.Name + "-"})
		}
	}},
	"a manual credential may be revoked": {which: "manual", requirements: []string{"ManualIsNotRevoked"}, breaks: func(c *brokenClient) {
		c.revoke = func(context.Context, provider.Ref) error { return errors.New("something failed") }
	}},
	"accepts for ever": {which: "manual", requirements: []string{"AcceptsUntilDeleted", "CancelledChecksEnd"}, breaks: func(c *brokenClient) {
		c.accepts = func(context.Context, map[string]provider.Value, provider.Grant) (bool, error) { return true, nil }
	}},
	"addresses are ignored": {which: "buckets", requirements: []string{"OtherRestrictionsAreRefused"}, validate: func(r *provider.MintRequest) {
		r.Grant.AllowedIPs = nil
	}},
	"a form for one name": {which: "manual", requirements: []string{"FormIsConstantAndWithoutSecrets"}, form: func(r provider.MintRequest, f *provider.Form) {
		f.Fields[0].Value = r.Name
	}},
	"a form with a secret": {which: "manual", requirements: []string{"FormIsConstantAndWithoutSecrets"}, form: func(r provider.MintRequest, f *provider.Form) {
		f.Where += r.Submitted[fake.KeySecret].Reveal()
	}},
	"a form without a key": {which: "manual", requirements: []string{"FormIsConstantAndWithoutSecrets"}, form: func(_ provider.MintRequest, f *provider.Form) {
		f.Keys = f.Keys[:1]
	}},
}
