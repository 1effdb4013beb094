package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/installation"
	"apitoken.dev/operator/internal/cli/reading"
)

// leavingCheck is the name of the check for what a removed operator left.
const leavingCheck = "leaving"

// leaving looks for what is left when the operator was removed before its ApiTokens. The
// operator cannot say so, and the conditions of the ApiTokens stay as they were.
func (e *examination) leaving(ctx context.Context) {
	working := installation.Working(ctx, e.Session, e.operator)
	if working.Seen {
		return // the operator revokes by itself, even while its namespace is deleted
	}
	home := installation.NamespaceEnding(ctx, e.Session, e.operator)
	crds := e.crdStates(ctx)
	e.unknownOfLeaving(working.Failed, home.Failed, crds.unread)
	ending := crds.ending()
	e.ending = home.Seen
	if home.Seen {
		ending = append([]string{fmt.Sprintf("namespace %s is being deleted", e.operator)}, ending...)
	}
	left := e.countLeft(ctx, crds)
	switch {
	case len(working.Failed) > 0:
		e.perhapsLeaving(ending, left)
	case len(ending) > 0:
		e.leavingFor(strings.Join(ending, " and "), left)
	case left.some():
		e.gone = true
		e.fail(leavingCheck, "Install the operator again (docs/install.md): it continues where it stopped. To remove everything instead, revoke what is left:\n"+e.drainCommand(),
			"no operator works: %s. Nothing rotates or revokes these credentials, and the conditions of the ApiTokens are out of date", left)
	case len(left.unread) > 0:
		e.warn(leavingCheck, left.unread.ToRead(e.Hints), "no operator works, and what is left of its objects is not known: could not read: %s", left.unread)
	}
}

// unknownOfLeaving reports what could not be looked at: it is never "no".
func (e *examination) unknownOfLeaving(operator, namespace, crds installation.FailedReads) {
	var what []string
	var all installation.FailedReads
	for _, one := range []struct {
		question string
		failed   installation.FailedReads
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
		e.warn(leavingCheck, all.ToRead(e.Hints), "not known: %s; could not read: %s", strings.Join(what, ", "), all)
	}
}

// perhapsLeaving reports what is being deleted when an operator may still work.
func (e *examination) perhapsLeaving(ending []string, left leftOver) {
	if len(ending) > 0 {
		e.warn(leavingCheck, "Ask a user who may read its Lease and its Deployment. If no operator works, revoke what is left:\n"+e.drainCommand(),
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
		e.warn(leavingCheck, left.unread.ToRead(e.Hints),
			"%s, and no operator works; what is left of its objects is not known: could not read: %s", why, left.unread)
	default:
		e.warn(leavingCheck, "If Secrets with the finalizer "+v1alpha1.Finalizer+" keep it, this lets them go:\n"+e.drainCommand(),
			"%s; no ApiToken and no provider is left", why)
	}
}

// drainCommand revokes without the operator.
func (e *examination) drainCommand() string {
	return "bin/manager drain --namespace=" + e.operator + " --delete-all"
}

// crdStates are the operator's CRDs: which are being deleted, which are gone, and which
// could not be read.
type crdStates struct {
	deleting, gone []string
	unread         installation.FailedReads
}

func (e *examination) crdStates(ctx context.Context) crdStates {
	var out crdStates
	kind := schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
	for _, plural := range []string{"apitokens", "tokenproviders", "clustertokenproviders"} {
		crd := e.Metadata(ctx, kind, client.ObjectKey{Name: plural + "." + v1alpha1.GroupVersion.Group})
		crd.Switch(func(m *metav1.PartialObjectMetadata) {
			if installation.BeingDeleted(m) {
				out.deleting = append(out.deleting, m.Name)
			}
		}, func() { out.gone = append(out.gone, plural) }, func(err error) {
			access := hint.Access{Verb: "get", Group: kind.Group, Resource: "customresourcedefinitions"}
			out.unread = append(out.unread, installation.FailedRead{Access: access, Err: err})
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
	unread                         installation.FailedReads
}

func (l leftOver) some() bool { return l.tokens+l.providers > 0 }

// String says how much is left, and what could not be counted.
func (l leftOver) String() string {
	text := fmt.Sprintf("%d ApiTokens with %d credentials and %d providers are left", l.tokens, l.credentials, l.providers)
	if len(l.unread) > 0 {
		text = fmt.Sprintf("at least %s (could not read: %s)", text, l.unread)
	}
	return text
}

// countLeft counts in all namespaces, or in the current one if the user may not read the
// others. Nothing is left of a kind whose CRD is gone.
func (e *examination) countLeft(ctx context.Context, crds crdStates) leftOver {
	var out leftOver
	if !slices.Contains(crds.gone, "apitokens") {
		e.countTokens(ctx, "", &out)
	}
	count := func(r reading.Of[[]account.Object], a hint.Access) {
		r.Switch(func(found []account.Object) { out.providers += len(found) }, func() {}, func(err error) {
			if !slices.Contains(crds.gone, a.Resource) {
				out.unread = append(out.unread, installation.FailedRead{Access: a, Err: err})
			}
		})
	}
	all := e.Providers(ctx, "")
	count(all.Cluster, all.ClusterAccess)
	count(all.Own, all.OwnAccess)
	return out
}

func (e *examination) countTokens(ctx context.Context, namespace string, out *leftOver) {
	reading.List(e.Tokens(ctx, namespace)).Switch(func(found []v1alpha1.ApiToken) {
		out.tokens = len(found)
		for i := range found {
			out.credentials += len(found[i].Status.Credentials)
		}
	}, func() {}, func(err error) {
		access := hint.Access{Verb: "list", Group: v1alpha1.GroupVersion.Group, Resource: "apitokens", Namespace: namespace}
		out.unread = append(out.unread, installation.FailedRead{Access: access, Err: err})
		if namespace == "" && reading.Forbidden(err) {
			e.countTokens(ctx, e.Namespace, out) // what may be read is worth saying
		}
	})
}
