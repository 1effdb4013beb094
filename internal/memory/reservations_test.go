package memory

import (
	"testing"

	"apitoken.dev/operator/internal/account"
)

// TestReservationsForgetAccountsWithoutOpenAttempts, and never remember more than a number of
// accounts.
func TestReservationsForgetAccountsWithoutOpenAttempts(t *testing.T) {
	r := New().Reservations
	identity := func(n int) account.Identity { return account.Identity{byte(n), byte(n >> 8)} }
	r.Reserved(identity(0))
	if r.counts.len() != 0 {
		t.Error("a reservation alone is remembered")
	}
	open := []Open{{Name: "d"}}
	r.Since(identity(0), open)
	r.Reserved(identity(0))
	r.Reserved(identity(1))
	if n, name := r.Since(identity(0), open); n != 1 || name != "d" {
		t.Errorf("%d reservations after %q", n, name)
	}
	r.Since(identity(0), nil)
	if r.counts.len() != 0 {
		t.Error("an account without open attempts is remembered")
	}
	for i := range maxAccounts + 10 {
		r.Since(identity(i), open)
	}
	if _, newest := r.counts.get(identity(maxAccounts + 9)); r.counts.len() != maxAccounts || !newest {
		t.Errorf("%d accounts are remembered", r.counts.len())
	}
}
