package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/plan"
)

// nameView is the metadata of a view.
type nameView struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// tokenView is an ApiToken as status shows it.
type tokenView struct {
	Metadata nameView `json:"metadata"`
	// Ready, Reason and Message say how it is doing; Help what that means.
	Ready   bool   `json:"ready"`
	State   string `json:"state"`
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
	Help    string `json:"help,omitempty"`
	// Do says what to do; empty when it is ready.
	Do string `json:"whatToDo,omitempty"`
	// Problems are the other conditions that ask for attention.
	Problems     []problemView           `json:"problems,omitempty"`
	Provider     providerView            `json:"provider"`
	Description  string                  `json:"description,omitempty"`
	Scopes       []v1alpha1.Scope        `json:"scopes"`
	Buckets      []v1alpha1.Bucket       `json:"buckets,omitempty"`
	Restrictions v1alpha1.Restrictions   `json:"restrictions,omitzero"`
	Secret       string                  `json:"secret"`
	ExpiresAt    *metav1.Time            `json:"expiresAt,omitempty"`
	EndedBy      string                  `json:"expiryEnforcedBy,omitempty"`
	RotatesAt    *metav1.Time            `json:"rotatesAt,omitempty"`
	EndsAt       *metav1.Time            `json:"accessEndsAt,omitempty"`
	Deletion     v1alpha1.DeletionPolicy `json:"deletionPolicy,omitempty"`
	LastGap      string                  `json:"lastGap,omitempty"`
	Credentials  []credentialView        `json:"credentials"`
	Next         []string                `json:"next"`
}

type problemView struct {
	Condition string `json:"condition"`
	Reason    string `json:"reason"`
	Message   string `json:"message"`
	Help      string `json:"help,omitempty"`
	Do        string `json:"whatToDo"`
}

type providerView struct {
	Kind    v1alpha1.ProviderKind `json:"kind"`
	Name    string                `json:"name"`
	Driver  string                `json:"driver,omitempty"`
	Account string                `json:"account,omitempty"`
	Ready   string                `json:"ready"`
	Reason  string                `json:"reason,omitempty"`
	Message string                `json:"message,omitempty"`
	// Unread: it could not be looked at, and may be there.
	Unread bool `json:"unread,omitempty"`
	// minting is the Secret with its minting credentials; nil: none is known.
	minting *nameView
}

type credentialView struct {
	Name      string                   `json:"name"`
	ID        string                   `json:"id,omitempty"`
	State     v1alpha1.CredentialState `json:"state"`
	Drift     v1alpha1.CredentialDrift `json:"drift,omitempty"`
	Reason    string                   `json:"reason,omitempty"`
	Account   string                   `json:"account,omitempty"`
	ByHand    bool                     `json:"byHand,omitempty"`
	IssuedAt  *metav1.Time             `json:"issuedAt,omitempty"`
	ExpiresAt *metav1.Time             `json:"expiresAt,omitempty"`
	RetireAt  *metav1.Time             `json:"retireAt,omitempty"`
}

// shown is the state, with the drift at the provider if there is one.
func (c *credentialView) shown() string {
	if c.Drift == "" {
		return string(c.State)
	}
	return fmt.Sprintf("%s (%s)", c.State, c.Drift)
}

// The states of a view.
const (
	stateReady       = "Ready"
	stateProgressing = "Progressing"
	stateStalled     = "Stalled"
	stateWaiting     = "Waiting"
)

func (s *session) tokenView(ctx context.Context, t *v1alpha1.ApiToken) (tokenView, error) {
	now := s.Clock.Now()
	v := tokenView{
		Metadata: nameView{Namespace: t.Namespace, Name: t.Name}, Ready: ready(t), State: stateOf(t), Reason: reasonOf(t),
		Description: t.Spec.Description, Scopes: t.Spec.Scopes, Buckets: t.Spec.Buckets, Restrictions: t.Spec.Restrictions,
		Secret: t.SecretName(), ExpiresAt: t.Status.ExpiresAt, EndedBy: t.Status.ExpiryEnforcedBy, RotatesAt: rotatesAt(t),
		EndsAt: hardEnd(t), Deletion: t.Spec.DeletionPolicy, LastGap: t.Status.LastGap,
		Credentials: credentialViews(t.Status.Credentials), Next: s.nextSteps(t, now), Problems: s.problems(t),
	}
	v.Message, v.Help = messageOf(t), v1alpha1.ReasonHelp[v.Reason]
	if !v.Ready || v.Reason != v1alpha1.ReasonReady {
		v.Do = s.whatToDo(t, v.Reason)
	}
	var err error
	v.Provider, err = s.providerView(ctx, t)
	return v, err
}

func stateOf(t *v1alpha1.ApiToken) string {
	switch {
	case ready(t):
		return stateReady
	case meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionStalled):
		return stateStalled
	case meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionReconciling):
		return stateProgressing
	default:
		return stateWaiting
	}
}

func messageOf(t *v1alpha1.ApiToken) string {
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.ObservedGeneration != t.Generation && t.DeletionTimestamp.IsZero() {
		return ""
	}
	return c.Message
}

// problems are the conditions that Ready does not speak of already.
func (h hints) problems(t *v1alpha1.ApiToken) []problemView {
	r := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
	var out []problemView
	for _, kind := range []string{
		v1alpha1.ConditionActionRequired, v1alpha1.ConditionDrifted, v1alpha1.ConditionStalled, v1alpha1.ConditionReconciling, v1alpha1.ConditionPublished,
	} {
		c := meta.FindStatusCondition(t.Status.Conditions, kind)
		wrong := metav1.ConditionTrue
		if kind == v1alpha1.ConditionPublished {
			wrong = metav1.ConditionFalse
		}
		if kind == v1alpha1.ConditionPublished && c != nil && c.Reason == v1alpha1.ReasonNotIssued {
			continue // Ready says why nothing is issued, and to wait for it is no advice
		}
		if c == nil || c.Status != wrong || r != nil && (c.Reason == r.Reason || strings.HasPrefix(r.Message, c.Message)) {
			continue
		}
		out = append(out, problemView{Condition: kind, Reason: c.Reason, Message: c.Message, Help: v1alpha1.ReasonHelp[c.Reason], Do: h.whatToDo(t, c.Reason)})
	}
	return out
}

func (s *session) providerView(ctx context.Context, t *v1alpha1.ApiToken) (providerView, error) {
	v := providerView{Kind: t.Spec.ProviderRef.Kind, Name: t.Spec.ProviderRef.Name, Ready: string(metav1.ConditionUnknown)}
	var failed error
	s.provider(ctx, t).Switch(func(o account.Object) {
		v.Account, v.Driver = o.Status.Account, s.driverOf(o)
		if c := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady); c != nil {
			v.Ready, v.Reason, v.Message = string(c.Status), c.Reason, c.Message
		}
		if o.HasCredentials() {
			v.minting = &nameView{Namespace: o.GetNamespace(), Name: o.Spec.CredentialsSecretRef.Name}
		}
	}, func() { v.Message = "does not exist" }, func(err error) {
		v.Message, v.Unread = "could not be read: "+unreadable(providerAccess(t), err), true
		if !reading.Forbidden(err) {
			failed = err
		}
	})
	return v, failed
}

func credentialViews(ledger []v1alpha1.LedgerEntry) []credentialView {
	out := make([]credentialView, 0, len(ledger))
	for i := range ledger {
		e := &ledger[i]
		out = append(out, credentialView{Name: e.Name, ID: e.ID, State: e.State, Drift: e.Drift, Reason: e.Reason, Account: e.Account, ByHand: e.ByHand,
			IssuedAt: e.IssuedAt, ExpiresAt: e.ExpiresAt, RetireAt: e.RetireAt})
	}
	return out
}

// hardEnd is spec.expiresAt; nil if it is absent or cannot be read, which the message says.
func hardEnd(t *v1alpha1.ApiToken) *metav1.Time {
	end, err := t.Spec.HardEnd()
	if err != nil || end.IsZero() {
		return nil
	}
	return &metav1.Time{Time: end}
}

// nextSteps says what happens next, in the order of time.
func (h hints) nextSteps(t *v1alpha1.ApiToken, now time.Time) []string {
	if !t.DeletionTimestamp.IsZero() {
		return []string{deletionStep(t)}
	}
	var out []string
	for i := range t.Status.Credentials {
		if step := entryStep(&t.Status.Credentials[i], now); step != "" {
			out = append(out, step)
		}
	}
	if r := t.Status.Retry; r != nil && now.Before(r.NotBefore.Time) && !t.Spec.Suspend {
		out = append(out, "the next attempt starts "+at(r.NotBefore.DeepCopy(), now))
	}
	out = append(out, h.rotationSteps(t, now)...)
	if end := hardEnd(t); end != nil && now.Before(end.Time) {
		out = append(out, at(end, now)+": access ends for good (spec.expiresAt): the Secret is deleted"+endsToo(t))
	}
	return out
}

func deletionStep(t *v1alpha1.ApiToken) string {
	if t.Spec.DeletionPolicy == v1alpha1.DeletionRetain {
		return "the ApiToken goes, and nothing is revoked: a Secret and live credentials that it has stay (deletionPolicy: Retain)"
	}
	if slices.ContainsFunc(t.Status.Credentials, func(e v1alpha1.LedgerEntry) bool { return e.ByHand && !e.Gone }) {
		return "a person is asked to delete each credential in the ledger that a person made, and every other one is revoked; then the ApiToken goes"
	}
	return "every credential in the ledger is revoked and seen gone; then the ApiToken goes"
}

// endsToo says what becomes of the credential in use at the hard end.
func endsToo(t *v1alpha1.ApiToken) string {
	if e := activeOf(t); e != nil {
		return ", and " + endOf(e)
	}
	return ""
}

func entryStep(e *v1alpha1.LedgerEntry, now time.Time) string {
	switch e.State {
	case v1alpha1.StateMinting, v1alpha1.StateAbandoned:
		return "attempt " + e.Name + " is resolved: taken over if the Secret holds it, else revoked"
	case v1alpha1.StateRetiring:
		if e.RetireAt == nil || !now.Before(e.RetireAt.Time) {
			return "now: " + endOf(e) + ", and leaves the ledger when the provider shows it no longer, or as ended"
		}
		return at(e.RetireAt, now) + ": " + endOf(e)
	case v1alpha1.StateActive:
		return ""
	}
	return "nothing, while " + e.Name + " is in a state that this version does not know: " + string(e.State)
}

// endOf says who ends a credential: the operator, or a person whom it asks.
func endOf(e *v1alpha1.LedgerEntry) string {
	if e.ByHand {
		return "a person is asked to delete " + keyOf(e)
	}
	return keyOf(e) + " is revoked"
}

// notReplacedSteps says when the credential in use ends, where something is in the way of
// another one.
func notReplacedSteps(t *v1alpha1.ApiToken, e *v1alpha1.LedgerEntry, now time.Time) []string {
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionStalled)
	if c == nil || c.Status != metav1.ConditionTrue || e.ExpiresAt == nil || !now.Before(e.ExpiresAt.Time) || hardEnd(t) != nil {
		return nil
	}
	return []string{at(e.ExpiresAt, now) + ": " + keyOf(e) + " ends, and nothing replaces it until somebody acts (" + c.Reason + ")"}
}

func (h hints) rotationSteps(t *v1alpha1.ApiToken, now time.Time) []string {
	e := activeOf(t)
	switch {
	case t.Spec.Suspend:
		return []string{"nothing is issued or rotated while spec.suspend is true: " + h.pluginCommand(t.Namespace, "resume", t.Name)}
	case e == nil:
		return nil
	case t.Status.RotatesAt == nil:
		return notReplacedSteps(t, e, now)
	}
	verb := "a new credential is issued and published"
	if e.ByHand {
		verb = "a person is asked for a new credential"
	}
	out := []string{at(t.Status.RotatesAt, now) + ": " + verb}
	if t.Spec.Rotation.Strategy == v1alpha1.RevokeFirst {
		return append(out, "  where the account has no room for both, "+keyOf(e)+" is revoked first, and there is a gap")
	}
	if t.Annotations[v1alpha1.AnnotationEnd] == e.Name {
		return append(out, "  then "+endOf(e)+" without an overlap: the annotation "+v1alpha1.AnnotationEnd+" names it")
	}
	if overlap := t.Status.Effective.Overlap; overlap != "" {
		if d, err := time.ParseDuration(overlap); err == nil {
			overlap = plan.Short(d)
		}
		out = append(out, "  "+overlap+" later "+endOf(e))
	}
	return out
}
