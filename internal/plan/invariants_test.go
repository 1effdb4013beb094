package plan_test

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// maxReports of one broken invariant are shown; thousands say no more.
const maxReports = 2

// invariant is a sentence about every decision.
type invariant struct {
	says string
	// every is the step between checked observations: 1 checks all.
	every int
	// broken says what is wrong; empty: nothing.
	broken func(o *plan.Observation, d plan.Decision) string
}

var invariants = []invariant{
	{"every observation has a decision, and its reason has a sentence", 1, total},
	{"the same observation leads to the same decision and is not changed", 7, pure},
	{"the order of the ledger does not matter", 5, unordered},
	{"a credential is issued only when all allow it", 1, issues},
	{"only attempts that the Secret names are adopted", 1, adopts},
	{"only what an older status cannot know is adopted to be revoked", 1, adoptsNewer},
	{"only attempts that the Secret does not name are given up", 1, abandons},
	{"only attempts that the provider rejected are taken back", 1, withdraws},
	{"what the Secret names is not revoked, and nothing that may still take effect", 1, revokes},
	{"the Secret says no more than its key may do", 1, says},
	{"no provider is called for an ApiToken that does not exist for it", 1, admits},
	{"losing admission stops nothing but what issues", 3, keepsGoing},
	{"an ApiToken goes only when it is being deleted and nothing is left", 1, leaves},
	{"a Secret is deleted only at the end of access, and only ours", 1, endsAccess},
	{"an overlap ends early only where a user named it", 1, endsOverlaps},
	{"a failed action holds up nothing but what relies on it", 3, holdsNothingUp},
	{"a decision asks for no look twice, and looks end", 3, looks},
	{"a wait ends before anything is due", 1, wakes},
	{"a user who must act learns what to do", 1, tells},
	{"what is said is done", 3, spoken},
	{"an obstacle has one of its listed reasons, and one that lasts needs a user", 3, listed},
}

func TestInvariantsHoldInEverySituation(t *testing.T) {
	seen, reports := 0, map[string]int{}
	n := space(1, func(name string, o plan.Observation) {
		seen++
		d := plan.Next(o)
		for _, inv := range invariants {
			if seen%inv.every != 0 || reports[inv.says] >= maxReports {
				continue
			}
			if why := inv.broken(&o, d); why != "" {
				reports[inv.says]++
				t.Errorf("%s\n%s\n%s: %s\ndecision: %+v %T %+v", inv.says, why, name, describe(&o), d, d.Action, d.Action)
			}
		}
	})
	if n < 300_000/thinning {
		t.Errorf("only %d observations were visited", n)
	}
}

// describe an observation in one line.
func describe(o *plan.Observation) string {
	var b strings.Builder
	for _, e := range o.Ledger {
		fmt.Fprintf(&b, "[%s %s %s settled=%t", e.Name, e.State, e.Account, e.Settled)
		if e.ExpiresAt != nil {
			fmt.Fprintf(&b, " expires in %s", e.ExpiresAt.Sub(o.Now))
		}
		if e.RetireAt != nil {
			fmt.Fprintf(&b, " retires in %s", e.RetireAt.Sub(o.Now))
		}
		b.WriteString("] ")
	}
	s, t, p := &o.Secret, &o.Token, &o.Provider
	fmt.Fprintf(&b, "secret live=%t trusted=%t exists=%t foreign=%t intact=%t current=%t holding %q; ",
		s.Live, s.Trusted, s.Exists, s.Foreign, s.Intact, dressed(o), s.Credential)
	fmt.Fprintf(&b, "token finalizer=%t deleting=%t policy=%s suspend=%t end=%v revision=%d budget=%+v retry=%+v refused=%t; ",
		t.HasFinalizer, t.Deleting, t.Spec.DeletionPolicy, t.Spec.Suspend, t.Spec.ExpiresAt, t.Revision, t.Budget, t.Retry, t.PublishRefused)
	fmt.Fprintf(&b, "provider found=%t deleting=%t ready=%t admitted=%t account=%q refusal=%v enforcer=%s; restored %+v; secret deleting=%t; failed %v",
		p.Found, p.Deleting, p.Ready, p.Admitted, p.Account, p.Refusal, p.Capabilities.ExpiryEnforcedBy, o.Restored, s.Deleting, o.Failed)
	return b.String()
}

func total(_ *plan.Observation, d plan.Decision) string {
	switch {
	case d.Action == nil:
		return "there is no action"
	case !slices.Contains(plan.Rules(), d.Rule):
		return "no rule of the list decided"
	case v1alpha1.ReasonHelp[d.Reason] == "":
		return "the reason has no sentence"
	case d.After < 0:
		return "it waits for the past"
	}
	return ""
}

func listed(o *plan.Observation, d plan.Decision) string {
	_, obstacle, reason := plan.Assess(*o)
	switch {
	case obstacle == "":
		return ""
	case !slices.Contains(reasonsOf(obstacle), reason):
		return fmt.Sprintf("obstacle %s is reported with reason %s", obstacle, reason)
	case d.Rule == "blocked" && lasts(obstacle) && d.State != plan.Stalled:
		return fmt.Sprintf("obstacle %s lasts, and the state is %d", obstacle, d.State)
	}
	return ""
}

func copied(o *plan.Observation) plan.Observation {
	out := *o
	out.Token.Spec = *o.Token.Spec.DeepCopy()
	out.Token.Budget, out.Token.Retry = o.Token.Budget.DeepCopy(), o.Token.Retry.DeepCopy()
	out.Ledger = make([]plan.Entry, len(o.Ledger))
	for i, e := range o.Ledger {
		e.LedgerEntry = *e.DeepCopy()
		out.Ledger[i] = e
	}
	return out
}

func pure(o *plan.Observation, d plan.Decision) string {
	before := copied(o)
	again := plan.Next(*o)
	now := *o
	before.Token.Owns, now.Token.Owns = nil, nil // functions do not compare
	if len(now.Ledger) == 0 {
		before.Ledger, now.Ledger = nil, nil
	}
	if !reflect.DeepEqual(before, now) {
		return "the observation was changed: " + gocmp.Diff(before, now)
	}
	if !reflect.DeepEqual(d, again) {
		return "the second decision differs: " + gocmp.Diff(d, again)
	}
	return ""
}

// unordered: with several Active entries, and of several attempts to give up,
// the first is as good as any.
func unordered(o *plan.Observation, d plan.Decision) string {
	if count(o, v1alpha1.StateActive) > 1 {
		return ""
	}
	turned := copied(o)
	slices.Reverse(turned.Ledger)
	other := plan.Next(turned)
	d.Message, other.Message = "", ""
	d.Action, other.Action = sorted(d.Action), sorted(other.Action)
	if !reflect.DeepEqual(d, other) {
		return "turned round it differs: " + gocmp.Diff(d, other)
	}
	return ""
}

func sorted(action plan.Action) plan.Action {
	if _, ok := action.(plan.Abandon); ok {
		return plan.Abandon{} // the first of several is as good as any
	}
	if a, ok := action.(plan.Revoke); ok {
		return plan.Revoke{Names: slices.Sorted(slices.Values(a.Names))}
	}
	if a, ok := action.(plan.BeginRevoke); ok {
		return plan.BeginRevoke{Names: slices.Sorted(slices.Values(a.Names))}
	}
	return action
}

func count(o *plan.Observation, states ...v1alpha1.CredentialState) int {
	n := 0
	for _, e := range o.Ledger {
		if slices.Contains(states, e.State) {
			n++
		}
	}
	return n
}

func unsettled(o *plan.Observation) int {
	n := 0
	for _, e := range o.Ledger {
		if !e.Settled {
			n++
		}
	}
	return n
}

func over(o *plan.Observation) bool {
	end, _ := o.Token.Spec.HardEnd()
	return !end.IsZero() && !o.Now.Before(end)
}

func otherAccount(o *plan.Observation) bool {
	return slices.ContainsFunc(o.Ledger, func(e plan.Entry) bool {
		return e.Account != "" && o.Provider.Account != "" && e.Account != o.Provider.Account
	})
}

// foreigners: the ledger has a name that was not made for this ApiToken.
func foreigners(o *plan.Observation) bool {
	return slices.ContainsFunc(o.Ledger, func(e plan.Entry) bool { return !o.Token.Owns(e.Name) })
}

// lost: the Secret alone may know of a credential of this ApiToken.
func lost(o *plan.Observation) bool {
	s := &o.Secret
	return o.Token.Revision == 0 && len(o.Ledger) == 0 && s.Exists && !s.Foreign && s.Credential != "" && o.Token.Owns(s.Credential)
}

func issues(o *plan.Observation, d plan.Decision) string {
	issue, ok := d.Action.(plan.Issue)
	_, try := d.Action.(plan.TryPublish)
	if !ok && !try {
		return ""
	}
	t, s, p := &o.Token, &o.Secret, &o.Provider
	known := count(o, v1alpha1.StateMinting, v1alpha1.StateActive, v1alpha1.StateRetiring, v1alpha1.StateAbandoned)
	left, _ := ledger.BudgetAt(t.Budget, o.Now)
	for why, wrong := range map[string]bool{
		"it is being deleted":                       t.Deleting,
		"the finalizer is not on":                   !t.HasFinalizer,
		"it is suspended":                           t.Spec.Suspend,
		"access has ended":                          over(o),
		"an attempt that was read is open":          count(o, v1alpha1.StateMinting) > 0,
		"another process is at it":                  slices.ContainsFunc(o.Ledger, func(e plan.Entry) bool { return waits(o, e) }),
		"an entry is in an unknown state":           known != len(o.Ledger),
		"an entry is not ours":                      foreigners(o),
		"the Secret was not read":                   !s.Live,
		"the Secret is of another owner":            s.Exists && s.Foreign,
		"16 attempts are not settled":               unsettled(o) >= plan.MaxUnsettled,
		"the ledger is full":                        len(o.Ledger) >= plan.MaxLedger,
		"the budget is empty":                       ok && issue.Charged && left.Remaining == 0,
		"the schedule is free":                      ok && issue.Charged && issue.Reason == plan.IssueScheduled && halfLived(o),
		"what is not due is paid for":               ok && !issue.Charged && (!anyDue(o) || !halfLived(o)),
		"the backoff runs":                          t.Retry != nil && o.Now.Before(t.Retry.NotBefore.Time),
		"the last publish was rejected":             ok && t.PublishRefused,
		"the provider cannot issue":                 !p.Found || !p.Ready || !p.Admitted || p.Deleting,
		"the account changed":                       otherAccount(o),
		"the provider refuses it":                   p.Refusal != nil,
		"the revision was used before":              ok && (issue.Revision <= t.Revision || issue.Revision <= s.Facts.Revision),
		"the Secret's credential was not asked for": lost(o) && o.Restored == nil,
		"the Secret's credential is live":           lost(o) && o.Restored != nil && o.Restored.Live,
	} {
		if wrong {
			return why
		}
	}
	return ""
}

func find(o *plan.Observation, name string) plan.Entry {
	i := slices.IndexFunc(o.Ledger, func(e plan.Entry) bool { return e.Name == name })
	if i < 0 {
		return plan.Entry{}
	}
	return o.Ledger[i]
}

// names reports whether the Secret, as it was read live, is ours and names the credential.
func names(o *plan.Observation, name string) bool {
	s := &o.Secret
	return s.Live && s.Exists && !s.Foreign && s.Credential == name
}

func adopts(o *plan.Observation, d plan.Decision) string {
	if a, ok := d.Action.(plan.Adopt); ok {
		if s := find(o, a.Name).State; !names(o, a.Name) || !o.Token.Owns(a.Name) || (s != v1alpha1.StateMinting && s != v1alpha1.StateAbandoned) {
			return "the entry is neither Minting nor Abandoned, or not ours, or the Secret does not name it"
		}
		if e := find(o, a.Name); a.Terms.ID != e.ID || !a.Terms.ExpiresAt.Equal(e.ExpiresAt.Time) || a.Terms.RotationGeneration != e.RotationGeneration {
			return "the ledger does not say these terms"
		}
	}
	if a, ok := d.Action.(plan.AdoptRestored); ok {
		if !names(o, a.Name) || !lost(o) || o.Restored == nil || !o.Restored.Live {
			return "the credential is not known to be live, or not lost"
		}
		if t := a.Terms; t.ID != o.Restored.ID || t.ExpiresAt.After(plan.ExpiryFor(&o.Token.Spec, o.Now, 0)) ||
			t.RotationGeneration > o.Token.Spec.Rotation.Generation {
			return "the Secret is believed more than it may be"
		}
	}
	return ""
}

// adoptsNewer: what a user writes into a Secret gives no more than a name to revoke.
func adoptsNewer(o *plan.Observation, d plan.Decision) string {
	a, ok := d.Action.(plan.AdoptRetiring)
	switch {
	case !ok:
		return ""
	case !names(o, a.Name) || !o.Token.Owns(a.Name) || find(o, a.Name).Name != "" || o.Token.Deleting || len(o.Ledger) >= plan.MaxLedger:
		return "the Secret does not name it, or it is not ours, or the ledger has it or is full"
	case a.Terms.Revision <= o.Token.Revision:
		return "it would be adopted again after it was revoked"
	case a.Terms.ID != "" || a.Terms.ExpiresAt.After(plan.ExpiryFor(&o.Token.Spec, o.Now, 0)):
		return "the Secret is believed more than it may be"
	}
	return ""
}

func abandons(o *plan.Observation, d plan.Decision) string {
	a, ok := d.Action.(plan.Abandon)
	switch {
	case !ok:
		return ""
	case find(o, a.Name).State != v1alpha1.StateMinting || !o.Secret.Live || names(o, a.Name) && o.Token.Owns(a.Name):
		return "the entry is not Minting, or the Secret was not read or names it"
	case waits(o, find(o, a.Name)):
		return "another process may still be at it, and the workload can wait"
	case a.Fence != (o.Secret.Exists && !o.Secret.Foreign && !find(o, a.Name).Settled && !mayPublish(o, find(o, a.Name))):
		return "an existing Secret of ours is fenced while the attempt is not settled, and no other, but not against one that another process may still publish"
	}
	return ""
}

func withdraws(o *plan.Observation, d plan.Decision) string {
	a, ok := d.Action.(plan.Withdraw)
	if e := find(o, a.Name); ok && (!e.Rejected || e.State != v1alpha1.StateMinting) {
		return "a credential may exist under the name"
	}
	return ""
}

// publishable reports whether another process may still publish an attempt.
func publishable(e plan.Entry) bool { return !e.Ours && e.SeenFor < plan.AttemptTime }

// mayPublish is publishable, while the reservation is not too old for a publish in time.
func mayPublish(o *plan.Observation, e plan.Entry) bool {
	return publishable(e) && (e.ReservedAt == nil || o.Now.Before(e.ReservedAt.Add(plan.AttemptTime)))
}

// waits reports whether this process must wait for an attempt, or a change in place,
// of another one: the workload has access for five minutes more, as the Secret shows.
func waits(o *plan.Observation, e plan.Entry) bool {
	s := &o.Secret
	spare := slices.ContainsFunc(o.Ledger, func(e plan.Entry) bool {
		return e.State == v1alpha1.StateActive && names(o, e.Name) && s.Intact && !s.Deleting &&
			(e.ExpiresAt == nil || !o.Now.Add(5*time.Minute).After(e.ExpiresAt.Time))
	})
	attempt := e.State == v1alpha1.StateMinting && (e.ReservedAt == nil || o.Now.Before(e.ReservedAt.Add(plan.AttemptTime)))
	return spare && !o.Token.Deleting && !over(o) && publishable(e) && (attempt || e.State == v1alpha1.StateActive && e.Updating != "")
}

func revokes(o *plan.Observation, d plan.Decision) string {
	if a, ok := d.Action.(plan.Revoke); ok {
		return revoked(o, v1alpha1.StateRetiring, a.Names)
	}
	if a, ok := d.Action.(plan.BeginRevoke); ok {
		return revoked(o, v1alpha1.StateAbandoned, a.Names)
	}
	return ""
}

// revoked judges the names that are revoked, or begun to be, from a state.
func revoked(o *plan.Observation, state v1alpha1.CredentialState, all []string) string {
	if !o.Secret.Live || len(all) == 0 {
		return "the Secret was not read, or nothing is revoked"
	}
	for _, name := range all {
		e := find(o, name)
		switch {
		case names(o, name) && !released(o):
			return name + " is in the Secret"
		case !o.Token.Owns(name):
			return name + " is not ours"
		case e.State != state || !e.Settled:
			return name + " is in another state, or not settled"
		case state == v1alpha1.StateRetiring && e.RetireAt != nil && o.Now.Before(e.RetireAt.Time) && !over(o):
			return name + " is in its overlap"
		case state == v1alpha1.StateRetiring && e.Account != "" && o.Provider.Account != "" && e.Account != o.Provider.Account:
			return name + " is of another account"
		case state == v1alpha1.StateRetiring && !o.Provider.Found:
			return "there is no provider"
		}
	}
	return ""
}

// released reports whether what the Secret holds may be revoked: access has ended,
// and the Secret is being deleted, or its deletion was tried.
func released(o *plan.Observation) bool {
	ended := over(o) || lapsed(o)
	return o.Secret.Deleting || ended && o.Failed["end-secret"]
}

// lapsed reports whether a credential is past an expiry that the operator enforces.
func lapsed(o *plan.Observation) bool {
	past := func(t time.Time) bool { return !t.IsZero() && !o.Now.Before(t) }
	ended := past(o.Secret.Facts.ExpiresAt) || slices.ContainsFunc(o.Ledger, func(e plan.Entry) bool {
		inUse := e.State == v1alpha1.StateActive || e.State == v1alpha1.StateRetiring
		return inUse && e.ExpiresAt != nil && past(e.ExpiresAt.Time)
	})
	return ended && o.Provider.Capabilities.ExpiryEnforcedBy == provider.EnforcedByOperator
}

// calls reports whether an action calls the provider.
func calls(a plan.Action) bool {
	switch a.(type) { //nolint:gochecksumtype // the rest calls no provider
	case plan.FindRestored, plan.CountSlots, plan.Purge, plan.Issue, plan.Update, plan.Revoke, plan.Identify:
		return true
	default:
		return false
	}
}

func admits(o *plan.Observation, d plan.Decision) string {
	if calls(d.Action) && o.Access() == plan.NoAccess {
		return fmt.Sprintf("%T calls a provider for which this ApiToken does not exist", d.Action)
	}
	return ""
}

// keepsGoing: losing admission stops nothing but what issues.
func keepsGoing(o *plan.Observation, d plan.Decision) string {
	outside := copied(o)
	outside.Provider.Admitted = false
	if outside.Access() == plan.NoAccess {
		return ""
	}
	switch d.Action.(type) { //nolint:gochecksumtype // these issue, or prepare it; or nothing is done
	case plan.Issue, plan.TryPublish, plan.CountSlots, plan.Update, plan.Wait, plan.ReadSecret:
		return ""
	}
	if without := plan.Next(outside); !reflect.DeepEqual(sorted(d.Action), sorted(without.Action)) {
		return fmt.Sprintf("without admission it is %T %+v", without.Action, without.Action)
	}
	return ""
}

func leaves(o *plan.Observation, d plan.Decision) string {
	retains := o.Token.Spec.DeletionPolicy == v1alpha1.DeletionRetain
	_, waits := d.Action.(plan.Wait)
	_, reads := d.Action.(plan.ReadSecret)
	_, withdraws := d.Action.(plan.Withdraw)
	_, releases := d.Action.(plan.Release)
	_, removes := d.Action.(plan.RemoveFinalizer)
	purge, purges := d.Action.(plan.Purge)
	goes := releases || removes || purges
	for why, wrong := range map[string]bool{
		"while deleting nothing else is done":          o.Token.Deleting && !goes && !waits && !reads && !withdraws,
		"it is not being deleted, or has gone":         goes && (!o.Token.Deleting || !o.Token.HasFinalizer),
		"the policy decides":                           goes && releases != retains,
		"the ledger is not empty":                      removes && len(o.Ledger) > 0,
		"the Secret knows of a credential":             removes && lost(o),
		"it is settled when every entry is":            purges && purge.Settled != (unsettled(o) == 0),
		"there is no way to revoke":                    purges && (foreigners(o) || otherAccount(o) || !o.Provider.Found),
		"nothing wakes it when all is settled":         purges && !purge.Settled && d.After <= 0,
		"what can be done at once is put off for ever": waits && o.Token.Deleting && retains && o.Token.HasFinalizer,
	} {
		if wrong {
			return why
		}
	}
	return ""
}

// endsOverlaps: only a Retiring credential of this ApiToken ends early, and only the one
// that a user named.
func endsOverlaps(o *plan.Observation, d plan.Decision) string {
	a, ok := d.Action.(plan.EndOverlap)
	if !ok {
		return ""
	}
	e := find(o, a.Name)
	switch {
	case a.Name != o.Token.End:
		return a.Name + " was not named"
	case e.State != v1alpha1.StateRetiring || !o.Token.Owns(a.Name):
		return a.Name + " is not Retiring, or not ours"
	case e.RetireAt == nil || !o.Now.Before(e.RetireAt.Time):
		return a.Name + " is due already"
	}
	return ""
}

func endsAccess(o *plan.Observation, d plan.Decision) string {
	_, deletes := d.Action.(plan.DeleteSecret)
	retire, retires := d.Action.(plan.Retire)
	s := &o.Secret
	switch {
	case !deletes && !retires:
		return ""
	case deletes && (!s.Live || !s.Exists || s.Foreign):
		return "the Secret was not read, or is not ours"
	case deletes && lost(o) && o.Restored == nil:
		return "only the Secret knows of its credential"
	case deletes && s.Deleting:
		return "the Secret is being deleted already"
	case retires && (!s.Live || s.Exists && !s.Foreign && !released(o) || find(o, retire.Name).State != v1alpha1.StateActive):
		return "the Secret is still there, and its deletion was not tried, or the entry is not Active"
	}
	if !over(o) && !lapsed(o) {
		return "access has not ended"
	}
	return ""
}

// holdsNothingUp: after a failure, what takes access away is decided as if nothing
// that issues or writes had been there to fail.
func holdsNothingUp(o *plan.Observation, d plan.Decision) string {
	if _, waits := d.Action.(plan.Wait); waits || o.Failed[d.Rule] {
		return ""
	}
	after := copied(o)
	failed(d.Rule)(&after)
	again := plan.Next(after)
	switch again.Action.(type) { //nolint:gochecksumtype // nothing else may come of a failure
	case plan.DeleteSecret, plan.Retire, plan.EndOverlap, plan.BeginRevoke, plan.Revoke, plan.SyncSecret, plan.ReadSecret, plan.Identify, plan.AdoptRetiring:
		return ""
	}
	if again.Rule != d.Rule && !o.Failed[again.Rule] {
		return fmt.Sprintf("after it failed, rule %s decides on %T", again.Rule, again.Action)
	}
	return ""
}

// What a live read and a question to the provider can bring.
var (
	reading = axis{
		live, all(live, absent), all(live, foreign), all(live, holding("")),
		all(live, holding("own-1")), all(live, holding("own-x")), all(live, current),
	}
	asking = axis{answered(true), answered(false)}
)

// looks answers every read in every way.
func looks(o *plan.Observation, d plan.Decision) string { return looksFrom(*o, d, 0) }

func looksFrom(o plan.Observation, d plan.Decision, depth int) string {
	_, reads := d.Action.(plan.ReadSecret)
	_, finds := d.Action.(plan.FindRestored)
	switch {
	case !reads && !finds:
		return ""
	case depth == 2:
		return "it looks more than twice"
	case reads && o.Secret.Live:
		return "the Secret was read already"
	case finds && (o.Restored != nil || !lost(&o) || !o.Secret.Live || !o.Provider.Found || !o.Provider.Ready):
		return "it was asked already, or nothing was lost, or no provider can be asked"
	}
	hows := reading
	if finds {
		hows = asking
	}
	for _, how := range hows {
		next := o
		how(&next)
		if why := looksFrom(next, plan.Next(next), depth+1); why != "" {
			return why
		}
	}
	return ""
}

// wakes goes to every time at which something becomes due before the wait ends.
func wakes(o *plan.Observation, d plan.Decision) string {
	if _, waits := d.Action.(plan.Wait); !waits {
		return ""
	}
	for _, t := range dueTimes(o) {
		in := t.Sub(o.Now)
		if in <= 0 || d.After > 0 && in >= d.After {
			continue
		}
		later := plan.Next(after(o, in))
		if _, waits := later.Action.(plan.Wait); !waits {
			return fmt.Sprintf("in %s it would be %T, and nothing wakes it then", in, later.Action)
		}
	}
	if d.State == plan.Progressing && d.After == 0 && d.Reason != v1alpha1.ReasonProviderNotReady {
		return "work is in progress, and neither a time nor the provider's readiness ends it"
	}
	return ""
}

// dueTimes are all times in an observation.
func dueTimes(o *plan.Observation) []time.Time {
	_, refill := ledger.BudgetAt(o.Token.Budget, o.Now)
	out := []time.Time{refill}
	if end, _ := o.Token.Spec.HardEnd(); !end.IsZero() {
		out = append(out, end)
	}
	if r := o.Token.Retry; r != nil {
		out = append(out, r.NotBefore.Time)
	}
	for i := range o.Ledger {
		e := &o.Ledger[i]
		if !e.Settled {
			out = append(out, o.Now.Add(e.SettlesIn))
		}
		if publishable(*e) {
			out = append(out, o.Now.Add(plan.AttemptTime-e.SeenFor))
		}
		if e.ReservedAt != nil {
			out = append(out, e.ReservedAt.Add(plan.AttemptTime))
		}
		if e.RetireAt != nil {
			out = append(out, e.RetireAt.Time)
		}
		if e.State == v1alpha1.StateActive {
			out = append(out, plan.RotationDue(o.Token.UID, &o.Token.Spec, &e.LedgerEntry))
			if e.ExpiresAt != nil {
				out = append(out, e.ExpiresAt.Time)
			}
		}
	}
	slices.SortFunc(out, func(a, b time.Time) int { return cmp.Compare(a.UnixNano(), b.UnixNano()) })
	return out
}

// after is the observation a while later.
func after(o *plan.Observation, d time.Duration) plan.Observation {
	out := copied(o)
	out.Now = o.Now.Add(d)
	for i := range out.Ledger {
		e := &out.Ledger[i]
		e.SettlesIn = max(0, e.SettlesIn-d)
		e.Settled = e.Settled || e.SettlesIn == 0
		e.SeenFor += d
	}
	return out
}

func tells(_ *plan.Observation, d plan.Decision) string {
	if d.State == plan.Stalled && len(d.Message) < 40 {
		return "the message is too short to say which value is wrong and what to do"
	}
	if d.Message == "" && d.Rule != "steady" && d.Rule != "gone" {
		return "there is no message"
	}
	return ""
}

// halfLived reports whether half of the lifetime that was asked for has passed
// since the last reservation.
func halfLived(o *plan.Observation) bool {
	var last time.Time
	for _, e := range o.Ledger {
		for _, t := range []*metav1.Time{e.ReservedAt, e.IssuedAt} {
			if t != nil && t.After(last) {
				last = t.Time
			}
		}
	}
	return slices.ContainsFunc(o.Ledger, func(e plan.Entry) bool {
		return e.State == v1alpha1.StateActive && !o.Now.Before(last.Add(e.ExpiresAt.Sub(e.IssuedAt.Time)/2))
	})
}

// anyDue reports whether an Active credential has come to its rotation or its end.
func anyDue(o *plan.Observation) bool {
	return slices.ContainsFunc(o.Ledger, func(e plan.Entry) bool {
		if e.State != v1alpha1.StateActive || e.ExpiresAt == nil {
			return false
		}
		due := plan.RotationDue(o.Token.UID, &o.Token.Spec, &e.LedgerEntry)
		return !o.Now.Before(e.ExpiresAt.Time) || !due.IsZero() && !o.Now.Before(due)
	})
}
