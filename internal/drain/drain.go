// Package drain revokes the credentials of an operator that no longer runs. It runs the
// operator's controllers in a process that issues nothing, until no ApiToken and no
// provider waits for them. It takes no Lease and creates no object, so it also works while
// the operator's namespace and CRDs are being deleted.
package drain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/operator"
)

const (
	// DefaultPatience is how long a drain waits without any progress. An attempt that the
	// operator did not finish settles before that.
	DefaultPatience = 10 * time.Minute
	// every is the interval between reads of the cluster.
	every = 2 * time.Second
)

// Options of a drain.
type Options struct {
	// Operator are the options of the controllers: namespaces, cluster identity, drivers,
	// and permitted endpoints. Leader election, metrics and probes are off.
	Operator operator.Options
	// DeleteAll deletes every ApiToken and provider that is not being deleted yet. Without
	// it, a drain refuses to start while such an object exists.
	DeleteAll bool
	// IgnoreLeasesIn are the namespaces of other operators, whose Leases do not stop the
	// drain.
	IgnoreLeasesIn []string
	// Patience; 0 means DefaultPatience.
	Patience time.Duration
	// Progress gets a line for each change.
	Progress io.Writer
}

// errNotReached: the drain gave up.
var errNotReached = errors.New("the drain is not finished: run it again when the causes above are resolved")

// drain is one run.
type drain struct {
	Options
	client client.Client
	clock  clock.Clock
	say    *progress
	lease  lease
	// counted are the ApiTokens of the first read. Only changes of these are progress.
	counted map[types.UID]bool
}

// Run drains a cluster. It returns nil when no ApiToken, provider or Secret waits for the
// operator any more.
func Run(ctx context.Context, cfg *rest.Config, o Options) error {
	o.Operator.EndsOnly, o.Operator.LeaderElection = true, false
	o.Operator.MetricsAddress, o.Operator.MetricsAuth, o.Operator.ProbeAddress = operator.Disabled, false, operator.Disabled
	if o.Operator.Namespace == "" {
		o.Operator.Namespace = operator.DefaultNamespace
	}
	if o.Operator.Clock == nil {
		o.Operator.Clock = clock.NewReal()
	}
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	c, err := operator.LiveClient(cfg, o.Operator)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	d := &drain{Options: o, client: c, clock: o.Operator.Clock, say: newProgress(o.Progress)}
	d.lease = lease{client: c, clock: d.clock, name: client.ObjectKey{Namespace: o.Operator.Namespace, Name: operator.Name},
		served: o.Operator.Namespaces, ignored: o.IgnoreLeasesIn}
	if err := d.lease.await(ctx, d.say); err != nil {
		return err
	}
	left, err := d.survey(ctx)
	if err != nil {
		return err
	}
	if err := d.accept(left); err != nil {
		return err
	}
	d.say.begin(left)
	d.counted = left.uids()
	return d.run(ctx, cfg, left)
}

// run starts the controllers and follows their progress.
func (d *drain) run(ctx context.Context, cfg *rest.Config, left *survey) error {
	if len(left.tokens) == 0 && len(left.providers) == 0 {
		return d.follow(ctx, nil)
	}
	mgr, err := operator.New(ctx, cfg, d.Operator)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	err = d.follow(ctx, ended)
	stop()
	if err == nil {
		return nil // nothing is left, so an error of the stop does not matter
	}
	select {
	case stopped := <-ended:
		return errors.Join(err, stopped)
	default:
		return err
	}
}

// follow reads the cluster until nothing is left. After each read it deletes objects as
// DeleteAll says. It returns an error if an operator has started, or nothing has changed
// for Patience.
func (d *drain) follow(ctx context.Context, ended <-chan error) error {
	var last string
	since := d.clock.Monotonic()
	for {
		left, err := d.step(ctx)
		var running *RunningError
		switch {
		case errors.As(err, &running):
			return err
		case err != nil:
			d.say.problem(err)
		case left.done():
			d.say.changed(left)
			d.say.end()
			return nil
		default:
			d.say.changed(left)
			if now := left.fingerprint(d.counted); now != last {
				last, since = now, d.clock.Monotonic()
			}
		}
		if d.clock.Monotonic()-since >= d.Patience {
			d.say.stuck(left, d.Operator.Namespace)
			return fmt.Errorf("nothing has changed for %s: %w", d.Patience, errNotReached)
		}
		if err := d.pause(ctx, ended); err != nil {
			return err
		}
	}
}

// step reads the cluster and deletes objects as DeleteAll says.
func (d *drain) step(ctx context.Context) (*survey, error) {
	if err := d.lease.checkNotRenewed(ctx); err != nil {
		return nil, err
	}
	left, err := d.survey(ctx)
	if err != nil {
		return nil, err
	}
	return left, d.end(ctx, left)
}

// pause waits until the next read, or returns an error if the drain must stop.
func (d *drain) pause(ctx context.Context, ended <-chan error) error {
	select {
	case err := <-ended:
		return fmt.Errorf("the controllers stopped: %w", errors.Join(err, errNotReached))
	default:
	}
	if d.clock.Sleep(ctx, every) != nil {
		return fmt.Errorf("interrupted: %w", errNotReached)
	}
	return nil
}
