package ibee

import (
	"context"
	"net/http"
	"net/url"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// client implements provider.Client and provider.Prober.
type client struct {
	// api has no credentials; see call.
	api       httpapi.API
	workspace string
	token     provider.Value
}

// Connect implements provider.Driver. It reads the list of credentials, which
// needs the token, its rights and an account that is not blocked.
func (*Driver) Connect(ctx context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	settings, err := settingsOf(cfg)
	if err != nil {
		return nil, provider.Account{}, err
	}
	token := cfg.Credentials[KeyToken]
	if !sendable(token) {
		return nil, provider.Account{}, &provider.Error{
			Code: provider.CodeUnauthenticated, NotExecuted: true,
			Message: "the credentials Secret needs the key " + KeyToken + " with a platform API token, without spaces or line breaks",
		}
	}
	api, err := httpapi.New("spec.ibee.endpoint", settings.Endpoint, cfg)
	if err != nil {
		return nil, provider.Account{}, err
	}
	if api.UserAgent == "" {
		api.UserAgent = userAgent
	}
	c := &client{api: *api, workspace: settings.WorkspaceID, token: token}
	if _, err := c.list(ctx); err != nil {
		return nil, provider.Account{}, err
	}
	return c, accountOf(settings.WorkspaceID, api.Base), nil
}

// sendable reports whether a token can be sent in a header: it is not empty, and has
// printable characters without spaces only.
func sendable(token provider.Value) bool {
	for _, b := range []byte(token.Reveal()) {
		if b <= ' ' || b > '~' {
			return false
		}
	}
	return !token.Empty()
}

// call sends a request with the minting token.
func (c *client) call(ctx context.Context, r httpapi.Request) (httpapi.Answer, error) {
	return c.callAs(ctx, c.token, r)
}

// callAs sends a request with a token. Every request names the workspace, once.
func (c *client) callAs(ctx context.Context, token provider.Value, r httpapi.Request) (httpapi.Answer, error) {
	api := c.api
	api.Prepare = func(req *http.Request, _ []byte) error {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
		return nil
	}
	api.Explain = func(a httpapi.Answer, e *provider.Error) { explain(a, e, token) }
	r.Query = url.Values{"workspace_id": {c.workspace}}
	return api.Do(ctx, r)
}
