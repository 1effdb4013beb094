// Package view has the parts of an ApiToken that status and tree both show.
package view

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/provider/registry"
)

// driverOf is the type of the driver that serves a provider; empty if the driver is unknown.
func driverOf(a *session.App, o account.Object) string {
	driver, _, err := a.Registry.Resolve(registry.Spec{ProviderSpec: o.Spec})
	if err != nil {
		return ""
	}
	return driver.Type()
}

// Sentence describes the provider on one line.
func (p *Provider) Sentence() string {
	parts := []string{string(p.Kind) + " " + p.Name}
	if p.Driver != "" {
		parts = append(parts, p.Driver)
	}
	if p.Account != "" {
		parts = append(parts, "account "+p.Account)
	}
	switch {
	case p.Ready == "True":
		parts = append(parts, "ready")
	case p.Reason != "":
		parts = append(parts, "not ready: "+p.Reason)
	case p.Message != "":
		parts = append(parts, p.Message)
	default:
		parts = append(parts, "not checked yet")
	}
	return strings.Join(parts, ", ")
}

// Name is the metadata of a view.
type Name struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// Provider is the provider of an ApiToken.
type Provider struct {
	Kind    v1alpha1.ProviderKind `json:"kind"`
	Name    string                `json:"name"`
	Driver  string                `json:"driver,omitempty"`
	Account string                `json:"account,omitempty"`
	Ready   string                `json:"ready"`
	Reason  string                `json:"reason,omitempty"`
	Message string                `json:"message,omitempty"`
	// Unread: it could not be looked at, and may be there.
	Unread bool `json:"unread,omitempty"`
	// Minting is the Secret with its minting credentials; nil: none is known.
	Minting *Name `json:"-"`
}

// Credential is an entry of a ledger.
type Credential struct {
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

// Shown is the state, with the drift at the provider if there is one.
func (c *Credential) Shown() string {
	if c.Drift == "" {
		return string(c.State)
	}
	return fmt.Sprintf("%s (%s)", c.State, c.Drift)
}

// ProviderOf reads the provider of an ApiToken. One that the user may not read is no error.
func ProviderOf(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken) (Provider, error) {
	v := Provider{Kind: t.Spec.ProviderRef.Kind, Name: t.Spec.ProviderRef.Name, Ready: string(metav1.ConditionUnknown)}
	var failed error
	s.Provider(ctx, t).Switch(func(o account.Object) {
		v.Account, v.Driver = o.Status.Account, driverOf(s.App, o)
		if c := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady); c != nil {
			v.Ready, v.Reason, v.Message = string(c.Status), c.Reason, c.Message
		}
		if o.HasCredentials() {
			v.Minting = &Name{Namespace: o.GetNamespace(), Name: o.Spec.CredentialsSecretRef.Name}
		}
	}, func() { v.Message = "does not exist" }, func(err error) {
		v.Message, v.Unread = "could not be read: "+hint.Unreadable(session.ProviderAccess(t), err), true
		if !reading.Forbidden(err) {
			failed = err
		}
	})
	return v, failed
}

// Credentials are the entries of a ledger, in its order.
func Credentials(ledger []v1alpha1.LedgerEntry) []Credential {
	out := make([]Credential, 0, len(ledger))
	for i := range ledger {
		e := &ledger[i]
		out = append(out, Credential{Name: e.Name, ID: e.ID, State: e.State, Drift: e.Drift, Reason: e.Reason, Account: e.Account, ByHand: e.ByHand,
			IssuedAt: e.IssuedAt, ExpiresAt: e.ExpiresAt, RetireAt: e.RetireAt})
	}
	return out
}
