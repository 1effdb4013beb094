package bounded

import (
	"strings"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// MaxIdentifier is the longest identifier, in characters: as long as the
// operator's API admits an account and the id of a credential.
const MaxIdentifier = 256

// maxScopes is how many scopes a provider's status holds.
const maxScopes = 256

// Errors of answers. They repeat no text of the answer.
const (
	badState   = "the state of a credential is not Live, Disabled or Ended"
	badID      = "the id of a credential is not 1 to 256 printable ASCII characters without / ? # %, or is . or .."
	badName    = "the name of a credential is not 1 to 256 printable ASCII characters without / ? # %, or is . or .."
	badAccount = "the id of the account is not 1 to 256 printable ASCII characters without ? # %, or a part of it is empty, . or .."
	badScope   = "a permission of the account is not 1 to 256 printable ASCII characters without / ? # %"
	manyScopes = "the account has more than 256 permissions"
	noSecret   = "a new credential has no secret"
	otherName  = "a new credential does not have the requested name"
	badTime    = "a time of a credential is not in the years 2 to 9999, before the last day of 9999"
)

// The times that the operator's API can hold are not before earliest and before latest.
var (
	earliest = time.Date(2, time.January, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)
)

// identifier reports whether a string can be an id, a name or a permission: 1 to
// 256 printable ASCII characters (RFC 20, without the space), none of which has a
// meaning in a URL (RFC 3986, section 2.2), and no segment that climbs in a path.
func identifier(s string) bool {
	return s != "" && len(s) <= MaxIdentifier && s != "." && s != ".." && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '/' || r == '?' || r == '#' || r == '%'
	})
}

// account reports whether a string can be the id of an account. Drivers join the
// parts of it with a slash, and it is never part of a URL.
func account(s string) bool {
	for part := range strings.SplitSeq(s, "/") {
		if !identifier(part) {
			return false
		}
	}
	return len(s) <= MaxIdentifier
}

// timesFit reports whether the times of a credential are unknown or fit into a status.
// The API server rejects every status write with another time.
func timesFit(c provider.Credential) bool {
	fits := func(t time.Time) bool { return t.IsZero() || !t.Before(earliest) && t.Before(latest) }
	return fits(c.CreatedAt) && fits(c.ExpiresAt)
}

// unusable is the error of an answer that cannot be used. It is in doubt.
func unusable(method, why string) *provider.Error {
	return &provider.Error{Code: provider.CodeUnknown, Message: "the provider's answer to " + method + " cannot be used: " + why}
}

// checkedAccount checks an account, and removes duplicate permissions.
func checkedAccount(a provider.Account) (provider.Account, error) {
	if !account(a.ID) {
		return provider.Account{}, unusable(connect.name, badAccount)
	}
	seen := map[string]bool{}
	var scopes []string
	for _, scope := range a.GrantableScopes {
		switch {
		case !identifier(scope):
			return provider.Account{}, unusable(connect.name, badScope)
		case seen[scope]:
			continue
		case len(scopes) == maxScopes:
			return provider.Account{}, unusable(connect.name, manyScopes)
		}
		seen[scope] = true
		scopes = append(scopes, scope)
	}
	a.GrantableScopes = scopes
	return a, nil
}

func checkMinted(req provider.MintRequest, m provider.Minted) *provider.Error {
	switch {
	case !identifier(m.Credential.ID):
		return unusable(mint.name, badID)
	case m.Credential.Name != req.Name:
		return unusable(mint.name, otherName)
	case len(m.Secret) == 0:
		return unusable(mint.name, noSecret)
	case !timesFit(m.Credential):
		return unusable(mint.name, badTime)
	}
	return nil
}

// checkCredential checks a credential that the provider shows. A credential that grants no
// access can have no id.
func checkCredential(b *budget, c provider.Credential) error {
	if err := b.item(); err != nil {
		return err
	}
	switch {
	case c.State != provider.Live && c.State != provider.Disabled && c.State != provider.Ended:
		return unusable(b.kind.name, badState)
	case !identifier(c.ID) && (c.ID != "" || c.State == provider.Live):
		return unusable(b.kind.name, badID)
	case !identifier(c.Name):
		return unusable(b.kind.name, badName)
	case !timesFit(c):
		return unusable(b.kind.name, badTime)
	}
	return nil
}

// checkedList checks what a provider shows. Names of other clients are
// made printable instead of rejected, and a time that does not fit becomes unknown, because
// a credential of another client must not stop the count.
func checkedList(b *budget, found []provider.Credential, err error, named bool) ([]provider.Credential, error) {
	if err != nil {
		return nil, err
	}
	for i, c := range found {
		if !named {
			found[i].Name = printable(c.Name)
			if !timesFit(c) {
				found[i].CreatedAt, found[i].ExpiresAt = time.Time{}, time.Time{}
			}
			c = found[i]
			c.Name = "any"
		}
		if err := checkCredential(b, c); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// checkedRef removes an invalid id, so that no request puts it into a URL; the name is
// then enough.
func checkedRef(method string, ref provider.Ref) (provider.Ref, error) {
	if ref.ID == "" || identifier(ref.ID) {
		return ref, nil
	}
	ref.ID = ""
	if ref.Name == "" {
		return ref, provider.Invalid(method + " was not sent: " + badID)
	}
	return ref, nil
}

// printable makes the text of another client safe to show: everything but printable
// ASCII becomes ?, and it is cut to 256 characters.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), MaxIdentifier)])
}
