// Package orphansweep periodically finds orphans, which are credentials at a provider that
// are in no ledger, and reports or revokes them. It lists the provider first and the
// cluster after it, so a credential that is issued in between is in a ledger when that
// ledger is read. It also finds drift, which are credentials in use that the provider no
// longer shows as they were issued, and requests a lookup of each.
package orphansweep

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/places"
)

// Mode says what a sweep does about orphans.
type Mode string

// The modes.
const (
	// Report reports orphans and does not revoke them.
	Report Mode = "Report"
	// Revoke also revokes orphans that are certainly unused.
	Revoke Mode = "Revoke"
)

// ErrMode is returned for an unknown mode.
var ErrMode = errors.New("the mode of the sweep is Report or Revoke")

// ParseMode reads a mode.
func ParseMode(s string) (Mode, error) {
	if m := Mode(s); m == Report || m == Revoke {
		return m, nil
	}
	return "", fmt.Errorf("%w, not %q", ErrMode, s)
}

const (
	// DefaultInterval is the time between two sweeps.
	DefaultInterval = time.Hour
	// grace is the minimum age of an orphan. No attempt takes that long to enter a ledger
	// or to leave it.
	grace = time.Hour
	// maxTurn is the longest time that a sweep spends on one account. A list of 10,000
	// credentials with a request for each, at ten a second, takes a third of it.
	maxTurn = 50 * time.Minute
)

// Connector connects to providers. *connections.Pool implements it.
type Connector interface {
	Connect(ctx context.Context, key account.Key, place *places.Place) (connections.Connection, error)
	Minter(key account.Key) (minter account.MinterIdentity, ok bool)
}

// Options of a Sweeper.
type Options struct {
	// Cached reads providers.
	Cached client.Reader
	// Live reads ApiTokens and Secrets, in all namespaces.
	Live     client.Reader
	Pool     Connector
	Clock    clock.Clock
	Recorder events.EventRecorder
	Logger   logr.Logger
	// Cluster is the identity hash of this cluster; see package credname.
	Cluster string
	// Doubt is called for each credential in use that differs between the list and its
	// ledger, so that the ApiToken's reconciler looks it up. missed means that two
	// consecutive complete lists did not show it. It must not block. If Doubt is nil, drift
	// is only counted.
	Doubt func(token types.NamespacedName, credential string, missed bool)
	// Interval between sweeps; 0 means DefaultInterval.
	Interval time.Duration
	// Mode; empty means Report.
	Mode Mode
	// Turn is the longest time that a sweep spends on one account; 0 means the interval,
	// and at most 50 minutes.
	Turn time.Duration
}

// Sweeper is a runnable of a manager. Only the leader runs it.
type Sweeper struct {
	o      Options
	places *places.Places
	// rounds counts the sweeps; began is when the last one started.
	rounds int
	began  time.Time

	mu       sync.Mutex
	memories map[account.MinterIdentity]*memory
	// reported is the number of orphans that each provider's metric shows.
	reported map[account.Key]int
}

// New returns a Sweeper.
func New(o Options) *Sweeper {
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.Mode == "" {
		o.Mode = Report
	}
	if o.Doubt == nil {
		o.Doubt = func(types.NamespacedName, string, bool) {}
	}
	if o.Turn == 0 {
		o.Turn = min(o.Interval, maxTurn)
	}
	return &Sweeper{o: o, places: places.New(o.Clock, places.Limits{}),
		memories: map[account.MinterIdentity]*memory{}, reported: map[account.Key]int{}}
}

// Setup adds the sweeper to a manager.
func (s *Sweeper) Setup(mgr ctrl.Manager) error {
	if err := mgr.Add(s); err != nil {
		return fmt.Errorf("adding the sweeper: %w", err)
	}
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*Sweeper) NeedLeaderElection() bool { return true }

// Start sweeps until the context ends. The first sweep is at a random time within the
// interval, so that restarts do not synchronize sweeps.
func (s *Sweeper) Start(ctx context.Context) error {
	wait := rand.N(s.o.Interval) //nolint:gosec // G404: a jitter needs no secrecy
	for {
		if err := s.o.Clock.Sleep(ctx, wait); err != nil {
			return nil //nolint:nilerr // the manager stops
		}
		began := s.o.Clock.Monotonic()
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.o.Logger.Error(err, "the sweep for orphaned credentials failed; the next one is due", "in", s.o.Interval.String())
		}
		// The next sweep is due one interval after this one started, however long a
		// provider took.
		wait = max(0, s.o.Interval-(s.o.Clock.Monotonic()-began))
	}
}

// Sweep sweeps all providers once. A provider that fails or does not answer neither stops
// nor delays the others. If the ledgers cannot be read, no credential is an orphan.
func (s *Sweeper) Sweep(ctx context.Context) error {
	providers, err := account.List(ctx, s.o.Cached)
	if err != nil {
		return err
	}
	r, err := s.newRound(ctx)
	if err != nil {
		return err
	}
	failed := r.each(ctx, s.turns(providers))
	s.forget(providers)
	return errors.Join(failed...)
}
