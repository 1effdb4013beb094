package tokenprovider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/provider"
)

const (
	// verifyTurn is how long one reconcile looks up credentials. It occupies a worker and a
	// place at the provider for that time. The next reconcile continues where it ended.
	verifyTurn = 15 * time.Second
	// findMost is the largest number of credentials that are looked up one by one. For
	// more, the list of the whole cluster is read, if the provider lists all.
	findMost = 20
	// namedMissing is how many missing credentials are searched for and named.
	namedMissing = 5
)

// verify proves that an endpoint shows the credentials of all ledgers. An endpoint that
// does not can be another server with an account of the same name, or the same account
// after a loss of data. The operator neither mints nor revokes there.
func (r *Reconciler) verify(ctx context.Context, o account.Object, c connections.Connection, entries []entry) error {
	move := unverifiedError{key: o.Key(), was: o.Status.Endpoint, now: c.Endpoint.URL, field: c.Endpoint.Field, total: len(entries)}
	switch {
	case o.Status.Driver != "" && o.Status.Driver != c.Endpoint.Driver:
		move.why = fmt.Sprintf("the driver cannot change from %s to %s while credentials are in the ledgers", o.Status.Driver, c.Endpoint.Driver)
		return &move
	case !c.Capabilities.Relocates:
		move.why = fmt.Sprintf("%s cannot show which credentials there are, so its endpoint cannot change while credentials are in the ledgers", c.Endpoint.Driver)
		return &move
	}
	now := r.Clock.Now()
	wanted, doubts := sorted(entries, func(e *v1alpha1.LedgerEntry) bool {
		return c.Capabilities.ExpiryEnforcedBy == provider.EnforcedByProvider && e.ExpiresAt != nil && !now.Before(e.ExpiresAt.Time)
	})
	v := &verification{client: c.Client, caps: c.Capabilities, cluster: r.Cluster,
		shown: r.memory.shownAt(o.Key(), seenAt{uid: o.GetUID(), endpoint: c.Endpoint, minter: c.MinterKey})}
	deadline := r.Clock.Monotonic() + verifyTurn
	v.late = func() bool { return r.Clock.Monotonic() >= deadline }
	missing, err := v.missing(ctx, wanted)
	switch {
	case errors.Is(err, errLater):
		return &verifyingError{unverifiedError: move, shown: v.count(wanted)}
	case err != nil:
		return err
	case len(missing) > 0:
		move.missing, move.left = missing, len(wanted)-v.count(wanted)
		return &move
	case len(doubts) > 0 && v.count(wanted) == 0:
		return v.anyOf(ctx, doubts, move)
	}
	return nil
}

// sorted drops the entries that have ended, and separates those without an id: attempts
// with an unknown outcome, and credentials that only a Secret names. They may never have
// existed, so the endpoint need not show them.
func sorted(entries []entry, ended func(*v1alpha1.LedgerEntry) bool) (wanted, doubts []entry) {
	for _, e := range entries {
		switch {
		case ended(&e.LedgerEntry):
		case e.ID == "":
			doubts = append(doubts, e)
		default:
			wanted = append(wanted, e)
		}
	}
	return wanted, doubts
}

// verification looks up credentials at one endpoint.
type verification struct {
	client  provider.Client
	caps    provider.Capabilities
	cluster string
	// shown are the credentials that the endpoint has shown so far.
	shown *shown
	// late reports whether the turn is over.
	late func() bool
}

// errLater: the verification continues in the next turn.
var errLater = errors.New("the verification is not done yet")

// missing returns the first credentials that the endpoint does not show.
func (v *verification) missing(ctx context.Context, wanted []entry) ([]entry, error) {
	if v.caps.Listed == 0 && !v.shown.listed && len(wanted)-v.count(wanted) > findMost {
		if err := v.list(ctx, wanted); err != nil {
			return nil, err
		}
	}
	var missing []entry
	for _, e := range wanted {
		if v.shown.has(e) {
			continue
		}
		if len(missing) == namedMissing {
			return missing, nil
		}
		if v.late() {
			return nil, errLater
		}
		found, err := v.find(ctx, e)
		if err != nil {
			return nil, err
		}
		if !found {
			missing = append(missing, e)
		}
	}
	return missing, nil
}

// list reads the list of the cluster from where the previous turn ended.
func (v *verification) list(ctx context.Context, wanted []entry) error {
	ids := make(map[string]string, len(wanted))
	for _, e := range wanted {
		ids[e.Name] = e.ID
	}
	cursor := provider.NewCursor(v.shown.cursor)
	for c, err := range v.client.List(provider.WithCursor(ctx, cursor), provider.Owner{Cluster: v.cluster}) {
		if errors.Is(err, provider.ErrCut) {
			return v.cut(cursor.Next())
		}
		if err != nil {
			return err
		}
		if id, ok := ids[c.Name]; ok && id == c.ID {
			v.shown.add(c.Name, c.ID)
		}
		if next := cursor.Next(); v.late() && next != "" && next != v.shown.cursor {
			return v.cut(next)
		}
	}
	v.shown.listed = true
	return nil
}

// cut ends a part of the list. The next turn continues after it. If no whole page was read,
// the remaining credentials are looked up one by one.
func (v *verification) cut(next string) error {
	if next == "" || next == v.shown.cursor {
		v.shown.listed = true
		return nil
	}
	v.shown.cursor = next
	return errLater
}

func (v *verification) find(ctx context.Context, e entry) (bool, error) {
	found, err := v.client.Find(ctx, account.RefOf(&e.LedgerEntry))
	if err != nil {
		return false, err
	}
	for _, c := range found {
		if c.Name == e.Name && (e.ID == "" || c.ID == e.ID) {
			v.shown.add(c.Name, c.ID)
			return true, nil
		}
	}
	return false, nil
}

func (v *verification) count(wanted []entry) int {
	n := 0
	for _, e := range wanted {
		if v.shown.has(e) {
			n++
		}
	}
	return n
}

// anyOf looks up the attempts with an unknown outcome if there are no other entries: one
// that is shown proves the account. If none is shown, they may exist at the previous
// endpoint.
func (v *verification) anyOf(ctx context.Context, doubts []entry, move unverifiedError) error {
	for _, e := range doubts[:min(len(doubts), namedMissing)] {
		if found, err := v.find(ctx, e); err != nil || found {
			return err
		}
	}
	move.missing, move.left = doubts[:min(len(doubts), namedMissing)], len(doubts)
	return &move
}

// shown are the credentials that one endpoint has shown to one set of minting credentials.
type shown struct {
	// ids by name.
	ids map[string][]string
	// cursor is where the list continues. listed: it has ended.
	cursor string
	listed bool
}

func (s *shown) add(name, id string) {
	if !slices.Contains(s.ids[name], id) {
		s.ids[name] = append(s.ids[name], id)
	}
}

func (s *shown) has(e entry) bool {
	return slices.Contains(s.ids[e.Name], e.ID)
}
