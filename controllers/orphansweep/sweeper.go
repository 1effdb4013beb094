// Package orphansweep looks, from time to time, for credentials at providers that
// no ledger knows, and reports or revokes them. It lists the provider first and
// the cluster after it, so that a credential issued meanwhile is in a ledger by
// the time that ledger is read. It also looks for credentials in use that their provider
// no longer shows as they were issued, and has those confirmed.
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

// Mode says what is done about orphans.
type Mode string

// The modes.
const (
	// Report tells about orphans and leaves them alone.
	Report Mode = "Report"
	// Revoke revokes those that are certainly of no use to anybody.
	Revoke Mode = "Revoke"
)

// ErrMode says that a string is no mode.
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
	// grace is how old a credential has to be before it can be an orphan: longer
	// than any attempt takes to get into a ledger or out of it.
	grace = time.Hour
	// maxTurn is the longest that a sweep spends on one account: a list of 10,000
	// credentials with a request for each, at ten a second, ends well within it.
	maxTurn = 50 * time.Minute
)

// Connector connects to providers; a *connections.Pool is one.
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
	// Doubt has the provider asked about a credential in use that a sweep saw otherwise
	// than its ledger has it. Missed says that two complete lists in a row did not show it.
	// It must not wait. Nothing is asked when nil.
	Doubt func(token types.NamespacedName, credential string, missed bool)
	// Interval between sweeps; DefaultInterval when 0.
	Interval time.Duration
	// Mode is Report when empty.
	Mode Mode
	// Turn is how long a sweep spends on one account at most; as long as the interval,
	// and at most 50 minutes, when 0.
	Turn time.Duration
}

// Sweeper is a runnable of a manager: one per cluster, run by the leader.
type Sweeper struct {
	o      Options
	places *places.Places
	// rounds counts the sweeps; began is when the last one did.
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

// Start sweeps until the context ends. The first sweep is at a random moment of
// the first interval, so that restarts do not bring sweeps together.
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
		// However long one provider took, the next sweep is due for all the others.
		wait = max(0, s.o.Interval-(s.o.Clock.Monotonic()-began))
	}
}

// Sweep looks once. What one provider answers, or does not answer, does not stop or
// delay the others; without the ledgers nothing is judged.
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
