package proxyscrape

import (
	"slices"
	"strings"

	"apitoken.dev/operator/internal/credname"
)

// fieldSubaccounts is the field of a key that lists its subaccounts.
const fieldSubaccounts = "allowed_subaccounts"

// permissionCreate is the permission that every minting key has.
const permissionCreate = "account:apikeys:create"

// creatorsOf returns the subaccounts of each key that can be the minting key: an active
// one that the operator did not make and that may create keys. No documented answer names
// the key that a request was made with.
func creatorsOf(all []key) [][]string {
	var out [][]string
	for _, k := range all {
		_, foreign := credname.Parse(*k.Name)
		if foreign != nil && (k.Active == nil || *k.Active) && slices.Contains(k.Permissions, permissionCreate) {
			out = append(out, subaccountsOf(k))
		}
	}
	return out
}

// wrong returns the fields in which a key differs from the request. If no subaccounts
// were declared, the key has those that its creator can access ("Empty or omitted =
// all subaccounts the creator can access", docs.proxyscrape.com/api/account/create), and
// the API may show them as the list of the key. created says that the key is shown by the
// answer to its creation; then its list is believed if no key can be its creator.
func (c *client) wrong(want access, name string, shown key, created bool) []string {
	out := want.differs(name, shown)
	if len(want.subaccounts) > 0 {
		return out
	}
	list := subaccountsOf(shown)
	isList := func(of []string) bool { return slices.Equal(list, of) }
	if slices.ContainsFunc(c.creators, isList) || created && len(c.creators) == 0 {
		out = slices.DeleteFunc(out, func(field string) bool { return field == fieldSubaccounts })
	}
	return out
}

func subaccountsOf(k key) []string { return set(k.Subaccounts, strings.ToLower) }
