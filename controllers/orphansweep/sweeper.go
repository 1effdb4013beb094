// Package orphansweep looks, from time to time, for credentials at providers that
// no ledger knows, and reports or revokes them. It lists the provider first and
// the cluster after it, so that a credential issued meanwhile is in a ledger by
// the time that ledger is read.
package orphansweep

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
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
)

// Connector connects to providers; a *connections.Pool is one.
type Connector interface {
	Connect(ctx context.Context, key connections.Key, place *places.Place) (connections.Connection, error)
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
	// Interval between sweeps; DefaultInterval when 0.
	Interval time.Duration
	// Mode is Report when empty.
	Mode Mode
}

// Sweeper is a runnable of a manager: one per cluster, run by the leader.
type Sweeper struct {
	o         Options
	places    *places.Places
	firstSeen map[sighting]time.Duration
	reported  map[connections.Key]bool
}

// sighting is a credential that was seen without being in a ledger.
type sighting struct{ account, name string }

// New returns a Sweeper.
func New(o Options) *Sweeper {
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.Mode == "" {
		o.Mode = Report
	}
	return &Sweeper{o: o, places: places.New(o.Clock, places.Limits{}), firstSeen: map[sighting]time.Duration{}, reported: map[connections.Key]bool{}}
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
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.o.Logger.Error(err, "the sweep for orphaned credentials failed; the next one is due", "in", s.o.Interval.String())
		}
		wait = s.o.Interval
	}
}

// Sweep looks once. What one provider answers does not stop the others; without
// the ledgers nothing is judged.
func (s *Sweeper) Sweep(ctx context.Context) error {
	providers, err := connections.List(ctx, s.o.Cached)
	if err != nil {
		return err
	}
	inventories, failed := s.inventories(ctx, providers)
	defer func() {
		for _, inv := range inventories {
			inv.place.Release()
		}
	}()
	known, err := s.readCluster(ctx)
	if err != nil {
		return err
	}
	seen := map[sighting]bool{}
	for _, inv := range inventories {
		found, err := s.confirm(ctx, inv, s.judge(inv, known, seen))
		if err == nil {
			err = s.act(ctx, inv, found)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", inv.object.Key(), err))
		}
	}
	for old := range s.firstSeen {
		if !seen[old] && !unlisted(old, inventories) {
			delete(s.firstSeen, old)
		}
	}
	s.forgetProviders(providers)
	return errors.Join(failed...)
}

// inventory is what one account holds of this cluster.
type inventory struct {
	object connections.Object
	client provider.Client
	// place at the provider, which the client needs until the end of the sweep.
	place *places.Place
	// account identifies it among all kinds of provider.
	account     string
	credentials []provider.Credential
}

// inventories lists every account of the Ready providers, each once. Providers
// that fail are returned as errors.
func (s *Sweeper) inventories(ctx context.Context, providers []connections.Object) ([]inventory, []error) {
	var out []inventory
	var failed []error
	listed := map[string]bool{}
	for _, o := range providers {
		if !o.Ready() {
			continue
		}
		inv, err := s.inventory(ctx, o, listed)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", o.Key(), err))
			continue
		}
		out = append(out, inv)
	}
	return out, failed
}

func (s *Sweeper) inventory(ctx context.Context, o connections.Object, listed map[string]bool) (inventory, error) {
	place, err := s.places.Await(ctx, places.Want{Who: o.Key().ObjectKey(), Provider: o.Key().String()})
	if err != nil {
		return inventory{}, err
	}
	connection, err := s.o.Pool.Connect(ctx, o.Key(), place)
	if err != nil {
		place.Release()
		return inventory{}, err
	}
	inv := inventory{object: o, place: place, client: connection.Client, account: connection.DriverType + "/" + connection.Account.ID}
	if listed[inv.account] {
		return inv, nil
	}
	for c, err := range connection.Client.List(ctx, provider.Owner{Cluster: s.o.Cluster}) {
		if err != nil {
			place.Release()
			return inventory{}, provider.AsError(err)
		}
		inv.credentials = append(inv.credentials, c)
	}
	listed[inv.account] = true
	return inv, nil
}

// unlisted reports whether the account of a sighting could not be listed this time.
func unlisted(s sighting, inventories []inventory) bool {
	for _, inv := range inventories {
		if inv.account == s.account {
			return false
		}
	}
	return true
}
