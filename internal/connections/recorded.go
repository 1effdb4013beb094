package connections

import (
	"context"

	"apitoken.dev/operator/internal/account"
)

// Recorded returns the same facts as a Pool, without connecting to a provider. It compares
// accounts by what the statuses of the providers record, and not by what servers answered.
type Recorded struct{ *Pool }

// Sharing returns the providers that have the account of this one, itself included. Two
// TokenProviders whose accounts are identified by their credentials share one if they name
// the same Secret.
func (r Recorded) Sharing(ctx context.Context, key account.Key) (same []account.Key, settled bool, err error) {
	all, err := account.List(ctx, r.o.Reader)
	if err != nil {
		return nil, false, err
	}
	same = []account.Key{key}
	own := ""
	for _, o := range all {
		if o.Key() == key {
			own = r.recordedAccount(ctx, o)
		}
	}
	for _, o := range all {
		if o.Key() != key && own != "" && r.recordedAccount(ctx, o) == own {
			same = append(same, o.Key())
		}
	}
	return same, true, nil
}

// recordedAccount identifies the account that a provider's status records; empty if there
// is no record.
func (r Recorded) recordedAccount(ctx context.Context, o account.Object) string {
	driver, settings, err := r.resolve(o, nil)
	if err != nil || o.Status.Account == "" {
		return ""
	}
	id := r.placeOf(ctx, o) + " account " + o.Status.Account
	if byCredentials(account.ServerOf(ctx, driver, r.config(settings)), o) {
		id += " credentials " + o.Spec.CredentialsSecretRef.Name
	}
	return id
}
