package drain

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/plan"
)

// progress writes a line for each change. It contains no secrets: credentials are named by
// their public ids.
type progress struct {
	out io.Writer
	// reported is the last state that was written of each object.
	reported map[types.UID]string
	// tokens are the names of the ApiTokens of the last read.
	tokens map[types.UID]string
	failed string
	ended  int
	kept   []string
}

func newProgress(out io.Writer) *progress {
	if out == nil {
		out = io.Discard
	}
	return &progress{out: out, reported: map[types.UID]string{}, tokens: map[types.UID]string{}}
}

func (p *progress) line(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// begin writes what the drain will do.
func (p *progress) begin(s *survey) {
	p.line("to end: %d ApiTokens with %d credentials in their ledgers, %d providers, %d Secrets held for them",
		len(s.tokens)+len(s.bare), s.live(), len(s.providers), len(s.secrets))
	for i := range s.tokens {
		if t := &s.tokens[i]; t.Spec.DeletionPolicy == v1alpha1.DeletionRetain {
			p.kept = append(p.kept, t.Namespace+"/"+t.Name)
			p.line("%s/%s has deletionPolicy: Retain: its Secret and its credentials (%s) stay, and nothing revokes them", t.Namespace, t.Name, ids(t))
		}
	}
	for _, o := range s.providers {
		name, missing := s.missing[o.Key()]
		if !missing {
			continue
		}
		p.line("%s: Secret %s with its minting credentials does not exist", o.Key(), name)
		for i := range s.tokens {
			if t := &s.tokens[i]; account.KeyFor(t) == o.Key() && t.Spec.DeletionPolicy != v1alpha1.DeletionRetain && len(t.Status.Credentials) > 0 {
				p.line("%s/%s: without them these cannot be revoked: %s", t.Namespace, t.Name, ids(t))
			}
		}
	}
}

// changed writes the changes since the last read.
func (p *progress) changed(s *survey) {
	now := make(map[types.UID]string, len(s.tokens))
	for i := range s.tokens {
		t := &s.tokens[i]
		now[t.UID] = t.Namespace + "/" + t.Name
		p.report(t.UID, now[t.UID], stateOf(t))
	}
	for uid, name := range p.tokens {
		if _, still := now[uid]; !still {
			p.ended++
			p.line("%s is gone", name)
		}
	}
	p.tokens, p.failed = now, ""
	if len(s.tokens) > 0 {
		return // providers wait for their ApiTokens
	}
	for _, o := range s.providers {
		state := "waiting for its finalizer to be removed"
		if c := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionStalled); c != nil && c.Reason != v1alpha1.ReasonCredentialsMissing {
			// Without ApiTokens nothing needs the minting credentials, which can be deleted
			// before the provider.
			state = c.Message
		}
		p.report(o.GetUID(), o.Key().String(), state)
	}
}

// report writes the state of an object if it changed.
func (p *progress) report(uid types.UID, name, state string) {
	if p.reported[uid] == state {
		return
	}
	p.reported[uid] = state
	p.line("%s: %s", name, oneLine(state))
}

func stateOf(t *v1alpha1.ApiToken) string {
	left := fmt.Sprintf("%d credentials left", len(t.Status.Credentials))
	if len(t.Status.Credentials) > 0 {
		left += " (" + ids(t) + ")"
	}
	if c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady); c != nil && t.DeletionTimestamp != nil && c.Reason != v1alpha1.ReasonReady {
		left += ": " + c.Message
	}
	return left
}

// problem writes why a read or a deletion failed, unless it failed the same way before.
func (p *progress) problem(err error) {
	if now := oneLine(err.Error()); now != p.failed {
		p.failed = now
		p.line("retrying: %s", now)
	}
}

// end writes that nothing is left.
func (p *progress) end() {
	p.line("done: nothing waits for the operator any more. %d ApiTokens are gone", p.ended)
	if len(p.kept) > 0 {
		p.line("kept by deletionPolicy: Retain, and no longer known to this cluster: %s", listed(p.kept))
	}
}

// stuck writes what is left and what to do about it.
func (p *progress) stuck(s *survey, namespace string) {
	if s == nil {
		return
	}
	for i := range s.tokens {
		t := &s.tokens[i]
		p.line("left: %s/%s, %s", t.Namespace, t.Name, oneLine(stateOf(t)))
	}
	for _, o := range s.providers {
		p.line("left: %s", o.Key())
		if name, missing := s.missing[o.Key()]; missing {
			p.line("Secret %s does not exist. Create it again with the old credentials and run the drain again.", name)
			if o.Kind == v1alpha1.KindClusterTokenProvider {
				p.line("If namespace %s is being deleted, create the Secret in another one, and give that one as --namespace.", namespace)
			}
		}
	}
	if len(s.tokens) > 0 {
		p.line("If a provider will never answer again: revoke the credentials above at the provider, set spec.deletionPolicy: Retain on their ApiTokens, and run the drain again.")
	}
}

// ids lists the provider's ids of an ApiToken's credentials.
func ids(t *v1alpha1.ApiToken) string {
	names := make([]string, 0, len(t.Status.Credentials))
	for i := range t.Status.Credentials {
		names = append(names, oneLine(plan.Called(&t.Status.Credentials[i])))
	}
	if len(names) == 0 {
		return "none"
	}
	return listed(names)
}

// oneLine removes line breaks and terminal control characters from text that others wrote.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}
