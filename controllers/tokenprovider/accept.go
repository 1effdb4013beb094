package tokenprovider

import (
	"context"
	"fmt"
	"slices"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/provider"
)

// accept returns an error unless a connection is to the account and the server that issued
// the credentials of all ledgers that use the provider. It accepts what the status records,
// and compares anything else with these ledgers. It reads them live, because the cache and
// status.liveCredentials lag. Until the status records an endpoint, package connections
// neither mints nor revokes there.
func (r *Reconciler) accept(ctx context.Context, o account.Object, c connections.Connection) error {
	same := o.Verified(c.Endpoint) || verifiedEarlier(o, c)
	if same && c.Account.Is(o.Status.Account) && o.Status.Account != "" {
		r.memory.forgetShown(o.Key())
		return nil
	}
	entries, err := r.liveEntries(ctx, o.Key())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !c.Account.Is(e.Account) {
			return &accountError{has: c.Account.ID, issuedBy: e.Account, token: e.token, entries: len(entries)}
		}
	}
	if same || len(entries) == 0 {
		return nil
	}
	return r.verify(ctx, o, c, entries)
}

// verifiedEarlier reports whether an earlier version of the operator, which recorded no
// endpoint, found the account at this endpoint: the account ID that it recorded contains
// the server, except for the vendor's own server.
func verifiedEarlier(o account.Object, c connections.Connection) bool {
	if o.Status.Endpoint != "" || o.Status.Account == "" {
		return false
	}
	if len(c.Account.Former) > 0 {
		return slices.Contains(c.Account.Former, o.Status.Account)
	}
	return o.Status.Account == c.Account.ID
}

// formerAccount returns the ID of the account in an earlier version of the operator, which
// ledgers can still contain. It is empty if no earlier version ran, or if the account was
// another one.
func formerAccount(o account.Object, now provider.Account) string {
	switch {
	case o.Status.Account == now.ID:
		return o.Status.FormerAccount
	case o.Status.Endpoint == "" && slices.Contains(now.Former, o.Status.Account):
		return o.Status.Account
	default:
		return ""
	}
}

// accountError reports that the credentials belong to another account than the ledgers.
type accountError struct {
	has, issuedBy string
	// token is an ApiToken with an entry of account issuedBy.
	token   string
	entries int
}

// Error implements error.
func (e *accountError) Error() string {
	return fmt.Sprintf("the credentials belong to account %s, but some of the %d credentials in ledgers were issued by account %s, for example that of ApiToken %s. "+
		"Put credentials of that account into the Secret of spec.credentialsSecretRef", e.has, e.entries, e.issuedBy, e.token)
}

// entry is one ledger entry and the ApiToken that it is in.
type entry struct {
	v1alpha1.LedgerEntry
	token string
}

// liveEntries reads the ledgers of every ApiToken that uses a provider from the API server.
func (r *Reconciler) liveEntries(ctx context.Context, key account.Key) ([]entry, error) {
	var out []entry
	err := r.eachLive(ctx, key, func(t *v1alpha1.ApiToken) {
		for i := range t.Status.Credentials {
			out = append(out, entry{LedgerEntry: t.Status.Credentials[i], token: t.Namespace + "/" + t.Name})
		}
	})
	if err != nil {
		return nil, &liveError{err: err}
	}
	return out, nil
}

// liveError reports that the ledgers could not be read from the API server. The provider
// did not cause it.
type liveError struct{ err error }

// Error implements error.
func (e *liveError) Error() string { return e.err.Error() }

func (e *liveError) Unwrap() error { return e.err }
