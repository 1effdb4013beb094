package proxyscrape

import (
	"context"
	"net/http"
	"strings"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// Update implements provider.Updater. It sends every field and reads the key
// back, because the API can ignore fields without an error
// ("Empty arrays are silently ignored", docs.proxyscrape.com/api-reference/update-api-key).
func (c *client) Update(ctx context.Context, ref provider.Ref, req provider.MintRequest) (provider.Credential, error) {
	name := ref.Name
	want, err := c.grant(name, req.Grant)
	if err != nil {
		return provider.Credential{}, err
	}
	before, err := c.source().One(ctx, ref)
	if err != nil {
		return provider.Credential{}, err
	}
	id := before.ID
	const what = "change the API key"
	_, err = ask[struct{}](ctx, c, call{
		Request: httpapi.Request{What: what, Method: http.MethodPut, Path: keyPath(id), Body: changed{
			Name: name, Permissions: want.permissions, Subaccounts: want.subaccounts, IPs: want.ips, ExpiresAt: want.expires,
		}},
		needs: "account:apikeys:update, and every permission that it gives",
	})
	if err != nil {
		return provider.Credential{}, err
	}
	shown, ok, err := c.get(ctx, id)
	if err != nil {
		return provider.Credential{}, err
	}
	if !ok {
		return provider.Credential{}, unclear(what, "that it was changed, and then that there is no such key")
	}
	if wrong := c.wrong(want, name, shown, false); len(wrong) > 0 {
		return provider.Credential{}, unclear(what, "that it was changed, but the key is still not what was declared, in "+
			strings.Join(wrong, ", ")+"; a new credential is needed")
	}
	return shown.credential(name), nil
}
