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
	working := operatorWorks(ctx, e.session, e.operator)
	if working.seen {
		return // it revokes by itself, whatever is being deleted
	}
	home := namespaceEnding(ctx, e.session, e.operator)
	crds := e.crdStates(ctx)
	e.unknownOfLeaving(working.failed, home.failed, crds.unread)
	ending := crds.ending()
	e.ending = home.seen
	if home.seen {
		ending = append([]string{fmt.Sprintf("namespace %s is being deleted", e.operator)}, ending...)
	}
	left := e.countLeft(ctx, crds)
	switch {
	case len(working.failed) > 0:
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
func (e *examination) unknownOfLeaving(operator, namespace, crds failedReads) {
	var what []string
	var all failedReads
	for _, one := range []struct {
		question string
		failed   failedReads
	}{
		{"whether an operator works", operator},
		{"whether namespace " + e.operator + " is being deleted", namespace},
		{"whether its CRDs are being deleted", crds},
	} {
		if len(one.failed) > 0 {
			what, all = append(what, one.question), append(all, one.failed...)
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

// failedReads are reads that failed. What they would have shown is unknown.
type failedReads []failedRead

type failedRead struct {
	access access
	err    error
}

// String says why, each reason once.
func (u failedReads) String() string {
	var out []string
	for _, one := range u {
		if text := unreadable(one.access, one.err); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, ", ")
}

// toReadAll says what to do about them, each action once.
func (h hints) toReadAll(u failedReads) string {
	var out []string
	for _, one := range u {
		if text := h.toRead(one.access, one.err); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, "\n")
}

// sighting is what one or more reads show: found, absent, or reads failed.
type sighting struct {
	seen   bool
	failed failedReads
}

// addRead adds the result of a read.
func addRead[T any](s *sighting, r reading.Of[T], a access) {
	r.Switch(func(T) { s.seen = true }, func() {}, func(err error) { s.failed = append(s.failed, failedRead{access: a, err: err}) })
}

// operatorWorks looks for a working operator in a namespace: its Lease is renewed, or its
// Deployment is available.
func operatorWorks(ctx context.Context, s *session, namespace string) sighting {
	var out sighting
	renewed := func(l *coordinationv1.Lease) bool { return leaseRenewed(l, s.Clock.Now()) }
	addRead(&out, leaseOf(ctx, s, namespace).Where(renewed), leaseAccess(namespace))
	addRead(&out, deployments(ctx, s, namespace).Where(anyAvailable), deploymentAccess(namespace))
	return out
}

// leaseOf reads the operator's Lease.
func leaseOf(ctx context.Context, s *session, namespace string) reading.Of[*coordinationv1.Lease] {
	lease := &coordinationv1.Lease{}
	return reading.Object(lease, s.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: operatorName}, lease))
}

// leaseAccess is the right that leaseOf needs.
func leaseAccess(namespace string) access {
	return access{verb: "get", group: coordinationv1.GroupName, resource: "leases", namespace: namespace}
}

// deployments lists the operator's Deployments.
func deployments(ctx context.Context, s *session, namespace string) reading.Of[[]appsv1.Deployment] {
	var list appsv1.DeploymentList
	err := s.client.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels{"app.kubernetes.io/name": operatorName})
	return reading.List(list.Items, err)
}

// deploymentAccess is the right that deployments needs.
func deploymentAccess(namespace string) access {
	return access{verb: "list", group: appsv1.GroupName, resource: "deployments", namespace: namespace}
}

// leaseRenewed reports whether the holder of a Lease renewed it in time.
func leaseRenewed(lease *coordinationv1.Lease, now time.Time) bool {
	s := &lease.Spec
	if s.HolderIdentity == nil || *s.HolderIdentity == "" || s.RenewTime == nil {
		return false
	}
	term := leaseSlack
	if s.LeaseDurationSeconds != nil {
		term += time.Duration(*s.LeaseDurationSeconds) * time.Second
	}
	return now.Sub(s.RenewTime.Time) <= term
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

func beingDeleted(m *metav1.PartialObjectMetadata) bool { return !m.DeletionTimestamp.IsZero() }

// namespaceEnding looks whether the operator's namespace is being deleted.
func namespaceEnding(ctx context.Context, s *session, namespace string) sighting {
	var out sighting
	addRead(&out, s.metadata(ctx, corev1.SchemeGroupVersion.WithKind("Namespace"), client.ObjectKey{Name: namespace}).Where(beingDeleted),
		access{verb: "get", resource: "namespaces", namespace: namespace})
	return out
}

// crdStates are the operator's CRDs: which are being deleted, which are gone, and which
// could not be read.
type crdStates struct {
	deleting, gone []string
	unread         failedReads
}

func (e *examination) crdStates(ctx context.Context) crdStates {
	var out crdStates
	kind := schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
	for _, plural := range []string{"apitokens", "tokenproviders", "clustertokenproviders"} {
		crd := e.metadata(ctx, kind, client.ObjectKey{Name: plural + "." + v1alpha1.GroupVersion.Group})
		crd.Switch(func(m *metav1.PartialObjectMetadata) {
			if beingDeleted(m) {
				out.deleting = append(out.deleting, m.Name)
			}
		}, func() { out.gone = append(out.gone, plural) }, func(err error) {
			out.unread = append(out.unread, failedRead{access: access{verb: "get", group: kind.Group, resource: "customresourcedefinitions"}, err: err})
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
	unread                         failedReads
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
				out.unread = append(out.unread, failedRead{access: a, err: err})
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
		out.unread = append(out.unread, failedRead{access: access{verb: "list", group: v1alpha1.GroupVersion.Group, resource: "apitokens", namespace: namespace}, err: err})
		if namespace == "" && reading.Forbidden(err) {
			e.countTokens(ctx, e.session.namespace, out) // what may be read is worth saying
		}
	})
}

// warnOperatorGone says on stderr that the conditions which a command shows are out of
// date: the operator's namespace is being deleted, or its Lease is no longer renewed. It
// says nothing when it could not look: doctor does.
func (s *session) warnOperatorGone(ctx context.Context) {
	why := ""
	if namespaceEnding(ctx, s, operatorNamespace).seen {
		why = fmt.Sprintf("the operator's namespace %s is being deleted and no operator works", operatorNamespace)
	} else {
		leaseOf(ctx, s, operatorNamespace).Switch(func(*coordinationv1.Lease) {
			why = "no operator renews its Lease in namespace " + operatorNamespace
		}, func() {}, func(error) {})
	}
	if why == "" {
		return
	}
	if works := operatorWorks(ctx, s, operatorNamespace); !works.seen && len(works.failed) == 0 {
		s.say("warning: %s: what is shown may be out of date. To see more: %s", why, s.pluginCommand("", "doctor", "-A"))
	}
}
