package proxyscrape

import (
	"context"
	"iter"

	"apitoken.dev/operator/internal/provider"
)

// source has all keys that the API shows, in one list. A key that a user renamed is
// recognised by its id, and not changed. No paging is documented; an id that is not in the
// list is requested nevertheless.
func (c *client) source() provider.Source {
	return provider.Source{
		List: func(ctx context.Context, _ string) ([]provider.Credential, error) {
			all, err := c.keys(ctx)
			if err != nil {
				return nil, err
			}
			out := make([]provider.Credential, 0, len(all))
			for _, k := range all {
				out = append(out, k.credential(*k.Name))
			}
			return out, nil
		},
		Get: func(ctx context.Context, id string) (provider.Credential, bool, error) {
			k, ok, err := c.get(ctx, id)
			if err != nil || !ok {
				return provider.Credential{}, false, err
			}
			return k.credential(*k.Name), true, nil
		},
	}
}

// Find implements provider.Client. Names are not documented as unique, so it can
// return several keys.
func (c *client) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	return c.source().Find(ctx, ref)
}

// List implements provider.Client.
func (c *client) List(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
	return c.source().Owned(ctx, owner)
}
