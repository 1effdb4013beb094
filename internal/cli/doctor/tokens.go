package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/output"
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/plan"
)

const (
	// expiringSoon is when a credential that is not replaced is worth a warning.
	expiringSoon = 24 * time.Hour
	// rotationLate is how long after its time a rotation is overdue.
	rotationLate = 15 * time.Minute
	// stuckAfter is how long after its time a ledger entry is stuck.
	stuckAfter = time.Hour
	// orphanReason is the reason of the events about credentials that no ledger knows.
	orphanReason = "OrphanedCredentials"
)

// providersReady looks at the providers of the namespace and of the cluster.
func (e *examination) providersReady(ctx context.Context) {
	const check = "providers"
	all := e.Providers(ctx, e.scope)
	none := 0
	look := func(r reading.Of[[]account.Object], a hint.Access) {
		r.Switch(func(found []account.Object) {
			for _, o := range found {
				e.providerReady(o)
			}
		}, func() { none++ }, func(err error) { e.unread(check, a, err) })
	}
	look(all.Cluster, all.ClusterAccess)
	look(all.Own, all.OwnAccess)
	if none == 2 { // of both kinds
		e.warn(check, "Create a TokenProvider or a ClusterTokenProvider: config/samples has one for each driver.", "there is no provider")
	}
}

func (e *examination) providerReady(o account.Object) {
	const check = "provider"
	name := o.Key().String()
	c := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case c == nil || c.ObservedGeneration != o.GetGeneration():
		e.warn(check, e.orLeaving("See whether the operator runs: "+e.KubectlCommand(e.operator, "get", "pods")), "%s has not been checked yet", name)
	case c.Status == metav1.ConditionTrue:
		e.holds(check, "%s is ready, %d live credentials", name, o.Status.LiveCredentials)
	default:
		e.fail(check, hint.ActionFor(c.Reason), "%s is not ready (%s): %s", name, c.Reason, c.Message)
	}
}

// orphans looks for what the operator's sweep reported. Events last an hour or so.
// Those about ClusterTokenProviders are in the namespace default.
func (e *examination) orphans(ctx context.Context) {
	const check = "orphans"
	namespaces := []string{e.scope}
	if e.scope != "" && e.scope != metav1.NamespaceDefault {
		namespaces = append(namespaces, metav1.NamespaceDefault)
	}
	none := 0
	for _, namespace := range namespaces {
		var list eventsv1.EventList
		err := e.Client.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{"reason": orphanReason})
		reading.List(list.Items, err).Switch(func(found []eventsv1.Event) {
			for i := range found {
				ev := &found[i]
				name := strings.TrimPrefix(ev.Regarding.Namespace+"/"+ev.Regarding.Name, "/")
				e.warn(check, "Find out whether something uses them, as docs/troubleshooting.md says.", "%s %s: %s", ev.Regarding.Kind, name, ev.Note)
			}
		}, func() { none++ }, func(err error) {
			e.unread(check, hint.Access{Verb: "list", Group: eventsv1.GroupName, Resource: "events", Namespace: namespace}, err)
		})
	}
	if none == len(namespaces) {
		e.ok(check, "no event reports credentials that no ledger has")
	}
}

// tokensReady checks every ApiToken. Those without a problem are only counted.
func (e *examination) tokensReady(ctx context.Context) {
	const check = "ApiTokens"
	where := "in any namespace"
	if e.scope != "" {
		where = "in namespace " + e.scope
	}
	reading.List(e.Tokens(ctx, e.scope)).Switch(func(tokens []v1alpha1.ApiToken) {
		well := 0
		for i := range tokens {
			if e.judge(&tokens[i]) {
				well++
			}
		}
		if well > 0 {
			e.holds(check, "%d of %d %s are ready and in order", well, len(tokens), where)
		}
	}, func() { e.ok(check, "there is no ApiToken %s", where) }, func(err error) {
		e.unread(check, hint.Access{Verb: "list", Group: v1alpha1.GroupVersion.Group, Resource: "apitokens", Namespace: e.scope}, err)
	})
}

// judge reports whether an ApiToken has no problem.
func (e *examination) judge(t *v1alpha1.ApiToken) bool {
	before := len(e.findings)
	name := t.Namespace + "/" + t.Name
	do := e.WhatToDo(t, tokenstate.Reason(t))
	_, unreadable := t.Spec.HardEnd()
	switch {
	case !t.DeletionTimestamp.IsZero():
		e.deletionLate(t, name)
	case unreadable != nil: // whether or not the operator runs and says so
		e.fail("unreadable", hint.ActionFor(v1alpha1.ReasonUnreadableValue), "%s (%s): %v", name, v1alpha1.ReasonUnreadableValue, unreadable)
	case tokenstate.Ready(t):
	case meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionStalled):
		e.fail("not ready", do, "%s (%s): %s", name, tokenstate.Reason(t), tokenstate.Message(t))
	case tokenstate.Reason(t) == tokenstate.NotObserved:
		e.warn("not ready", e.orLeaving(do), "%s: the operator has not observed it", name)
	default:
		e.warn("not ready", do, "%s (%s): %s", name, tokenstate.Reason(t), tokenstate.Message(t))
	}
	e.changed(t, name)
	e.expiring(t, name)
	e.stuck(t, name)
	return len(e.findings) == before
}

func (e *examination) deletionLate(t *v1alpha1.ApiToken, name string) {
	if since := e.Clock.Now().Sub(t.DeletionTimestamp.Time); since > stuckAfter {
		e.fail("deletion", "Fix what the message names, or set spec.deletionPolicy to Retain, which deletes it without revoking: "+e.PluginCommand(t.Namespace, "status", t.Name),
			"%s was deleted %s ago and still exists: %s", name, plan.Short(since.Round(time.Minute)), tokenstate.Message(t))
	}
}

func (e *examination) expiring(t *v1alpha1.ApiToken, name string) {
	now, end := e.Clock.Now(), t.Status.ExpiresAt
	if end == nil || !t.DeletionTimestamp.IsZero() {
		return
	}
	status := "See why: " + e.PluginCommand(t.Namespace, "status", t.Name)
	switch rotates := t.Status.RotatesAt; {
	case !now.Before(end.Time) && t.Spec.ExpiresAt == nil:
		e.fail("expired", status, "%s ended %s and was not replaced", name, output.At(end, now))
	case rotates != nil && now.After(rotates.Add(rotationLate)):
		e.warn("rotation", status, "%s should have been rotated %s; it ends %s", name, output.Away(rotates.Time, now), output.At(end, now))
	case t.Spec.Suspend && end.Sub(now) < expiringSoon:
		e.warn("expiring", "Resume it: "+e.PluginCommand(t.Namespace, "resume", t.Name), "%s is suspended and ends %s", name, output.At(end, now))
	case t.Spec.ExpiresAt != nil && now.Before(end.Time) && end.Sub(now) < expiringSoon:
		e.warn("expiring", "Raise spec.expiresAt to keep access.", "%s ends for good %s", name, output.At(end, now))
	}
}

// changed looks for a credential that has more access than declared; its ApiToken is Ready.
func (e *examination) changed(t *v1alpha1.ApiToken, name string) {
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionDrifted)
	if c != nil && c.Status == metav1.ConditionTrue && c.Reason == v1alpha1.ReasonCredentialChanged {
		e.warn("drift", e.WhatToDo(t, c.Reason), "%s: %s", name, c.Message)
	}
}

// stuck looks for entries that should have left the ledger.
func (e *examination) stuck(t *v1alpha1.ApiToken, name string) {
	now := e.Clock.Now()
	for i := range t.Status.Credentials {
		c := &t.Status.Credentials[i]
		var since *metav1.Time
		switch c.State {
		case v1alpha1.StateRetiring:
			since = c.RetireAt
		case v1alpha1.StateMinting, v1alpha1.StateAbandoned:
			since = c.ReservedAt
		case v1alpha1.StateActive:
		}
		if since == nil || now.Sub(since.Time) < stuckAfter {
			continue
		}
		do := "Make the provider reachable; the operator then continues by itself: " + e.PluginCommand(t.Namespace, "status", t.Name)
		if c.ByHand {
			do = fmt.Sprintf("Delete credential %s at the provider, as the condition ActionRequired says.", tokenstate.Key(c))
		}
		e.warn("ledger", do, "%s: %s is %s since %s", name, tokenstate.Key(c), c.State, output.Stamp(since.Time))
	}
}
