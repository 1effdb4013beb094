package account

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// Facts is what caches tell about a provider, without any call to it or to the API server.
type Facts struct {
	// Found: it exists. Deleting: it only revokes. Ready: its credentials work for
	// its current generation and its finalizer is on. Admitted: the namespace may use it.
	Found, Deleting, Ready, Admitted bool
	// OtherKind is the kind of a provider of the same name, if none of this kind exists.
	OtherKind v1alpha1.ProviderKind
	// Repairs: credentials that are missing at the provider are replaced.
	Repairs bool
	// ReadyReason and ReadyMessage say why it is not Ready.
	ReadyReason, ReadyMessage string
	// Account the kept connection belongs to; without one, the recorded account. It is
	// compared with the ledgers of the provider's own ApiTokens only.
	Account provider.Account
	// Verified: the declared endpoint is the one that the status records. At any other
	// nothing is done, and what it does not show may exist. Endpoint and region that
	// workloads get follow the declaration only while it is true.
	Verified bool
	// AccountKey is the account that the server named last, for comparing with other
	// providers; without an answer, a key that no other provider has.
	AccountKey Identity
	// GrantableScopes of the account; empty when not known.
	GrantableScopes []string
	// DriverType is empty and Driver nil when there is no driver for it.
	DriverType string
	Driver     provider.Driver
	// Config has no credentials: it is enough for Validate and Connection.
	Config provider.Config
	// Capabilities for the grant that was asked about.
	Capabilities provider.Capabilities
}

// Recorded returns an account with what earlier versions called it at another
// endpoint, if it is the one that the status records.
func (o Object) Recorded(account provider.Account) provider.Account {
	if o.Status.FormerAccount != "" && o.Status.Account == account.ID {
		account.Former = append(slices.Clone(account.Former), o.Status.FormerAccount)
	}
	return account
}

// NotReady returns the reason and message of a provider that is not Ready.
func (o Object) NotReady() (reason, message string) {
	c := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.ObservedGeneration != o.GetGeneration() || c.Status == metav1.ConditionTrue {
		return v1alpha1.ReasonProviderNotReady, fmt.Sprintf("%s has not been checked yet", o.Key())
	}
	return c.Reason, c.Message
}
