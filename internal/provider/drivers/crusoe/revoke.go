package crusoe

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// Revoke implements provider.Client. A key is deleted by its access key ID, and
// "deleting an Object Storage API key immediately revokes access"
// (https://docs.crusoecloud.com/storage/object-storage/managing-storage-api-keys).
func (c *client) Revoke(ctx context.Context, ref provider.Ref) error {
	return c.source().Revoke(ctx, ref, func(ctx context.Context, key provider.Credential) error { return c.remove(ctx, key.ID) })
}

// remove deletes a key. Only status 204 and 404 prove that it is gone.
func (c *client) remove(ctx context.Context, id string) error {
	answer, err := c.api.Do(ctx, httpapi.Request{
		What: "delete the key", Method: http.MethodDelete, Path: c.path + "/" + url.PathEscape(id), Accept: []int{http.StatusNotFound},
	})
	if err != nil {
		return err
	}
	if answer.Status != http.StatusNoContent && answer.Status != http.StatusNotFound {
		return &provider.Error{
			Code:    provider.CodeUnavailable,
			Message: fmt.Sprintf("could not delete the key: the provider answered with status %d, and only %d confirms the deletion", answer.Status, http.StatusNoContent),
		}
	}
	return nil
}
