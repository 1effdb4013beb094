package ibee

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// eligibilityPath returns whether the organization may buy resources. It changes nothing
// and needs only the permission to read billing
// (devs-ibee/terraform-provider-ibee, internal/provider/billing.go).
const eligibilityPath = "/billing/resource-eligibility"

// handPrefix begins the id of a platform API token. The API has no id for it.
const handPrefix = "portal-"

// maxPortalName is the longest name of an S3 credential in the vendor's clients. The
// limit for tokens is not documented; this one is used for them, too.
const maxPortalName = 100

func isManual(id string) bool { return strings.HasPrefix(id, handPrefix) }

// handID returns an id that does not reveal the token.
func handID(token provider.Value) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return handPrefix + hex.EncodeToString(sum[:])[:12]
}

// portalOf is the page of a workspace's tokens (ibee.ai/docs/tools/api-tokens).
func portalOf(workspaceID string) string {
	return "https://portal.ibee.ai/a/" + workspaceID + "/api-tokens (Tools, API Tokens)"
}

func (c *client) portal() string { return portalOf(c.workspace) }

// Form implements provider.Manual, with the labels of the portal's dialog
// (ibee.ai/docs/tools/api-tokens, "Enter token details" and "Set permissions").
// The number of days depends on the day when the user fills it in, so the form gives the
// end date.
func (*Driver) Form(cfg provider.Config, req provider.MintRequest) (form provider.Form, ok bool) {
	settings, err := settingsOf(cfg)
	if err != nil || !billingOnly(req.Grant) {
		return provider.Form{}, false
	}
	owner := req.Owner.Namespace + "/" + req.Owner.Token
	end := req.Grant.ExpiresAt.UTC().Format(time.DateOnly)
	name := owner[:min(len(owner), maxPortalName-len(" until "+end))] + " until " + end
	description := "for the ApiToken " + owner
	if req.Description != "" {
		description += ": " + req.Description
	}
	return provider.Form{
		Where: portalOf(settings.WorkspaceID) + ", + Create Token",
		Fields: []provider.FormField{
			{Label: "Name", Value: name},
			{Label: "Description", Value: description},
			{Label: "Expires In (days)", Value: "the days from today to " + end + " (UTC), no more, between 1 and 365"},
			{Label: "Billing", Value: "checked, with Read only"},
			{Label: "Object Storage", Value: "not checked"},
		},
		Keys: []string{KeyToken},
		// The name may have another end date: that of the day when the token was created.
		Revoke: portalOf(settings.WorkspaceID) + ", Revoke in the column Actions; of several tokens whose name begins with " + owner + ", the oldest",
	}, true
}

// KeyID implements provider.Manual. A token has no id of its own; a hash stands for it.
func (*Driver) KeyID(secret map[string]provider.Value) string {
	token, ok := secret[KeyToken]
	if !ok || token.Empty() {
		return ""
	}
	return handID(token)
}

// takeOver checks a submitted platform API token: it must read billing, and must not
// grant access to object storage.
func (c *client) takeOver(ctx context.Context, req provider.MintRequest) (provider.Minted, error) {
	token := req.Submitted[KeyToken]
	if !sendable(token) || len(req.Submitted) != 1 {
		return provider.Minted{}, provider.Invalid(scopeBillingReadOnly + " is granted by a token that a user creates at " + c.portal() +
			": submit it under the key " + KeyToken + " alone, without a space or a line break")
	}
	accepted, err := c.reads(ctx, token)
	if err != nil {
		return provider.Minted{}, err
	}
	if !accepted {
		return provider.Minted{}, provider.Invalid("the submitted token does not work: create a new one at " + c.portal())
	}
	if err := c.refuseWider(ctx, token); err != nil {
		return provider.Minted{}, err
	}
	return provider.Minted{
		Credential: provider.Credential{Name: req.Name, ID: handID(token), State: provider.Live},
		Secret:     map[string]provider.Value{KeyToken: token},
	}, nil
}

// reads reports whether a token can read billing; false means that the token is unknown,
// revoked or expired. Anything else is an error, such as a token without this permission,
// or a disabled one.
func (c *client) reads(ctx context.Context, token provider.Value) (bool, error) {
	var decision struct {
		Allowed *bool `json:"allowed"`
	}
	answer, err := c.callAs(ctx, token, httpapi.Request{
		What: "read billing with the submitted token", Method: http.MethodPost, Path: eligibilityPath,
		Body: struct{}{}, Into: &decision,
	})
	p := problemOf(answer.Body)
	switch {
	case err == nil && decision.Allowed == nil:
		return false, unclear("could not check the submitted token: the provider answered without a decision on billing")
	case err == nil: // the decision does not matter: it is about the organization, not the token
		return true, nil
	case answer.Status == http.StatusUnauthorized && p.told, answer.Status == http.StatusForbidden && slices.Contains(ended, p.code):
		return false, nil
	case answer.Status == http.StatusForbidden && slices.Contains(inactive, p.code):
		return false, provider.Invalid("the token is disabled (" + p.code + ") and can be enabled again: revoke it in the portal, " + c.portal())
	case answer.Status == http.StatusForbidden && p.code == "insufficient_scope":
		return false, provider.Invalid("the submitted token cannot read billing: create one with Billing, Read only, at " + c.portal())
	}
	return false, err
}

// refuseWider returns an error unless the API denies the token access to object storage.
func (c *client) refuseWider(ctx context.Context, token provider.Value) error {
	answer, err := c.callAs(ctx, token, httpapi.Request{
		What: "check that the submitted token has no access to object storage", Method: http.MethodGet, Path: credentialsPath,
	})
	p := problemOf(answer.Body)
	refused := answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden
	switch {
	case err == nil:
		return provider.Invalid("the submitted token also grants access to object storage, which was not declared: " +
			"revoke it, and create one with Billing alone at " + c.portal())
	case refused && p.told && !slices.Contains(inactive, p.code):
		return nil
	}
	return err
}

// Accepts implements provider.Prober for tokens. It does not check S3 credentials:
// in the vendor's own test, a new S3 credential was denied for an unknown reason (LIVE_STORAGE_RESULTS.md of devs-ibee/terraform-provider-ibee),
// so a denial proves nothing.
func (c *client) Accepts(ctx context.Context, secret map[string]provider.Value, _ provider.Grant) (bool, error) {
	token, ok := secret[KeyToken]
	if !ok {
		return false, provider.Invalid("the data plane of IBEE cannot check S3 credentials; use the list of credentials")
	}
	if !sendable(token) {
		return false, provider.Invalid("the key " + KeyToken + " holds no token")
	}
	return c.reads(ctx, token)
}
