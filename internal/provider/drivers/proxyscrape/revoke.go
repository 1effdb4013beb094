package proxyscrape

import (
	"context"
	"net/http"
	"slices"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// Revoke implements provider.Client. It deletes every key of the name, because a key
// that was regenerated in the dashboard has another id. It lists first: only if the list can
// be read, a 404 for one key means that the key is gone, and not that the API is missing.
func (c *client) Revoke(ctx context.Context, ref provider.Ref) error {
	return c.source().Revoke(ctx, ref, func(ctx context.Context, k provider.Credential) error { return c.remove(ctx, k.ID) })
}

// remove deletes one key. It succeeds when the answer says so, has no content, or says that the
// key does not exist.
func (c *client) remove(ctx context.Context, id string) error {
	const what = "delete the API key"
	done := []int{http.StatusNoContent, http.StatusNotFound, http.StatusGone}
	got, status, err := send[struct{}](ctx, c, call{
		Request: httpapi.Request{What: what, Method: http.MethodDelete, Path: keyPath(id), Accept: done},
		needs:   "account:apikeys:delete",
	})
	if err == nil && !got.confirmed && !slices.Contains(done, status) {
		return unclear(what, "without confirming the deletion")
	}
	return err
}
