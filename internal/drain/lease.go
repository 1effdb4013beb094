package drain

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/internal/clock"
)

const (
	// term is how long a Lease is good for that does not say; longestTerm bounds what it says.
	term        = 15 * time.Second
	longestTerm = time.Minute
)

// lease is the operator's Lease, which a drain reads and never takes: in a namespace that
// is being deleted no Lease can be created.
type lease struct {
	client client.Reader
	clock  clock.Clock
	name   client.ObjectKey
	seen   holding
}

// holding is who held the Lease when it was read. A change of any part says that the
// holder is alive.
type holding struct {
	holder, renewed string
	term            time.Duration
}

func (h holding) held() bool { return h.holder != "" }

// await returns once no operator is alive. Clocks may differ, so the time in the Lease
// says nothing by itself: like a candidate for the Lease, it watches for one term
// whether the holder renews it.
func (l *lease) await(ctx context.Context, say *progress) error {
	var err error
	if l.seen, err = l.read(ctx); err != nil || !l.seen.held() {
		return err
	}
	say.line("Lease %s names %s as the running operator: waiting %s to see whether it is renewed", l.name, oneLine(l.seen.holder), l.seen.term)
	for began := l.clock.Monotonic(); l.clock.Monotonic()-began < l.seen.term; {
		if err := l.clock.Sleep(ctx, time.Second); err != nil {
			return err
		}
		if err := l.still(ctx); err != nil {
			return err
		}
	}
	say.line("it was not renewed: no operator runs")
	return nil
}

// still returns an error when an operator has renewed the Lease since it was read last.
func (l *lease) still(ctx context.Context) error {
	now, err := l.read(ctx)
	if err != nil {
		return err
	}
	before := l.seen
	l.seen = now
	if now.held() && now != before {
		return &RunningError{Lease: l.name, Holder: now.holder}
	}
	return nil
}

func (l *lease) read(ctx context.Context) (holding, error) {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(schema.GroupVersionKind{Group: "coordination.k8s.io", Version: "v1", Kind: "Lease"})
	if err := l.client.Get(ctx, l.name, o); apierrors.IsNotFound(err) {
		return holding{}, nil
	} else if err != nil {
		return holding{}, fmt.Errorf("reading Lease %s, which says whether the operator runs: %w", l.name, err)
	}
	out := holding{term: term}
	// A field of another type reads as empty.
	out.holder, _, _ = unstructured.NestedString(o.Object, "spec", "holderIdentity")
	out.renewed, _, _ = unstructured.NestedString(o.Object, "spec", "renewTime")
	if seconds, ok, err := unstructured.NestedInt64(o.Object, "spec", "leaseDurationSeconds"); ok && err == nil && seconds > 0 {
		out.term = min(time.Duration(min(seconds, 3600))*time.Second, longestTerm)
	}
	return out, nil
}

// RunningError says that an operator runs, which must end first.
type RunningError struct {
	Lease  client.ObjectKey
	Holder string
}

func (e *RunningError) Error() string {
	ns := e.Lease.Namespace
	return strings.Join([]string{
		fmt.Sprintf("an operator runs: %s renews Lease %s.", oneLine(e.Holder), e.Lease),
		"A running operator revokes by itself: delete the ApiTokens, then the providers (docs/tasks/uninstall.md).",
		fmt.Sprintf("To drain without it, stop it first: kubectl -n %s scale deployment/%s --replicas=0", ns, e.Lease.Name),
	}, "\n")
}
