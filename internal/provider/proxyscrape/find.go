package proxyscrape

import (
	"context"
	"iter"
	"slices"
	"strings"

	"apitoken.dev/operator/internal/provider"
)

// Find implements provider.Client. A key that is not in the list under its name
// is asked for by its id as well: somebody may have renamed it.
func (c *client) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	all, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	found := named(all, ref.Name)
	if ref.ID != "" && !hasID(found, ref.ID) {
		one, ok, err := c.get(ctx, ref.ID)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, one)
		}
	}
	out := make([]provider.Credential, 0, len(found))
	for _, k := range found {
		name := ref.Name
		if name == "" {
			name = *k.Name
		}
		out = append(out, k.credential(name))
	}
	return out, nil
}

// List implements provider.Client.
func (c *client) List(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		all, err := c.keys(ctx)
		if err != nil {
			yield(provider.Credential{}, err)
			return
		}
		for _, k := range all {
			if owner.Owns(*k.Name) && !yield(k.credential(*k.Name), nil) {
				return
			}
		}
	}
}

// named returns the keys with exactly this name. Nothing is documented that
// keeps names apart, so there may be several.
func named(all []key, name string) []key {
	return slices.DeleteFunc(slices.Clone(all), func(k key) bool { return name == "" || *k.Name != name })
}

func hasID(keys []key, id string) bool {
	return slices.ContainsFunc(keys, func(k key) bool { return strings.EqualFold(k.ID, id) })
}
