// Package drain revokes what an operator has issued after that operator is gone. It
// runs the operator's own controllers in a process that issues nothing, until no
// ApiToken and no provider waits for them. It needs no Lease and creates nothing in the
// cluster, so it also works while the operator's namespace and CRDs are being deleted.
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
	// DefaultPatience is how long a drain waits for the next thing to end. An attempt
	// that the operator did not finish is settled before that.
	DefaultPatience = 10 * time.Minute
	// every is how often the cluster is read.
	every = 2 * time.Second
)

// Options of a drain.
type Options struct {
	// Operator are the options of the controllers: namespaces, cluster identity,
	// drivers, and where requests may go. Leader election, metrics and probes are off.
	Operator operator.Options
	// DeleteAll deletes every ApiToken and provider that is not being deleted yet.
	// Without it, a drain refuses to start while there is one.
	DeleteAll bool
	// IgnoreLeasesIn are namespaces whose Lease does not stop the drain: other operators
	// run there.
	IgnoreLeasesIn []string
	// Patience is DefaultPatience when 0.
	Patience time.Duration
	// Progress gets a line for each thing that happens.
	Progress io.Writer
}

// errNotReached says that a drain gave up.
var errNotReached = errors.New("the drain is not finished: run it again when the reasons above are settled")

// drain is one run.
type drain struct {
	Options
	client client.Client
	clock  clock.Clock
	say    *progress
	lease  lease
	// counted are the ApiTokens of the first read: what happens to them is progress.
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

// run starts the controllers and follows what they do.
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
		return nil // everything is done: how the controllers stop does not matter
	}
	select {
	case stopped := <-ended:
		return errors.Join(err, stopped)
	default:
		return err
	}
}

// follow reads the cluster until nothing is left. Each time it deletes what DeleteAll asks
// for, and stops when an operator has started or nothing has changed for too long.
func (d *drain) follow(ctx context.Context, ended <-chan error) error {
	var last string
	since := d.clock.Monotonic()
	for {
		left, err := d.look(ctx)
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

// look reads the cluster and deletes what DeleteAll asks for.
func (d *drain) look(ctx context.Context) (*survey, error) {
	if err := d.lease.still(ctx); err != nil {
		return nil, err
	}
	left, err := d.survey(ctx)
	if err != nil {
		return nil, err
	}
	return left, d.end(ctx, left)
}

// pause waits until the next read, or returns an error when the drain has to stop.
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
