package ibee

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// Find implements provider.Client. A revoked credential occupies nothing, since
// names need not be unique, and is not found.
func (c *client) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	found, err := c.look(ctx, ref)
	if err != nil {
		return nil, err
	}
	var out []provider.Credential
	for _, one := range found {
		out = append(out, one.shown())
	}
	return out, nil
}

// List implements provider.Client. It yields what is among the newest credentials
// of the workspace, see Capabilities.Listed.
func (c *client) List(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		listed, err := c.list(ctx)
		if err != nil {
			yield(provider.Credential{}, err)
			return
		}
		for _, one := range listed {
			if one.live() && owner.Owns(one.Name) && !yield(one.shown(), nil) {
				return
			}
		}
	}
}

// look returns every credential that ref means and that is not revoked. An id is
// settled by asking for it; a name can only be looked for in the list, which
// does not show all. It fails when there may be one that it cannot see. The API
// shows no platform API token: whether one still works, it tells itself, see Accepts.
func (c *client) look(ctx context.Context, ref provider.Ref) ([]credential, error) {
	if ref.Name == "" && ref.ID == "" {
		return nil, provider.Invalid("a credential to look for needs a name or an id")
	}
	var out []credential
	if ref.ID != "" && !madeByHand(ref.ID) {
		got, err := c.get(ctx, ref.ID)
		if err != nil {
			return nil, err
		}
		if got != nil && ref.Name != "" && got.Name != ref.Name {
			return nil, &provider.Error{
				Code:    provider.CodeInvalid,
				Message: "the access key " + ref.ID + " no longer has the name it was made with, so it is left alone: if it is not used, revoke it in the portal",
			}
		}
		if got != nil && got.live() {
			out = append(out, *got)
		}
	}
	if ref.Name == "" {
		return out, nil
	}
	return c.named(ctx, ref, out)
}

// named adds to what is known what the list shows under the name.
func (c *client) named(ctx context.Context, ref provider.Ref, known []credential) ([]credential, error) {
	listed, err := c.list(ctx)
	if err != nil {
		return nil, err
	}
	seen := ref.ID != ""
	for _, one := range listed {
		if one.Name != ref.Name {
			continue
		}
		seen = true
		already := slices.ContainsFunc(known, func(k credential) bool { return k.AccessKeyID == one.AccessKeyID })
		if one.live() && !already {
			known = append(known, one)
		}
	}
	if !seen && hidden(listed, ref.Since) {
		return nil, unclear(fmt.Sprintf("IBEE lists only the newest %d credentials of a workspace, and %s is not among them but may be older: "+
			"look for it in the portal and revoke it there, or delete other credentials until it can be seen", window, ref.Name))
	}
	return known, nil
}

// hidden reports whether a credential made after since may be older than all
// that is listed. It cannot be when the list has room, or goes back to a time
// before since; the two clocks may differ by maxSkew.
func hidden(listed []credential, since time.Time) bool {
	if len(listed) < window {
		return false
	}
	if since.IsZero() {
		return true
	}
	return !slices.ContainsFunc(listed, func(one credential) bool {
		made := one.created()
		return !made.IsZero() && made.Before(since.Add(-maxSkew))
	})
}
