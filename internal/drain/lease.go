package drain

import (
	"context"
	"fmt"
	"maps"
	"slices"
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

// lease is the Lease of operators, which a drain reads and never takes: in a namespace
// that is being deleted no Lease can be created. The operator may run in another
// namespace than the drain was given, so every namespace is looked at.
type lease struct {
	client client.Reader
	clock  clock.Clock
	// name of the Lease of the operator whose namespace the drain was given.
	name client.ObjectKey
	// served are the namespaces to look at when those of the cluster cannot be listed.
	served []string
	// ignored are namespaces whose Lease says nothing about this drain.
	ignored []string
	seen    holdings
	partial bool
}

// holdings are who holds the Lease, by its namespace.
type holdings map[string]holding

// holding is who held the Lease when it was read. A change of any part says that the
// holder is alive.
type holding struct {
	holder, renewed string
	term            time.Duration
}

func (h holding) held() bool { return h.holder != "" }

// await returns once no operator is alive. Clocks may differ, so the time in a Lease
// says nothing by itself: like a candidate for the Lease, it watches for one term
// whether the holder renews it.
func (l *lease) await(ctx context.Context, say *progress) error {
	var err error
	if l.seen, err = l.read(ctx); err != nil {
		return err
	}
	if l.partial {
		say.line("Leases of all namespaces cannot be listed: an operator that runs in a namespace not given here is not noticed")
	}
	var longest time.Duration
	for _, namespace := range slices.Sorted(maps.Keys(l.seen)) {
		if h := l.seen[namespace]; h.held() {
			say.line("Lease %s names %s as the running operator: waiting %s to see whether it is renewed", l.in(namespace), oneLine(h.holder), h.term)
			longest = max(longest, h.term)
		}
	}
	if longest == 0 {
		return nil
	}
	for began := l.clock.Monotonic(); l.clock.Monotonic()-began < longest; {
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

// still returns an error when an operator has renewed its Lease since it was read last.
func (l *lease) still(ctx context.Context) error {
	now, err := l.read(ctx)
	if err != nil {
		return err
	}
	before := l.seen
	l.seen = now
	for _, namespace := range slices.Sorted(maps.Keys(now)) {
		if h := now[namespace]; h.held() && h != before[namespace] {
			return &RunningError{Lease: l.in(namespace), Holder: h.holder, Elsewhere: namespace != l.name.Namespace}
		}
	}
	return nil
}

func (l *lease) in(namespace string) client.ObjectKey {
	return client.ObjectKey{Namespace: namespace, Name: l.name.Name}
}

// read reads the Lease of the given namespace and those of the same name elsewhere.
func (l *lease) read(ctx context.Context) (holdings, error) {
	out := holdings{}
	if !slices.Contains(l.ignored, l.name.Namespace) {
		if err := l.get(ctx, out, l.name.Namespace); err != nil {
			return nil, err
		}
	}
	err := l.list(ctx, out)
	if l.partial = apierrors.IsForbidden(err); !l.partial {
		return out, err
	}
	for _, namespace := range l.served {
		if namespace == l.name.Namespace || slices.Contains(l.ignored, namespace) {
			continue
		}
		if err := l.get(ctx, out, namespace); err != nil && !apierrors.IsForbidden(err) {
			return nil, err
		}
	}
	return out, nil
}

func (l *lease) get(ctx context.Context, out holdings, namespace string) error {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(leaseKind)
	if err := l.client.Get(ctx, l.in(namespace), o); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading Lease %s, which says whether the operator runs: %w", l.in(namespace), err)
	}
	out[namespace] = holdingOf(o)
	return nil
}

// list reads the Leases of all namespaces, page by page.
func (l *lease) list(ctx context.Context, out holdings) error {
	for next := ""; ; {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(leaseKind)
		err := l.client.List(ctx, list, client.MatchingFields{"metadata.name": l.name.Name}, client.Limit(pageSize), client.Continue(next))
		if err != nil {
			return fmt.Errorf("listing the Leases %s, which say whether an operator runs: %w", l.name.Name, err)
		}
		for i := range list.Items {
			if o := &list.Items[i]; !slices.Contains(l.ignored, o.GetNamespace()) {
				out[o.GetNamespace()] = holdingOf(o)
			}
		}
		if next = list.GetContinue(); next == "" {
			return nil
		}
	}
}

var leaseKind = schema.GroupVersionKind{Group: "coordination.k8s.io", Version: "v1", Kind: "Lease"}

// holdingOf is what a Lease says. A field of another type reads as empty.
func holdingOf(o *unstructured.Unstructured) holding {
	out := holding{term: term}
	out.holder, _, _ = unstructured.NestedString(o.Object, "spec", "holderIdentity")
	out.renewed, _, _ = unstructured.NestedString(o.Object, "spec", "renewTime")
	if seconds, ok, err := unstructured.NestedInt64(o.Object, "spec", "leaseDurationSeconds"); ok && err == nil && seconds > 0 {
		out.term = min(time.Duration(min(seconds, 3600))*time.Second, longestTerm)
	}
	return out
}

// RunningError says that an operator runs, which must end first.
type RunningError struct {
	Lease  client.ObjectKey
	Holder string
	// Elsewhere: the Lease is not in the namespace that the drain was given. It can be of
	// another operator, or a user can have made it.
	Elsewhere bool
}

func (e *RunningError) Error() string {
	ns := e.Lease.Namespace
	lines := []string{
		fmt.Sprintf("an operator runs: %s renews Lease %s.", oneLine(e.Holder), e.Lease),
		"A running operator revokes by itself: delete the ApiTokens, then the providers (docs/tasks/uninstall.md).",
		fmt.Sprintf("To drain without it, stop it first: kubectl -n %s scale deployment/%s --replicas=0", ns, e.Lease.Name),
	}
	if e.Elsewhere {
		lines = append(lines, "If it serves none of the namespaces of this drain, or is no operator: --ignore-lease-in="+ns)
	}
	return strings.Join(lines, "\n")
}
