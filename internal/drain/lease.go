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
	// term is the duration of a Lease that states none. longestTerm bounds a stated one.
	term        = 15 * time.Second
	longestTerm = time.Minute
)

// lease reads the Leases of operators. A drain never takes one, because no Lease can be
// created in a namespace that is being deleted. An operator can run in another namespace
// than the drain was given, so the Leases of all namespaces are read.
type lease struct {
	client client.Reader
	clock  clock.Clock
	// name of the Lease of the operator whose namespace the drain was given.
	name client.ObjectKey
	// served are the namespaces to read if the Leases of the cluster cannot be listed.
	served []string
	// ignored are namespaces whose Lease does not concern this drain.
	ignored []string
	seen    holdings
	partial bool
}

// holdings are the holders of the Leases by namespace.
type holdings map[string]holding

// holding is the holder of a Lease when it was read. A change of any field proves that the
// holder is alive.
type holding struct {
	holder, renewed string
	term            time.Duration
}

func (h holding) held() bool { return h.holder != "" }

// await returns when no operator is alive. Clocks can differ, so the time in a Lease proves
// nothing by itself. Like a candidate for the Lease, await watches for one term whether the
// holder renews it.
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
		if err := l.checkNotRenewed(ctx); err != nil {
			return err
		}
	}
	say.line("it was not renewed: no operator runs")
	return nil
}

// checkNotRenewed returns an error if an operator has renewed its Lease since the last
// read.
func (l *lease) checkNotRenewed(ctx context.Context) error {
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

// holdingOf reads a Lease. A field of another type counts as empty.
func holdingOf(o *unstructured.Unstructured) holding {
	out := holding{term: term}
	out.holder, _, _ = unstructured.NestedString(o.Object, "spec", "holderIdentity")
	out.renewed, _, _ = unstructured.NestedString(o.Object, "spec", "renewTime")
	if seconds, ok, err := unstructured.NestedInt64(o.Object, "spec", "leaseDurationSeconds"); ok && err == nil && seconds > 0 {
		out.term = min(time.Duration(min(seconds, 3600))*time.Second, longestTerm)
	}
	return out
}

// RunningError reports that an operator runs, which must stop first.
type RunningError struct {
	Lease  client.ObjectKey
	Holder string
	// Elsewhere: the Lease is not in the namespace that the drain was given. It can belong
	// to another operator, or a user can have created it.
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
