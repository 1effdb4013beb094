package plan

import (
	"fmt"
	"strings"

	"apitoken.dev/operator/api/v1alpha1"
)

// A message stands in the status of an ApiToken, where anyone who can read that
// ApiToken reads it. So it names objects of its own namespace only; what belongs
// to other namespaces is counted.

// Peer is another ApiToken at the same account.
type Peer struct{ Namespace, Name string }

// peers describes other ApiTokens as a reader of this one may see them.
func (o *Observation) peers(all []Peer) string {
	var names []string
	others := 0
	for _, p := range all {
		if p.Namespace == o.Token.Namespace {
			names = append(names, p.Name)
		} else {
			others++
		}
	}
	var parts []string
	switch len(names) {
	case 0:
	case 1:
		parts = append(parts, "ApiToken "+names[0])
	default:
		parts = append(parts, "the ApiTokens "+strings.Join(names, ", "))
	}
	if others > 0 {
		parts = append(parts, counted(others, "ApiToken of another namespace", "ApiTokens of other namespaces"))
	}
	return strings.Join(parts, " and ")
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// providerMessage is what the provider's own Ready condition says. That of a
// ClusterTokenProvider can name a Secret of the operator's namespace, so the
// sentence for its reason is passed on instead, except where the message has what
// the provider itself said of the account.
func (o *Observation) providerMessage() string {
	cluster := o.Token.Spec.ProviderRef.Kind == v1alpha1.KindClusterTokenProvider
	if cluster && o.Provider.Reason != v1alpha1.ReasonAccountBlocked {
		return v1alpha1.ReasonHelp[o.Provider.Reason]
	}
	return o.Provider.Message
}

// Sentences joins sentences, each of which may end with a full stop or not. The result ends
// as the last one does; empty ones are left out.
func Sentences(all ...string) string {
	var out string
	for _, s := range all {
		switch {
		case s == "":
		case out == "":
			out = s
		default:
			out = strings.TrimRight(out, ". ") + ". " + s
		}
	}
	return out
}

// Called is how a message names a credential: by its id, or by its name until the
// provider has shown the id.
func Called(e *v1alpha1.LedgerEntry) string { return orElse(e.ID, e.Name) }

func orElse(s, fallback string) string {
	if strings.TrimSpace(s) == "" {
		return fallback
	}
	return s
}
