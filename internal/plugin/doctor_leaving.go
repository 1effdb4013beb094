package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

// leaving looks for what is left when the operator was removed before its ApiTokens. The
// operator cannot say so, and the conditions of the ApiTokens stay as they were.
func (e *examination) leaving(ctx context.Context) {
	const check = "leaving"
	working, unseen := e.operatorWorks(ctx)
	if working {
		return // it revokes by itself, whatever is being deleted
	}
	ending := e.endingCRDs(ctx)
	switch deleting, err := e.namespaceEnding(ctx); {
	case err != nil:
		e.warn(check, "Ask somebody who may read namespaces.", "whether namespace %s is being deleted is not known: %v", e.operator, err)
	case deleting:
		ending = append([]string{fmt.Sprintf("namespace %s is being deleted", e.operator)}, ending...)
	}
	left, unread := e.leftOver(ctx)
	why := strings.Join(ending, " and ")
	switch {
	case len(ending) == 0 && (left == "" || unseen != nil):
	case left == "" && unread != nil:
		e.warn(check, "Ask somebody who may list ApiTokens and providers in all namespaces.",
			"%s; what is left of the operator's objects is not known: %v", why, unread)
	case left == "":
		e.warn(check, "If Secrets with the finalizer "+v1alpha1.Finalizer+" keep it, this lets them go:\n"+e.drainCommand(),
			"%s; no ApiToken and no provider is left", why)
	case len(ending) > 0:
		e.fail(check, "Revoke what is left, from a checkout (make build) or an unpacked release, with an administrator's kubeconfig:\n"+e.drainCommand(),
			"%s, and no operator works: %s. Nothing revokes these credentials, and the conditions of the ApiTokens are out of date", why, left)
	default:
		e.fail(check, "Install the operator again (docs/install.md): it continues where it stopped. To remove everything instead, revoke what is left:\n"+e.drainCommand(),
			"no operator works: %s. Nothing rotates or revokes these credentials, and the conditions of the ApiTokens are out of date", left)
	}
}

// drainCommand revokes without the operator.
func (e *examination) drainCommand() string {
	return "bin/manager drain --namespace=" + e.operator + " --delete-all"
}

// operatorWorks reports whether an operator is seen: its Lease is renewed, or its
// Deployment is available. The error is why that could not be read.
func (e *examination) operatorWorks(ctx context.Context) (bool, error) {
	lease := &coordinationv1.Lease{}
	err := client.IgnoreNotFound(e.client.Get(ctx, client.ObjectKey{Namespace: e.operator, Name: operatorName}, lease))
	if s := &lease.Spec; err == nil && s.HolderIdentity != nil && *s.HolderIdentity != "" && s.RenewTime != nil {
		term := leaseSlack
		if s.LeaseDurationSeconds != nil {
			term += time.Duration(*s.LeaseDurationSeconds) * time.Second
		}
		if e.Clock.Now().Sub(s.RenewTime.Time) <= term {
			return true, nil
		}
	}
	var found appsv1.DeploymentList
	failed := e.client.List(ctx, &found, client.InNamespace(e.operator), client.MatchingLabels{"app.kubernetes.io/name": operatorName})
	for i := range found.Items {
		if d := &found.Items[i]; d.DeletionTimestamp.IsZero() && d.Status.AvailableReplicas > 0 {
			return true, nil
		}
	}
	return false, errors.Join(err, failed)
}

func (e *examination) namespaceEnding(ctx context.Context) (bool, error) {
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := client.IgnoreNotFound(e.client.Get(ctx, client.ObjectKey{Name: e.operator}, ns))
	return !ns.DeletionTimestamp.IsZero(), err
}

// endingCRDs says which of the operator's CRDs are being deleted. One that is gone has no
// objects, and a user who may not read CRDs learns the rest all the same.
func (e *examination) endingCRDs(ctx context.Context) []string {
	var names []string
	for _, plural := range []string{"apitokens", "tokenproviders", "clustertokenproviders"} {
		crd := &metav1.PartialObjectMetadata{}
		crd.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
		err := e.client.Get(ctx, client.ObjectKey{Name: plural + "." + v1alpha1.GroupVersion.Group}, crd)
		if err == nil && !crd.DeletionTimestamp.IsZero() {
			names = append(names, crd.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("CRDs are being deleted (%s)", strings.Join(names, ", "))}
}

// leftOver says what waits for an operator in all namespaces, or in the one at hand if the
// user may not read the others. The error is why it may not be all.
func (e *examination) leftOver(ctx context.Context) (string, error) {
	tokens, err := e.tokens(ctx, "")
	if apierrors.IsForbidden(err) {
		tokens, _ = e.tokens(ctx, e.session.namespace) // what it may read is worth saying; err says that it is not all
	}
	failed := notServed(err)
	credentials, providers := 0, 0
	for i := range tokens {
		credentials += len(tokens[i].Status.Credentials)
	}
	for _, list := range []client.ObjectList{&v1alpha1.TokenProviderList{}, &v1alpha1.ClusterTokenProviderList{}} {
		failed = errors.Join(failed, notServed(e.client.List(ctx, list)))
		providers += meta.LenList(list)
	}
	if len(tokens) == 0 && providers == 0 {
		return "", failed
	}
	return fmt.Sprintf("%d ApiTokens with %d credentials and %d providers are left", len(tokens), credentials, providers), failed
}

// notServed drops the error of a kind whose CRD is gone: nothing of it is left.
func notServed(err error) error {
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil
	}
	return err
}

// warnOperatorGone says on stderr that the conditions which a command shows are out of
// date: the operator's namespace is being deleted, or its Lease is no longer renewed.
// A user who may not read these is told nothing.
func (s *session) warnOperatorGone(ctx context.Context) {
	e := &examination{session: s, operator: operatorNamespace}
	if deleting, err := e.namespaceEnding(ctx); err == nil && deleting {
		if working, unseen := e.operatorWorks(ctx); !working && unseen == nil {
			s.say("warning: the operator's namespace %s is being deleted and no operator works: what is shown may be out of date. To see more: %s", e.operator, s.pluginCommand("", "doctor", "-A"))
		}
		return
	}
	lease := &coordinationv1.Lease{}
	if e.client.Get(ctx, client.ObjectKey{Namespace: e.operator, Name: operatorName}, lease) != nil {
		return
	}
	if working, unseen := e.operatorWorks(ctx); !working && unseen == nil {
		s.say("warning: no operator renews its Lease in namespace %s: what is shown may be out of date. To see more: %s", e.operator, s.pluginCommand("", "doctor", "-A"))
	}
}
