package ibee

import (
	"context"
	"net/http"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// Revoke implements provider.Client. It ends every credential with the name, because
// names need not be unique, and returns nil only when the API shows that they have ended.
func (c *client) Revoke(ctx context.Context, ref provider.Ref) error {
	if isManual(ref.ID) {
		return provider.Invalid("only a user can delete a platform API token: click Revoke in its row in the portal, " + c.portal())
	}
	return c.source().Revoke(ctx, ref, func(ctx context.Context, one provider.Credential) error { return c.end(ctx, one.ID) })
}

// end revokes one credential. The vendor's Terraform client revokes with POST, and says
// that DELETE erases; its TypeScript and Python clients have DELETE only. So DELETE is
// sent if the API does not offer the POST route. Afterwards the credential is read, and
// must have ended.
func (c *client) end(ctx context.Context, id string) error {
	path, err := pathOf(id)
	if err != nil {
		return err
	}
	const what = "revoke the credential"
	var done struct{} // the response must be JSON; the read at the end decides
	answer, err := c.call(ctx, httpapi.Request{
		What: what, Method: http.MethodPost, Path: path + "/revoke", Into: &done,
		Accept: []int{http.StatusNotFound, http.StatusMethodNotAllowed},
	})
	switch {
	case answer.Status == http.StatusNotFound || answer.Status == http.StatusMethodNotAllowed,
		answer.Status == http.StatusForbidden && problemOf(answer.Body).code == unknownRoute:
		_, err = c.call(ctx, httpapi.Request{
			What: what, Method: http.MethodDelete, Path: path, Into: &done, Accept: []int{http.StatusNotFound},
		})
	}
	if err != nil {
		return err
	}
	left, err := c.get(ctx, id)
	if err != nil {
		return err
	}
	if left != nil && left.live() {
		return unclear("the provider accepted the revocation of the access key " + id + ", but still shows it as live; the operator retries")
	}
	return nil
}
