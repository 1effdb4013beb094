package plan_test

import (
	"fmt"
	"strings"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// axis is one thing that observations differ in.
type axis []change

func none(*plan.Observation) {}

// size of a product of axes.
func size(axes []axis) int {
	n := 1
	for _, a := range axes {
		n *= len(a)
	}
	return n
}

// pick is the i-th member of a product of axes.
func pick(axes []axis, i int) change {
	return func(o *plan.Observation) {
		rest := i
		for _, a := range axes {
			a[rest%len(a)](o)
			rest /= len(a)
		}
	}
}

// kinds of ledger entries, one per way of treating them.
var kinds = []func(name string) plan.Entry{
	func(n string) plan.Entry { return attempt(n, v1alpha1.StateMinting, 70*time.Second) },
	func(n string) plan.Entry { return attempt(n, v1alpha1.StateMinting, 0) },
	func(n string) plan.Entry { return by(other, attempt(n, v1alpha1.StateMinting, 70*time.Second)) },
	func(n string) plan.Entry {
		return anothers(attempt(n, v1alpha1.StateMinting, 70*time.Second), 20*time.Second)
	},
	func(n string) plan.Entry {
		return anothers(attempt(n, v1alpha1.StateMinting, 10*time.Second), plan.AttemptTime)
	},
	func(n string) plan.Entry { // a process remembers one rejection
		e := rejected(attempt(n, v1alpha1.StateMinting, 70*time.Second))
		e.Rejected = n == "own-1"
		return e
	},
	func(n string) plan.Entry { return anothers(marked(active(n)), 20*time.Second) },
	func(n string) plan.Entry { return active(n) },
	func(n string) plan.Entry { return nameless(active(n)) },
	func(n string) plan.Entry { return by(other, active(n)) },
	func(n string) plan.Entry { return ending(n, 10*time.Hour) },
	func(n string) plan.Entry { return ending(n, -time.Hour) },
	func(n string) plan.Entry { return retiring(n, time.Hour) },
	func(n string) plan.Entry { return retiring(n, -time.Second) },
	func(n string) plan.Entry { return by(other, retiring(n, -time.Second)) },
	func(n string) plan.Entry { return attempt(n, v1alpha1.StateRetiring, 40*time.Second) },
	func(n string) plan.Entry { return attempt(n, v1alpha1.StateRetiring, 0) },
	func(n string) plan.Entry { return attempt(n, v1alpha1.StateAbandoned, 50*time.Second) },
	func(n string) plan.Entry { return attempt(n, v1alpha1.StateAbandoned, 0) },
	func(n string) plan.Entry { return by(other, attempt(n, v1alpha1.StateAbandoned, 0)) },
	func(n string) plan.Entry { return attempt(n, "Frozen", 0) },
	func(n string) plan.Entry { return attempt(theirs(n), v1alpha1.StateMinting, 0) },
	func(n string) plan.Entry { return active(theirs(n)) },
	func(n string) plan.Entry { return retiring(theirs(n), -time.Second) },
	func(n string) plan.Entry { return attempt(theirs(n), v1alpha1.StateAbandoned, 0) },
}

// theirs is a name that was not made for this ApiToken in this cluster.
func theirs(name string) string { return strings.Replace(name, "own-", "their-", 1) }

// ending is an Active entry of 25 hours that ends in a while.
func ending(name string, in time.Duration) plan.Entry {
	e := active(name)
	e.IssuedAt, e.ExpiresAt = at(now.Add(in-25*time.Hour)), at(now.Add(in))
	return e
}

// ledgers are all ledgers of up to three entries, and two full ones.
func ledgers() axis {
	out := axis{entries(), all(entries(), attempts(plan.MaxUnsettled)), all(entries(), overlaps(plan.MaxLedger))}
	for i, a := range kinds {
		out = append(out, entries(a("own-1")))
		for j, b := range kinds {
			out = append(out, entries(a("own-1"), b("own-2")))
			for _, c := range kinds[min(i, j):] {
				if i <= j {
					out = append(out, entries(a("own-1"), b("own-2"), c("own-3")))
				}
			}
		}
	}
	return out
}

// secrets: what the Secret is, and how it was seen.
func secrets() axis {
	seen := axis{none, untrusted, all(live, untrusted), live}
	var out axis
	for _, s := range seen {
		out = append(out, all(s, absent), all(s, foreign), all(s, foreign, holding("own-1")))
		for _, name := range []string{"", "their-1", "own-x", "own-1", "own-2", "own-3"} {
			out = append(out, all(s, holding(name)), all(s, current, holding(name)),
				all(s, edited, holding(name)), all(s, current, outdated, otherBuckets, otherEndpoint, holding(name)),
				all(s, current, beingDeleted, holding(name)))
		}
	}
	return out
}

// tokens: all that an ApiToken is besides its ledger.
var tokens = []axis{
	{none, noFinalizer, deleted, all(deleted, retain), all(deleted, noFinalizer)},
	{none, suspend},
	{none, hardEnd(time.Minute), hardEnd(-time.Minute)},
	{none, otherScope, rotation(1)},
	{none, revision(0)},
	{none, budget(0, time.Minute)},
	{none, retry(2, 20*time.Second)},
	{none, publishRefused, endRequested("own-1")},
	{none, answered(true), answered(false)},
}

// hardEnd declares an end; credentials that would live longer end there.
func hardEnd(in time.Duration) change {
	return func(o *plan.Observation) {
		end := now.Add(in)
		o.Token.Spec.ExpiresAt = written(end)
		for i := range o.Ledger {
			if e := &o.Ledger[i]; e.State == v1alpha1.StateActive {
				e.Fingerprint = plan.Fingerprint(&o.Token.Spec)
				if e.ExpiresAt.After(end) {
					e.ExpiresAt = at(end)
				}
			}
		}
	}
}

// providers: all that a provider is.
var providers = []axis{
	{none, missing, notAdmitted, leaving, notReady},
	{none, belongs(other), belongs("")},
	{none, refusing(provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes[0]", Value: "a:b", Message: "not granted here; declare a:c"})},
	{none, operatorEnds},
}

// failures are what failed before: mostly nothing, otherwise one rule after the other.
func failures(i int) change {
	rules := plan.Rules()
	if i%5 != 0 {
		return none
	}
	return all(failed(rules[i/5%len(rules)]), failed(rules[i/7%len(rules)]))
}

// space calls visit with observations of the whole input space: every ledger
// with every Secret, and every ApiToken at every provider, each of those with
// another ledger and Secret; of each only one in several. It returns how many
// were visited.
func space(step int, visit func(name string, o plan.Observation)) int {
	things := []axis{ledgers(), secrets()}
	around := append(append([]axis{}, tokens...), providers...)
	n := 0
	for i := 0; i < size(things); i += step * thinning {
		visit(fmt.Sprintf("thing %d", i), observe(pick(things, i), failures(i)))
		n++
	}
	const stride = 7919 // a prime, so that all ledgers and Secrets have their turn
	for i := 0; i < size(around); i += step * thinning {
		thing := i * stride % size(things)
		visit(fmt.Sprintf("thing %d, around %d", thing, i), observe(pick(things, thing), pick(around, i), failures(i)))
		n++
	}
	return n
}
