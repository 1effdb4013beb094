package ibee

import (
	"context"
	"iter"

	"apitoken.dev/operator/internal/provider"
)

// source is what the API shows: a list of the newest credentials, and any credential by
// its id. A revoked credential occupies no name, because names need not be unique.
func (c *client) source() provider.Source {
	return provider.Source{
		Listed: window, Where: "in the portal",
		List: func(ctx context.Context, _ string) ([]provider.Credential, error) {
			listed, err := c.list(ctx)
			if err != nil {
				return nil, err
			}
			out := make([]provider.Credential, 0, len(listed))
			for _, one := range listed {
				out = append(out, one.shown())
			}
			return out, nil
		},
		Get: func(ctx context.Context, id string) (provider.Credential, bool, error) {
			if isManual(id) { // the API shows no platform API token
				return provider.Credential{}, false, nil
			}
			got, err := c.get(ctx, id)
			if err != nil || got == nil {
				return provider.Credential{}, false, err
			}
			return got.shown(), true, nil
		},
	}
}

// Find implements provider.Client. It returns no platform API tokens, because the API does
// not show them; use Accepts to learn whether a token still works.
func (c *client) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	return c.source().Find(ctx, ref)
}

// List implements provider.Client. It yields only credentials among the newest of the
// workspace, see Capabilities.Listed.
func (c *client) List(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
	return c.source().Owned(ctx, owner)
}
