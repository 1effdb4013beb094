package observe

import (
	"errors"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// Provider returns the facts about a provider, except those about other ApiTokens of its
// account (Shared).
func Provider(t *v1alpha1.ApiToken, f *account.Facts, cluster string, now time.Time) plan.Provider {
	req := Request(t, f, cluster, "", now)
	return plan.Provider{
		Found: f.Found, OtherKind: f.OtherKind, Deleting: f.Deleting, Ready: f.Ready, Admitted: f.Admitted,
		Verified: Verified(f), Unverified: f.Found && !f.Verified, Reason: f.ReadyReason, Message: f.ReadyMessage,
		Account: f.Account.ID, Former: f.Account.Former, Capabilities: f.Capabilities, GrantableScopes: f.GrantableScopes,
		Form: Form(f, req), Repairs: f.Repairs, Refusal: Refusal(f, req),
	}
}

// Verified reports whether the provider's settings were verified. Secrets follow only
// verified settings.
func Verified(f *account.Facts) bool { return f.Driver != nil && f.Ready }

// Request returns the request to mint a credential of this name for an ApiToken.
func Request(t *v1alpha1.ApiToken, f *account.Facts, cluster, name string, now time.Time) provider.MintRequest {
	grant := plan.GrantOf(&t.Spec)
	grant.ExpiresAt = plan.ExpiryFor(&t.Spec, now, f.Capabilities.MaxLifetime)
	return provider.MintRequest{Name: name, Owner: Owner(t, cluster), Description: t.Spec.Description, Grant: grant}
}

// Owner is the owner of an ApiToken's credentials.
func Owner(t *v1alpha1.ApiToken, cluster string) provider.Owner {
	return provider.Owner{Cluster: cluster, Namespace: t.Namespace, Token: t.Name}
}

// Form returns how a user creates a manual credential; nil means that the operator mints it.
func Form(f *account.Facts, req provider.MintRequest) *provider.Form {
	driver, ok := provider.As[provider.Manual](f.Driver)
	if !ok {
		return nil
	}
	form, manual := driver.Form(f.Config, req)
	if !manual {
		return nil
	}
	return &form
}

// Refusal returns why the driver refuses a request, or nil. Any error of Validate is a
// refusal: a declaration that the driver cannot validate is not sent to the provider.
func Refusal(f *account.Facts, req provider.MintRequest) *provider.Refusal {
	checker, ok := provider.As[provider.Validator](f.Driver)
	if !ok || !f.Found {
		return nil
	}
	err := checker.Validate(f.Config, req)
	if err == nil {
		return nil
	}
	var r *provider.Refusal
	if errors.As(err, &r) {
		return r
	}
	return &provider.Refusal{Field: "spec", Value: "this declaration", Message: provider.AsError(err).Message}
}
