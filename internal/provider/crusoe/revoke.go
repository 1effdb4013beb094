package crusoe

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// Revoke implements provider.Client. A key is deleted by its access key ID, and
// "deleting an Object Storage API key immediately revokes access"
// (https://docs.crusoecloud.com/storage/object-storage/managing-storage-api-keys).
func (c *client) Revoke(ctx context.Context, ref provider.Ref) error {
	if ref.Name == "" && ref.ID == "" {
		return provider.Invalid("a credential to revoke needs a name or an id")
	}
	if ref.Name != "" && foreign(ref.Name) {
		return leftAlone()
	}
	keys, err := c.keys(ctx)
	if err != nil {
		return err
	}
	ids, err := targets(keys, ref)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := c.remove(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// targets returns the access key IDs to delete: all that have the name, and the ID
// also when it is not listed, because only its deletion is sure to tell.
func targets(keys []s3Key, ref provider.Ref) ([]string, error) {
	var ids []string
	for _, k := range keys {
		switch {
		case ref.Name != "" && k.Alias == ref.Name:
			ids = append(ids, k.AccessKeyID)
		case k.AccessKeyID == ref.ID && foreign(k.Alias):
			return nil, leftAlone()
		}
	}
	if ref.ID != "" && !slices.Contains(ids, ref.ID) {
		ids = append(ids, ref.ID)
	}
	return ids, nil
}

func foreign(alias string) bool {
	_, err := credname.Parse(alias)
	return err != nil
}

func leftAlone() *provider.Error {
	return provider.Invalid("this credential was not made by the operator and is left alone")
}

// remove deletes a key. Only 204 and 404 say that it is gone.
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
			Message: fmt.Sprintf("could not delete the key: the provider answered with status %d, and only %d says that it is done", answer.Status, http.StatusNoContent),
		}
	}
	return nil
}
