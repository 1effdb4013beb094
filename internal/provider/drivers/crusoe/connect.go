package crusoe

import (
	"context"
	"net/http"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// client implements provider.Client and provider.Counter.
type client struct {
	driver *Driver
	api    *httpapi.API
	// path of the keys of the organization.
	path string
	// user is the id of the user that the keys belong to.
	user string
}

// Connect implements provider.Driver. It looks up the user of the minting credentials,
// and lists the keys to check their permissions.
func (d *Driver) Connect(ctx context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	settings, err := settingsOf(cfg)
	if err != nil {
		return nil, provider.Account{}, err
	}
	signer, err := signerFor(d.clock, cfg.Credentials)
	if err != nil {
		return nil, provider.Account{}, err
	}
	api, err := httpapi.New("spec.crusoe.endpoint", settings.Endpoint, cfg)
	if err != nil {
		return nil, provider.Account{}, err
	}
	api.Prepare, api.Explain = signer.sign, explain(d.clock)
	c := &client{driver: d, api: api, path: "/organizations/" + settings.OrganizationID + "/storage/s3/keys"}
	if c.user, err = c.whose(ctx); err != nil {
		return nil, provider.Account{}, err
	}
	if _, err := c.keys(ctx); err != nil {
		return nil, provider.Account{}, err
	}
	return c, settings.account(c.user), nil
}

// whose returns the id of the user that the minting credentials belong to
// (getUserIdentity in swagger/v1/swagger.json).
func (c *client) whose(ctx context.Context) (string, error) {
	var answer struct {
		Identity struct {
			ID string `json:"id"`
		} `json:"identity"`
	}
	const what = "look up the user of the minting credentials"
	if _, err := c.api.Do(ctx, httpapi.Request{What: what, Method: http.MethodGet, Path: "/users/identities", Into: &answer}); err != nil {
		return "", err
	}
	// The id becomes part of the account's ID, which users see.
	id := provider.Word(answer.Identity.ID)
	if id == "" {
		return "", &provider.Error{Code: provider.CodeUnknown, Message: "could not " + what + ": the provider answered without the id of a user"}
	}
	return id, nil
}

var (
	_ provider.Driver    = (*Driver)(nil)
	_ provider.Validator = (*Driver)(nil)
	_ provider.Connector = (*Driver)(nil)
	_ provider.Counter   = (*client)(nil)
)
