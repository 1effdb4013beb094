package proxyscrape

import (
	"context"
	"net/http"
	"slices"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// Revoke implements provider.Client. It lists first: only where the list can be
// read, a 404 for one key says that this key is gone, and not that the API is
// not there. It deletes every key of the name: one may have been regenerated in
// the dashboard, which gives it another id.
func (c *client) Revoke(ctx context.Context, ref provider.Ref) error {
	if ref.Name == "" && ref.ID == "" {
		return provider.Invalid("a credential to revoke needs a name or an id")
	}
	if ref.Name != "" && !ours(ref.Name) {
		return provider.Invalid("this credential was not made by the operator and is left alone")
	}
	all, err := c.keys(ctx)
	if err != nil {
		return err
	}
	found := named(all, ref.Name)
	for _, k := range found {
		if err := c.remove(ctx, k.ID); err != nil {
			return err
		}
	}
	if ref.ID == "" || hasID(found, ref.ID) {
		return nil
	}
	return c.revokeID(ctx, ref)
}

// revokeID revokes a key that is not listed under the name it is known by. One
// that has another name now is left alone: somebody has taken it over.
func (c *client) revokeID(ctx context.Context, ref provider.Ref) error {
	k, ok, err := c.get(ctx, ref.ID)
	if err != nil || !ok {
		return err
	}
	if !ours(*k.Name) || ref.Name != "" && ref.Name != *k.Name {
		return provider.Invalid("the API key with the id of this credential has another name, and is left alone; rename it back at ProxyScrape, or delete it there")
	}
	return c.remove(ctx, k.ID)
}

func ours(name string) bool {
	_, err := credname.Parse(name)
	return err == nil
}

// remove deletes one key. It is done when the answer says so, or has no
// content, or when there is no such key any more.
func (c *client) remove(ctx context.Context, id string) error {
	const what = "delete the API key"
	done := []int{http.StatusNoContent, http.StatusNotFound, http.StatusGone}
	got, status, err := send[struct{}](ctx, c, call{
		Request: httpapi.Request{What: what, Method: http.MethodDelete, Path: keyPath(id), Accept: done},
		needs:   "account:apikeys:delete",
	})
	if err == nil && !got.confirmed && !slices.Contains(done, status) {
		return unclear(what, "without saying that it did")
	}
	return err
}
