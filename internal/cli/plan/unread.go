package plan

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/provider"
)

// grantsAll stands for a provider that could not be read. It refuses nothing, so
// anything that the rules still refuse does not depend on the provider.
func grantsAll(token *v1alpha1.ApiToken) account.Facts {
	f := account.Facts{Found: true, Ready: true, Admitted: true, Verified: true}
	f.Capabilities.Narrows = []provider.Field{provider.FieldBuckets, provider.FieldAllowedIPs, provider.FieldDeniedIPs, provider.FieldSubaccounts}
	if e := tokenstate.Active(token); e != nil {
		f.Account.ID = e.Account
	}
	return f
}

// withoutProvider says what could be decided without the provider, and what could not.
// What depends on the declaration and the ledger alone stays as the rules decided it.
func (p *planner) withoutProvider(sit *situation, out *planned) {
	ref, unseen := sit.token.Spec.ProviderRef, unreadableFor(sit)
	name := fmt.Sprintf("%s %q", ref.Kind, ref.Name)
	switch {
	case out.Outcome == outcomeNothing:
		out.Notes = append(out.Notes, name+" was not read, because "+unseen)
	case out.Outcome == outcomeEnds, out.Reason == v1alpha1.ReasonSuspended:
	default:
		need := "a credential is needed"
		switch {
		case out.Outcome == outcomeRefused || out.Outcome == outcomeBlocked:
			need = "nothing more"
		case tokenstate.Active(sit.token) != nil:
			need = "the credential in use must be replaced or changed"
		}
		out.Outcome, out.Reason, out.Help = outcomeUnknown, "", ""
		out.Message = fmt.Sprintf("decided: the API server accepts the declaration; %s\nnot decided: whether %s exists, is ready, admits this namespace "+
			"and grants the access, and how; %s", need, name, unseen)
		out.Do = p.ToRead(forbiddenRead(sit), sit.unread)
	}
}

// forbiddenRead is the read that the API server rejected: of the provider, or of the
// namespace whose labels a ClusterTokenProvider selects.
func forbiddenRead(sit *situation) hint.Access {
	var status apierrors.APIStatus
	if errors.As(sit.unread, &status) {
		if d := status.Status().Details; d != nil && d.Kind == "namespaces" {
			return hint.Access{Verb: "get", Resource: "namespaces", Namespace: sit.token.Namespace}
		}
	}
	return session.ProviderAccess(sit.token)
}

func unreadableFor(sit *situation) string { return hint.Unreadable(forbiddenRead(sit), sit.unread) }
