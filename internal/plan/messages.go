package plan

import (
	"fmt"
	"strings"

	"apitoken.dev/operator/api/v1alpha1"
)

// Anyone who can read an ApiToken can read the messages in its status. So messages name only
// objects of its own namespace, and count those of other namespaces.

// Peer is another ApiToken of the same account.
type Peer struct{ Namespace, Name string }

// peers describes other ApiTokens. It names only those in the namespace of this one.
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

// providerMessage is the message of the provider's Ready condition. For a
// ClusterTokenProvider, which can name a Secret of the operator's namespace, it is the general
// sentence for the reason instead, except for AccountBlocked, where it is the provider's text.
func (o *Observation) providerMessage() string {
	cluster := o.Token.Spec.ProviderRef.Kind == v1alpha1.KindClusterTokenProvider
	if cluster && o.Provider.Reason != v1alpha1.ReasonAccountBlocked {
		return v1alpha1.ReasonHelp[o.Provider.Reason]
	}
	return o.Provider.Message
}

// Sentences joins sentences, with or without a full stop at their end, and leaves out empty
// ones. The result ends like the last one.
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

// Called is how messages name a credential: by its id, or by its name while the id is unknown.
func Called(e *v1alpha1.LedgerEntry) string { return orElse(e.ID, e.Name) }

func orElse(s, fallback string) string {
	if strings.TrimSpace(s) == "" {
		return fallback
	}
	return s
}
