package proxyscrape

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// AccountKeyName is the name of the API key whose id identifies the account. No documented
// answer names the account, so its owner can create a key of this name once, and keep it.
const AccountKeyName = "apitoken-account"

// maxGrantable is how many permissions are accepted; ProxyScrape documents 22.
const maxGrantable = 256

// permission is the shape of a scope, and of the permissions that are shown.
var permission = regexp.MustCompile(`^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)+$`)

// maxPermission is the longest permission that is accepted.
const maxPermission = 128

func isPermission(s string) bool { return len(s) <= maxPermission && permission.MatchString(s) }

// client implements provider.Client and provider.Updater.
type client struct {
	api *httpapi.API
	// grantable are the permissions that the minting key can grant.
	grantable []string
	// creators are the subaccounts of each key that can be the minting key.
	creators [][]string
}

// Connect implements provider.Driver. It reads the permissions that the minting key can
// grant, and the list of keys, to check that it can read them.
func (*Driver) Connect(ctx context.Context, cfg provider.Config) (provider.Client, provider.Account, error) {
	api, err := open(cfg)
	if err != nil {
		return nil, provider.Account{}, err
	}
	if err := authenticate(api, cfg); err != nil {
		return nil, provider.Account{}, err
	}
	api.Explain = explain
	c := &client{api: api}
	if c.grantable, err = c.allowed(ctx); err != nil {
		return nil, provider.Account{}, err
	}
	all, err := c.keys(ctx)
	if err != nil {
		return nil, provider.Account{}, err
	}
	c.creators = creatorsOf(all)
	account := accountOf(api, all)
	account.GrantableScopes = slices.Clone(c.grantable)
	return c, account, nil
}

// allowed reads the permissions that the minting key can grant.
func (c *client) allowed(ctx context.Context) ([]string, error) {
	const what = "read the permissions that the minting key can grant"
	got, err := ask[struct {
		Permissions []string `json:"allowed_permissions"`
	}](ctx, c, call{
		Request: httpapi.Request{What: what, Method: http.MethodGet, Path: keysPath + "/allowed-permissions"},
		needs:   "account:apikeys:read",
	})
	if err != nil {
		return nil, err
	}
	if got.Permissions == nil {
		return nil, unclear(what, "without allowed_permissions")
	}
	if len(got.Permissions) == 0 {
		return nil, &provider.Error{
			Code: provider.CodePermissionDenied, NotExecuted: true,
			Message: "the minting key can grant no permission: give it account:apikeys:create and every permission that ApiTokens can declare",
		}
	}
	out := slices.DeleteFunc(got.Permissions, func(p string) bool { return !isPermission(p) })
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) == 0 || len(out) > maxGrantable {
		return nil, unclear(what, fmt.Sprintf("with %d permissions of the shape product:permission, where 1 to %d can be used", len(out), maxGrantable))
	}
	return out, nil
}

// accountOf is the id of the oldest key named AccountKeyName. Without such a key, accounts
// are not distinguished. Earlier versions put the host before the id.
func accountOf(api *httpapi.API, all []key) provider.Account {
	host := strings.ToLower(api.Base.Host)
	marks := slices.DeleteFunc(slices.Clone(all), func(k key) bool { return *k.Name != AccountKeyName })
	if len(marks) == 0 {
		return provider.Account{ID: provider.UnnamedAccount, Former: []string{host}}
	}
	oldest := slices.MinFunc(marks, func(a, b key) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt.Time), strings.Compare(a.ID, b.ID))
	})
	id := strings.ToLower(oldest.ID)
	return provider.Account{ID: id, Former: []string{host + "/" + id}}
}
