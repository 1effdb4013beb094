package status

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/cli/view"
)

// View is an ApiToken as status shows it.
type View struct {
	Metadata view.Name `json:"metadata"`
	// Ready, Reason and Message are those of the condition Ready. Help explains the reason.
	Ready   bool   `json:"ready"`
	State   string `json:"state"`
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
	Help    string `json:"help,omitempty"`
	// Do says what to do; empty when it is ready.
	Do string `json:"whatToDo,omitempty"`
	// Problems are the other conditions that ask for attention.
	Problems     []problemView           `json:"problems,omitempty"`
	Provider     view.Provider           `json:"provider"`
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
	Credentials  []view.Credential       `json:"credentials"`
	Next         []string                `json:"next"`
}

type problemView struct {
	Condition string `json:"condition"`
	Reason    string `json:"reason"`
	Message   string `json:"message"`
	Help      string `json:"help,omitempty"`
	Do        string `json:"whatToDo"`
}

func newView(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken) (View, error) {
	now := s.Clock.Now()
	v := View{
		Metadata: view.Name{Namespace: t.Namespace, Name: t.Name}, Ready: tokenstate.Ready(t), State: tokenstate.State(t), Reason: tokenstate.Reason(t),
		Description: t.Spec.Description, Scopes: t.Spec.Scopes, Buckets: t.Spec.Buckets, Restrictions: t.Spec.Restrictions,
		Secret: t.SecretName(), ExpiresAt: t.Status.ExpiresAt, EndedBy: t.Status.ExpiryEnforcedBy, RotatesAt: tokenstate.RotatesAt(t),
		EndsAt: tokenstate.HardEnd(t), Deletion: t.Spec.DeletionPolicy, LastGap: t.Status.LastGap,
		Credentials: view.Credentials(t.Status.Credentials), Next: nextSteps(s.Hints, t, now), Problems: problems(s.Hints, t),
	}
	v.Message, v.Help = tokenstate.Message(t), v1alpha1.ReasonHelp[v.Reason]
	if !v.Ready || v.Reason != v1alpha1.ReasonReady {
		v.Do = s.WhatToDo(t, v.Reason)
	}
	var err error
	v.Provider, err = view.ProviderOf(ctx, s, t)
	return v, err
}

// problems are the conditions that say more than Ready does.
func problems(h hint.Hints, t *v1alpha1.ApiToken) []problemView {
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
			continue // Ready already says why nothing is issued
		}
		if c == nil || c.Status != wrong || r != nil && (c.Reason == r.Reason || strings.HasPrefix(r.Message, c.Message)) {
			continue
		}
		out = append(out, problemView{Condition: kind, Reason: c.Reason, Message: c.Message, Help: v1alpha1.ReasonHelp[c.Reason], Do: h.WhatToDo(t, c.Reason)})
	}
	return out
}
