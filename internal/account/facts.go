package account

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// Facts is what caches show about a provider, without a call to it or to the API server.
type Facts struct {
	// Found: it exists. Deleting: it only revokes. Ready: Object.Ready is true, and the
	// endpoint is Verified. Admitted: it admits the namespace.
	Found, Deleting, Ready, Admitted bool
	// OtherKind is set if only a provider of the other kind has the name.
	OtherKind v1alpha1.ProviderKind
	// Repairs: a credential that is missing at the provider is replaced.
	Repairs bool
	// ReadyReason and ReadyMessage explain why it is not Ready.
	ReadyReason, ReadyMessage string
	// Account of the cached connection, or the recorded account if there is no connection.
	// Compare it only with the ledgers of the provider's own ApiTokens.
	Account provider.Account
	// Verified: the declared endpoint is the one that the status records. Nothing is sent
	// to any other, and a credential that another endpoint does not show can still exist.
	// Published Secrets follow the declared endpoint and region only while it is true.
	Verified bool
	// AccountKey is the account that the server named last, for comparison with other
	// providers. If the server has not answered yet, it differs from that of every provider.
	AccountKey Identity
	// GrantableScopes of the account; empty if unknown.
	GrantableScopes []string
	// DriverType is empty and Driver nil if no driver supports the spec.
	DriverType string
	Driver     provider.Driver
	// Config without credentials, which is enough for Validate and Connection.
	Config provider.Config
	// Capabilities for the grant.
	Capabilities provider.Capabilities
}

// Recorded returns an account with the ID that it had before, at another endpoint, if it
// is the account that the status records.
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
