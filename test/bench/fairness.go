package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

const (
	// victims is how many objects are measured, one after another, with a pause in between.
	victims     = 9
	victimPause = 1200 * time.Millisecond
	// The aims: the longest wait of a victim (median), and its highest multiple of the
	// wait without the load.
	aimWait   = 2 * time.Second
	aimFactor = 5.0
)

// load is what other namespaces require of the operator while a victim waits.
type load struct {
	name string
	// checks: the victim is a TokenProvider that must become Ready; otherwise it is
	// an ApiToken. shared: the ApiToken uses the provider of the load.
	checks, shared bool
	// prepare is called before the operator under test starts, begin while it runs.
	prepare, begin func(ctx context.Context, a *arena) error
}

// loads are those of docs/performance.md.
func loads() []load {
	return []load{
		{name: "64 ApiTokens at a slow provider", begin: func(ctx context.Context, a *arena) error {
			return errors.Join(a.declare(ctx, "slow", 64), a.slow.hangs(ctx, 4))
		}},
		{name: "1,500 ordinary ApiTokens of one namespace", begin: func(ctx context.Context, a *arena) error {
			return a.declare(ctx, "other", 1500)
		}},
		{name: "600 deletions", prepare: func(ctx context.Context, a *arena) error {
			return errors.Join(a.declare(ctx, "other", 600), a.issued(ctx, "load"))
		}, begin: func(ctx context.Context, a *arena) error {
			return a.DeleteAllOf(ctx, &v1alpha1.ApiToken{}, client.InNamespace("load"))
		}},
		{name: "24 slow TokenProviders", checks: true, begin: func(ctx context.Context, a *arena) error {
			return errors.Join(a.tokenProviders(ctx, "load", "dead", 24), a.dead.hangs(ctx, 4))
		}},
		{name: "10 namespaces with 4 hanging TokenProviders each", checks: true, begin: func(ctx context.Context, a *arena) error {
			for n := range 10 {
				name := fmt.Sprintf("load-%d", n)
				if err := errors.Join(a.namespace(ctx, name), a.tokenProviders(ctx, name, "dead", 4)); err != nil {
					return err
				}
			}
			return a.dead.hangs(ctx, 40)
		}},
		{name: "1,500 ApiTokens of one namespace at the victim's provider", shared: true, begin: func(ctx context.Context, a *arena) error {
			return a.declare(ctx, "own", 1500)
		}},
	}
}

// measured is how long the victims of one load waited, alone and under the load.
type measured struct {
	load         load
	alone, under []time.Duration
	// left is how many objects of the load were still waiting when the last victim was Ready.
	left int
}

func (m measured) medians() (alone, under time.Duration) {
	return medianTime(m.alone), medianTime(m.under)
}

func medianTime(all []time.Duration) time.Duration {
	numbers := make([]float64, len(all))
	for i, d := range all {
		numbers[i] = float64(d)
	}
	return time.Duration(median(numbers))
}

func (m measured) factor() float64 {
	alone, under := m.medians()
	return float64(under) / float64(alone)
}

func (m measured) met() bool {
	_, under := m.medians()
	return under <= aimWait && m.factor() <= aimFactor && m.left > 0
}

// runFairness measures each load on an API server of its own.
func runFairness(ctx context.Context, s settings, out io.Writer) error {
	all := make([]measured, 0, len(loads()))
	for _, l := range loads() {
		fmt.Fprintf(out, "%s ...\n", l.name)
		m, err := measureLoad(ctx, s, l)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		all = append(all, m)
	}
	return printFairness(out, all)
}

func printFairness(out io.Writer, all []measured) error {
	fmt.Fprintf(out, "\nHow long one object of another namespace waits until it is Ready: median of %d\n\n", victims)
	w := tabwriter.NewWriter(out, 0, 4, 1, ' ', 0)
	fmt.Fprintln(w, "| load\t| alone\t| under load\t| factor\t| load left at the end\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|")
	var failed []error
	for _, m := range all {
		alone, under := m.medians()
		fmt.Fprintf(w, "| %s\t| %s\t| %s\t| %.1f\t| %d\t|\n", m.load.name, round3(alone), round3(under), m.factor(), m.left)
		if !m.met() {
			failed = append(failed, fmt.Errorf("%s: %s is longer than %s or than %g times %s, or the load ended too early",
				m.load.name, round3(under), aimWait, aimFactor, round3(alone)))
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	return errors.Join(failed...)
}

func measureLoad(ctx context.Context, s settings, l load) (m measured, err error) {
	m.load = l
	a, stop, err := newArena(ctx, s)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if l.prepare != nil {
		if err := l.prepare(ctx, a); err != nil {
			return m, err
		}
	}
	if err := a.restart(ctx, 0); err != nil {
		return m, err
	}
	if m.alone, err = a.victims(ctx, l, "alone"); err != nil {
		return m, err
	}
	if err := l.begin(ctx, a); err != nil {
		return m, err
	}
	if m.under, err = a.victims(ctx, l, "under-load"); err != nil {
		return m, err
	}
	m.left, err = a.left(ctx)
	return m, err
}

// victims measures the victims, one after another.
func (a *arena) victims(ctx context.Context, l load, prefix string) ([]time.Duration, error) {
	var out []time.Duration
	for i := range victims {
		if err := sleep(ctx, victimPause); err != nil {
			return nil, err
		}
		took, err := a.victim(ctx, l, fmt.Sprintf("%s-%d", prefix, i))
		if err != nil {
			return nil, err
		}
		out = append(out, took)
	}
	return out, nil
}

// victim creates a victim and waits until it is Ready.
func (a *arena) victim(ctx context.Context, l load, name string) (time.Duration, error) {
	began := time.Now()
	if l.checks {
		if err := a.tokenProvider(ctx, "victim", name, "own"); err != nil {
			return 0, err
		}
		p := &v1alpha1.TokenProvider{}
		err := a.until(ctx, "victim", name, p, func() []metav1.Condition { return p.Status.Conditions })
		return time.Since(began), err
	}
	t := declaration("victim", name)
	t.Spec.ProviderRef.Name = "victims"
	if l.shared {
		t.Spec.ProviderRef.Name = "own"
	}
	if err := a.Create(ctx, t); err != nil {
		return 0, fmt.Errorf("declaring the victim: %w", err)
	}
	err := a.until(ctx, "victim", name, t, func() []metav1.Condition { return t.Status.Conditions })
	return time.Since(began), err
}

// until waits until an object is Ready.
func (a *arena) until(ctx context.Context, namespace, name string, o client.Object, conditions func() []metav1.Condition) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if err := a.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, o); err != nil {
			return fmt.Errorf("waiting for %s: %w", name, err)
		}
		if meta.IsStatusConditionTrue(conditions(), v1alpha1.ConditionReady) {
			return nil
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("%s is not Ready: %w", name, err)
		}
	}
}
