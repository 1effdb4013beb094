package rest

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/google/cel-go/common/types"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// Connect implements provider.Driver. It checks the declaration, requests the account if
// spec.rest.account is set, and lists one page, which checks the permission to list
// credentials.
func (*Driver) Connect(ctx context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	settings, err := settingsOf(cfg)
	if err != nil {
		return nil, provider.Account{}, err
	}
	p, err := compile(settings)
	if err != nil {
		return nil, provider.Account{}, err
	}
	s, err := connection(cfg, p)
	if err != nil {
		return nil, provider.Account{}, err
	}
	account, err := s.account(ctx)
	if err != nil {
		return nil, provider.Account{}, err
	}
	c := &client{sender: s}
	if _, _, err := c.page(ctx, "", pageOf(""), nil); err != nil {
		return nil, provider.Account{}, err
	}
	if p.probe != nil {
		return &prober{client: c}, account, nil
	}
	return c, account, nil
}

func connection(cfg provider.Config, p *program) (*sender, error) {
	for _, key := range p.keys {
		if cfg.Credentials[key].Empty() {
			return nil, &provider.Error{
				Code: provider.CodeUnauthenticated, NotExecuted: true,
				Message: "the credentials Secret needs the keys " + strings.Join(p.keys, ", ") + ": " + key + " is missing",
			}
		}
	}
	api, err := httpapi.New(baseURLField, p.settings.BaseURL, cfg)
	if err != nil {
		return nil, err
	}
	return &sender{p: p, api: api, credentials: revealed(cfg.Credentials)}, nil
}

// account returns the account of the credentials. Earlier versions added the host.
func (s *sender) account(ctx context.Context) (provider.Account, error) {
	host := strings.ToLower(s.api.Base.Host)
	if s.p.account == nil {
		return provider.Account{ID: provider.UnnamedAccount, Former: []string{host}}, nil
	}
	const what = "read the account"
	out := provider.Account{}
	err := s.send(ctx, s.p.account, what, map[string]any{}, func(ctx context.Context, vars map[string]any) error {
		id, err := s.p.accountID.word(ctx, vars)
		if err != nil {
			return unclear(what, err.Error())
		}
		if id == "" || len(id) > maxAccount {
			return unclear(what, fmt.Sprintf("spec.rest.account.id returns nothing, or more than %d bytes", maxAccount))
		}
		out.ID, out.Former = id, []string{id + "@" + host}
		if s.p.permissions == nil {
			return nil
		}
		permissions, err := s.p.permissions.list(ctx, vars)
		if err != nil {
			return unclear(what, err.Error())
		}
		out.GrantableScopes = scopesOf(s.p.settings, permissions)
		return nil
	})
	if err != nil {
		return provider.Account{}, err
	}
	return out, nil
}

// maxAccount is the longest identifier of an account at its vendor, in bytes.
const maxAccount = 128

// scopesOf returns the scopes whose permissions the account can grant, or the permissions
// themselves if spec.rest.scopes is empty.
func scopesOf(s Settings, permissions []any) []string {
	known := map[string]bool{}
	var out []string
	for _, p := range permissions {
		text, ok := p.(types.String)
		if !ok {
			continue
		}
		known[string(text)] = true
		if len(s.Scopes) == 0 {
			out = append(out, string(text))
		}
	}
	for _, scope := range s.Scopes {
		if known[cmp.Or(scope.Permission, scope.Scope)] {
			out = append(out, scope.Scope)
		}
	}
	return out
}
