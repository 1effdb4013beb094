package ibee

import (
	"context"
	"net/http"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// Revoke implements provider.Client. It ends every credential of the name, since
// names need not be unique, and takes it for done only when the API shows so.
func (c *client) Revoke(ctx context.Context, ref provider.Ref) error {
	if isManual(ref.ID) {
		return provider.Invalid("only a person can delete a platform API token: click Revoke beside it in the portal, " + c.portal())
	}
	return c.source().Revoke(ctx, ref, func(ctx context.Context, one provider.Credential) error { return c.end(ctx, one.ID) })
}

// end revokes one credential. Of the vendor's clients, the one for Terraform
// revokes by POST and says that DELETE erases; those for TypeScript and Python
// know DELETE alone, and the gateway has a code of its own for a route that it
// does not offer. In either case the credential is read again, which must show that it
// is gone.
func (c *client) end(ctx context.Context, id string) error {
	path, err := pathOf(id)
	if err != nil {
		return err
	}
	const what = "revoke the credential"
	var done struct{} // the answer must be JSON; what counts is the look at the end
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
		return unclear("the provider accepted the revocation of the access key " + id + ", but still shows it as live: it is tried again")
	}
	return nil
}
