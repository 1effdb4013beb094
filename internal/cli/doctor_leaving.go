package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/reading"
)

// leavingCheck is the name of the check for what a removed operator left.
const leavingCheck = "leaving"

// leaving looks for what is left when the operator was removed before its ApiTokens. The
// operator cannot say so, and the conditions of the ApiTokens stay as they were.
func (e *examination) leaving(ctx context.Context) {
	working := e.operatorWorks(ctx)
	if working.seen {
		return // it revokes by itself, whatever is being deleted
	}
	home := e.namespaceEnding(ctx)
	crds := e.crdStates(ctx)
	e.unknownOfLeaving(working.unread, home.unread, crds.unread)
	ending := crds.ending()
	e.ending = home.seen
	if home.seen {
		ending = append([]string{fmt.Sprintf("namespace %s is being deleted", e.operator)}, ending...)
	}
	left := e.countLeft(ctx, crds)
	switch {
	case len(working.unread) > 0:
		e.perhapsLeaving(ending, left)
	case len(ending) > 0:
		e.leavingFor(strings.Join(ending, " and "), left)
	case left.some():
		e.gone = true
		e.fail(leavingCheck, "Install the operator again (docs/install.md): it continues where it stopped. To remove everything instead, revoke what is left:\n"+e.drainCommand(),
			"no operator works: %s. Nothing rotates or revokes these credentials, and the conditions of the ApiTokens are out of date", left)
	case len(left.unread) > 0:
		e.warn(leavingCheck, e.toReadAll(left.unread), "no operator works, and what is left of its objects is not known: could not look: %s", left.unread)
	}
}

// unknownOfLeaving reports what could not be looked at: it is never "no".
func (e *examination) unknownOfLeaving(operator, namespace, crds unreads) {
	var what []string
	var all unreads
	for _, one := range []struct {
		question string
		unread   unreads
	}{
		{"whether an operator works", operator},
		{"whether namespace " + e.operator + " is being deleted", namespace},
		{"whether its CRDs are being deleted", crds},
	} {
		if len(one.unread) > 0 {
			what, all = append(what, one.question), append(all, one.unread...)
		}
	}
	if len(all) > 0 {
		e.warn(leavingCheck, e.toReadAll(all), "not known: %s; could not look: %s", strings.Join(what, ", "), all)
	}
}

// perhapsLeaving reports what is being deleted when an operator may still work.
func (e *examination) perhapsLeaving(ending []string, left leftOver) {
	if len(ending) > 0 {
		e.warn(leavingCheck, "Ask somebody who may read its Lease and its Deployment. If no operator works, revoke what is left:\n"+e.drainCommand(),
			"%s: %s", strings.Join(ending, " and "), left)
	}
}

// leavingFor reports what waits for an operator that is gone and cannot come back.
func (e *examination) leavingFor(why string, left leftOver) {
	switch {
	case left.some():
		e.gone = true
		e.fail(leavingCheck, "Revoke what is left, from a checkout (make build) or an unpacked release, with an administrator's kubeconfig:\n"+e.drainCommand(),
			"%s, and no operator works: %s. Nothing revokes these credentials, and the conditions of the ApiTokens are out of date", why, left)
	case len(left.unread) > 0:
		e.warn(leavingCheck, e.toReadAll(left.unread), "%s, and no operator works; what is left of its objects is not known: could not look: %s", why, left.unread)
	default:
		e.warn(leavingCheck, "If Secrets with the finalizer "+v1alpha1.Finalizer+" keep it, this lets them go:\n"+e.drainCommand(),
			"%s; no ApiToken and no provider is left", why)
	}
}

// drainCommand revokes without the operator.
func (e *examination) drainCommand() string {
	return "bin/manager drain --namespace=" + e.operator + " --delete-all"
}

// unreads are reads that failed. What they would have shown is not known.
type unreads []unreadOne

type unreadOne struct {
	access access
	err    error
}

// String says why, each reason once.
func (u unreads) String() string {
	var out []string
	for _, one := range u {
		if text := unreadable(one.access, one.err); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, ", ")
}

// toReadAll says what to do about them, each action once.
func (h hints) toReadAll(u unreads) string {
	var out []string
	for _, one := range u {
		if text := h.toRead(one.access, one.err); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, "\n")
}

// sight is what one or more reads show: it was seen, or it is not there, or reads failed.
type sight struct {
	seen   bool
	unread unreads
}

// look adds a read to what was seen.
func look[T any](s *sight, r reading.Of[T], a access) {
	r.Switch(func(T) { s.seen = true }, func() {}, func(err error) { s.unread = append(s.unread, unreadOne{a, err}) })
}

// operatorWorks looks for an operator: its Lease is renewed, or its Deployment is
// available.
func (e *examination) operatorWorks(ctx context.Context) sight {
	var s sight
	look(&s, e.lease(ctx).Where(e.renewed), access{verb: "get", group: coordinationv1.GroupName, resource: "leases", namespace: e.operator})
	var list appsv1.DeploymentList
	err := e.client.List(ctx, &list, client.InNamespace(e.operator), client.MatchingLabels{"app.kubernetes.io/name": operatorName})
	look(&s, reading.List(list.Items, err).Where(anyAvailable), access{verb: "list", group: appsv1.GroupName, resource: "deployments", namespace: e.operator})
	return s
}

func (e *examination) lease(ctx context.Context) reading.Of[*coordinationv1.Lease] {
	lease := &coordinationv1.Lease{}
	return reading.Object(lease, e.client.Get(ctx, client.ObjectKey{Namespace: e.operator, Name: operatorName}, lease))
}

// renewed reports whether the holder of a Lease still works.
func (e *examination) renewed(lease *coordinationv1.Lease) bool {
	s := &lease.Spec
	if s.HolderIdentity == nil || *s.HolderIdentity == "" || s.RenewTime == nil {
		return false
	}
	term := leaseSlack
	if s.LeaseDurationSeconds != nil {
		term += time.Duration(*s.LeaseDurationSeconds) * time.Second
	}
	return e.Clock.Now().Sub(s.RenewTime.Time) <= term
}

func anyAvailable(found []appsv1.Deployment) bool {
	return slices.ContainsFunc(found, func(d appsv1.Deployment) bool { return d.DeletionTimestamp.IsZero() && d.Status.AvailableReplicas > 0 })
}

// metadata reads the metadata of one object.
func (s *session) metadata(ctx context.Context, kind schema.GroupVersionKind, key client.ObjectKey) reading.Of[*metav1.PartialObjectMetadata] {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(kind)
	return reading.Object(m, s.client.Get(ctx, key, m))
}

func deleting(m *metav1.PartialObjectMetadata) bool { return !m.DeletionTimestamp.IsZero() }

// namespaceEnding looks whether the operator's namespace is being deleted.
func (e *examination) namespaceEnding(ctx context.Context) sight {
	var s sight
	look(&s, e.metadata(ctx, corev1.SchemeGroupVersion.WithKind("Namespace"), client.ObjectKey{Name: e.operator}).Where(deleting),
		access{verb: "get", resource: "namespaces", namespace: e.operator})
	return s
}

// crdStates are the operator's CRDs: which are being deleted, which are gone, and which
// could not be read.
type crdStates struct {
	deleting, gone []string
	unread         unreads
}

func (e *examination) crdStates(ctx context.Context) crdStates {
	var out crdStates
	kind := schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
	for _, plural := range []string{"apitokens", "tokenproviders", "clustertokenproviders"} {
		crd := e.metadata(ctx, kind, client.ObjectKey{Name: plural + "." + v1alpha1.GroupVersion.Group})
		crd.Switch(func(m *metav1.PartialObjectMetadata) {
			if deleting(m) {
				out.deleting = append(out.deleting, m.Name)
			}
		}, func() { out.gone = append(out.gone, plural) }, func(err error) {
			out.unread = append(out.unread, unreadOne{access{verb: "get", group: kind.Group, resource: "customresourcedefinitions"}, err})
		})
	}
	return out
}

func (c crdStates) ending() []string {
	if len(c.deleting) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("CRDs are being deleted (%s)", strings.Join(c.deleting, ", "))}
}

// leftOver counts what waits for an operator. With failed reads, there can be more.
type leftOver struct {
	tokens, credentials, providers int
	unread                         unreads
}

func (l leftOver) some() bool { return l.tokens+l.providers > 0 }

// String says how much is left, and what could not be counted.
func (l leftOver) String() string {
	text := fmt.Sprintf("%d ApiTokens with %d credentials and %d providers are left", l.tokens, l.credentials, l.providers)
	if len(l.unread) > 0 {
		text = fmt.Sprintf("at least %s (could not look: %s)", text, l.unread)
	}
	return text
}

// countLeft counts in all namespaces, or in the one at hand if the user may not read the
// others. Nothing is left of a kind whose CRD is gone.
func (e *examination) countLeft(ctx context.Context, crds crdStates) leftOver {
	var out leftOver
	if !slices.Contains(crds.gone, "apitokens") {
		e.countTokens(ctx, "", &out)
	}
	count := func(r reading.Of[[]account.Object], a access) {
		r.Switch(func(found []account.Object) { out.providers += len(found) }, func() {}, func(err error) {
			if !slices.Contains(crds.gone, a.resource) {
				out.unread = append(out.unread, unreadOne{a, err})
			}
		})
	}
	all := e.providers(ctx, "")
	count(all.cluster, all.clusterAccess)
	count(all.own, all.ownAccess)
	return out
}

func (e *examination) countTokens(ctx context.Context, namespace string, out *leftOver) {
	reading.List(e.tokens(ctx, namespace)).Switch(func(found []v1alpha1.ApiToken) {
		out.tokens = len(found)
		for i := range found {
			out.credentials += len(found[i].Status.Credentials)
		}
	}, func() {}, func(err error) {
		out.unread = append(out.unread, unreadOne{access{verb: "list", group: v1alpha1.GroupVersion.Group, resource: "apitokens", namespace: namespace}, err})
		if namespace == "" && reading.Forbidden(err) {
			e.countTokens(ctx, e.session.namespace, out) // what may be read is worth saying
		}
	})
}

// warnOperatorGone says on stderr that the conditions which a command shows are out of
// date: the operator's namespace is being deleted, or its Lease is no longer renewed. It
// says nothing when it could not look: doctor does.
func (s *session) warnOperatorGone(ctx context.Context) {
	e := &examination{session: s, operator: operatorNamespace}
	why := ""
	if e.namespaceEnding(ctx).seen {
		why = fmt.Sprintf("the operator's namespace %s is being deleted and no operator works", e.operator)
	} else {
		e.lease(ctx).Switch(func(*coordinationv1.Lease) {
			why = "no operator renews its Lease in namespace " + e.operator
		}, func() {}, func(error) {})
	}
	if why == "" {
		return
	}
	if works := e.operatorWorks(ctx); !works.seen && len(works.unread) == 0 {
		s.say("warning: %s: what is shown may be out of date. To see more: %s", why, s.pluginCommand("", "doctor", "-A"))
	}
}
