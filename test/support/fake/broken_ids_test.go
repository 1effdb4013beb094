package fake_test

import (
	"cmp"
	"context"

	"apitoken.dev/operator/internal/provider"
)

// byID returns the credential with an ID from what the account has.
func (c *brokenClient) byID(ctx context.Context, id string) (provider.Credential, bool) {
	all, err := c.Client.(provider.Counter).Occupied(ctx)
	for _, credential := range all {
		if err == nil && id != "" && credential.ID == id {
			return credential, true
		}
	}
	return provider.Credential{}, false
}

// brokenIDs are breaches of drivers that believe an ID.
var brokenIDs = map[string]breach{
	"find believes an ID": {requirements: []string{"FindShowsOnlyItsName", "FindShowsNothingManual"}, breaks: func(c *brokenClient) {
		c.find = func(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
			if one, ok := c.byID(ctx, ref.ID); ok && ref.Name != "" {
				return []provider.Credential{one}, nil
			}
			return c.Client.Find(ctx, ref)
		}
	}},
	"find calls another by my name": {requirements: []string{"FindShowsOnlyItsName", "FindShowsNothingManual"}, breaks: func(c *brokenClient) {
		c.find = func(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
			if one, ok := c.byID(ctx, ref.ID); ok && ref.Name != "" {
				one.Name = ref.Name
				return []provider.Credential{one}, nil
			}
			return c.Client.Find(ctx, ref)
		}
	}},
	"revoke believes an ID": {requirements: []string{"RevokeEndsOnlyItsName", "RevokeEndsNothingManual"}, breaks: func(c *brokenClient) {
		c.revoke = func(ctx context.Context, ref provider.Ref) error {
			if one, ok := c.byID(ctx, ref.ID); ok && ref.Name != "" {
				ref = provider.Ref{Name: one.Name, ID: one.ID}
			}
			return c.Client.Revoke(ctx, ref)
		}
	}},
	"update believes an ID": {requirements: []string{"UpdateChangesOnlyItsName", "UpdateChangesNothingManual"}, breaks: func(c *brokenClient) {
		c.update = func(ctx context.Context, ref provider.Ref, r provider.MintRequest) (provider.Credential, error) {
			if one, ok := c.byID(ctx, ref.ID); ok && ref.Name != "" {
				ref = provider.Ref{Name: one.Name, ID: one.ID}
			}
			return c.Client.(provider.Updater).Update(ctx, ref, r)
		}
	}},
	"an ID is enough": {requirements: []string{"RefWithoutNameIsRefused"}, breaks: func(c *brokenClient) {
		c.revoke = func(ctx context.Context, ref provider.Ref) error {
			one, _ := c.byID(ctx, ref.ID)
			return c.Client.Revoke(ctx, provider.Ref{Name: cmp.Or(ref.Name, one.Name)})
		}
	}},
}
