package proxyscrape

import (
	"context"
	"net/http"
	"strings"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// Mint implements provider.Client: it sends one request, and checks that
// the answer shows what was requested.
func (c *client) Mint(ctx context.Context, req provider.MintRequest) (provider.Minted, error) {
	want, err := c.grant(req.Name, req.Grant)
	if err != nil {
		return provider.Minted{}, err
	}
	const what = "create the API key"
	made, err := ask[created](ctx, c, call{
		Request: httpapi.Request{What: what, Method: http.MethodPost, Path: keysPath, Body: body{
			Name: req.Name, Permissions: want.permissions, Subaccounts: want.subaccounts, IPs: want.ips, ExpiresAt: want.expires,
		}},
		needs: "account:apikeys:create, and every permission that it gives",
	})
	if err != nil {
		return provider.Minted{}, err
	}
	if made.ID == "" || made.Token == "" {
		return provider.Minted{}, unclear(what, "without an id or without a token")
	}
	if wrong := c.wrong(want, req.Name, made.key, true); len(wrong) > 0 {
		return provider.Minted{}, unclear(what, "with a key that is not what was declared, in "+strings.Join(wrong, ", "))
	}
	return provider.Minted{
		Credential: made.credential(req.Name),
		Secret:     map[string]provider.Value{KeyToken: provider.NewValue(made.Token)},
	}, nil
}

// grant returns the access to grant under a name. After an error nothing was sent.
func (c *client) grant(name string, grant provider.Grant) (access, error) {
	if err := (provider.MintRequest{Name: name}).CheckName(); err != nil {
		return access{}, err
	}
	want, refusal := plan(grant)
	if refusal == nil {
		refusal = provider.RefuseScopes(c.grantable, grant)
	}
	if refusal != nil {
		return access{}, provider.NotGranted(refusal)
	}
	return want, nil
}
