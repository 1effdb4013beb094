package memory

import "apitoken.dev/operator/internal/account"

// maxAccounts bounds the accounts whose reservations are counted at the same time.
const maxAccounts = 1024

// Reservations count the reservations of each account since this process first saw an
// attempt with an unknown outcome. An account without such attempts takes no memory.
type Reservations struct {
	counts *store[account.Identity, count]
}

type count struct {
	reservations int
	// seen is the count when each open attempt was first seen.
	seen map[string]int
}

// Open is an attempt with an unknown outcome, and the number of existing ledger entries
// that were reserved after it.
type Open struct {
	Name  string
	Newer int
}

func newReservations() *Reservations {
	return &Reservations{newStore[account.Identity, count](maxAccounts)}
}

// Reserved counts a reservation.
func (r *Reservations) Reserved(identity account.Identity) {
	r.counts.edit(identity, func(c *count) bool {
		c.reservations++
		return c.seen != nil
	})
}

// Since returns the name of the oldest open attempt, and how many reservations came after
// it: those that this process counted or those that the ledgers show, whichever are more.
// After a restart, reservations whose entries are gone are not counted. That is safe,
// because a driver never treats a name as gone that may have left the list window.
func (r *Reservations) Since(identity account.Identity, open []Open) (newer int, name string) {
	r.counts.edit(identity, func(c *count) bool {
		seen := make(map[string]int, len(open))
		for _, o := range open {
			first, known := c.seen[o.Name]
			if !known {
				first = c.reservations
			}
			seen[o.Name] = first
			if n := max(c.reservations-first, o.Newer); name == "" || n > newer {
				newer, name = n, o.Name
			}
		}
		c.seen = seen
		return len(open) > 0
	})
	return newer, name
}
