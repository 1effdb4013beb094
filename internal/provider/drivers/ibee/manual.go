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

// eligibilityPath asks whether the organization may buy. It changes nothing and
// needs the permission to read billing, and no other
// (devs-ibee/terraform-provider-ibee, internal/provider/billing.go).
const eligibilityPath = "/billing/resource-eligibility"

// handPrefix begins the id of a platform API token, which has none at the API.
const handPrefix = "portal-"

// maxPortalName is the longest name of an S3 credential in the vendor's clients,
// taken over for tokens, of which no limit is known.
const maxPortalName = 100

func isManual(id string) bool { return strings.HasPrefix(id, handPrefix) }

// handID returns an id that says nothing of the token.
func handID(token provider.Value) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return handPrefix + hex.EncodeToString(sum[:])[:12]
}

// portalOf is where a workspace's tokens are (ibee.ai/docs/tools/api-tokens).
func portalOf(workspaceID string) string {
	return "https://portal.ibee.ai/a/" + workspaceID + "/api-tokens (Tools, API Tokens)"
}

func (c *client) portal() string { return portalOf(c.workspace) }

// Form implements provider.Manual, in the words of the portal's dialog
// (ibee.ai/docs/tools/api-tokens, "Enter token details" and "Set permissions").
// Its number of days depends on the day it is filled in, so the end is given.
func (*Driver) Form(cfg provider.Config, req provider.MintRequest) (form provider.Form, ok bool) {
	settings, err := settingsOf(cfg)
	if err != nil || !billingOnly(req.Grant) {
		return provider.Form{}, false
	}
	owner := req.Owner.Namespace + "/" + req.Owner.Token
	end := req.Grant.ExpiresAt.UTC().Format(time.DateOnly)
	name := owner[:min(len(owner), maxPortalName-len(" until "+end))] + " until " + end
	description := "made by hand for the ApiToken " + owner
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
		// Its end may have been another one when it was made.
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

// takeOver checks a platform API token that a user made: it must open what
// was declared, and not object storage as well.
func (c *client) takeOver(ctx context.Context, req provider.MintRequest) (provider.Minted, error) {
	token := req.Submitted[KeyToken]
	if !sendable(token) || len(req.Submitted) != 1 {
		return provider.Minted{}, provider.Invalid(scopeBillingReadOnly + " is granted by a token that a person makes at " + c.portal() +
			": hand it over under the key " + KeyToken + " alone, without a blank or a line break")
	}
	accepted, err := c.reads(ctx, token)
	if err != nil {
		return provider.Minted{}, err
	}
	if !accepted {
		return provider.Minted{}, provider.Invalid("the token that was handed over does not work: make a new one at " + c.portal())
	}
	if err := c.refuseWider(ctx, token); err != nil {
		return provider.Minted{}, err
	}
	return provider.Minted{
		Credential: provider.Credential{Name: req.Name, ID: handID(token), State: provider.Live},
		Secret:     map[string]provider.Value{KeyToken: token},
	}, nil
}

// reads reports whether a token reads billing; false means that it is no token, or has
// ended. Anything else is an error, such as a token without this permission, or one
// that is switched off.
func (c *client) reads(ctx context.Context, token provider.Value) (bool, error) {
	var decision struct {
		Allowed *bool `json:"allowed"`
	}
	answer, err := c.callAs(ctx, token, httpapi.Request{
		What: "ask about billing with the token that was handed over", Method: http.MethodPost, Path: eligibilityPath,
		Body: struct{}{}, Into: &decision,
	})
	p := problemOf(answer.Body)
	switch {
	case err == nil && decision.Allowed == nil:
		return false, unclear("could not check the token that was handed over: the provider answered with something else than a decision on billing")
	case err == nil: // whether the organization may buy is no matter of the token
		return true, nil
	case answer.Status == http.StatusUnauthorized && p.told, answer.Status == http.StatusForbidden && slices.Contains(ended, p.code):
		return false, nil
	case answer.Status == http.StatusForbidden && slices.Contains(inactive, p.code):
		return false, provider.Invalid("the token is switched off (" + p.code + "), and may be switched on again: revoke it in the portal, " + c.portal())
	case answer.Status == http.StatusForbidden && p.code == "insufficient_scope":
		return false, provider.Invalid("the token that was handed over may not read billing: make one with Billing, Read only, at " + c.portal())
	}
	return false, err
}

// refuseWider returns an error unless object storage refuses the token.
func (c *client) refuseWider(ctx context.Context, token provider.Value) error {
	answer, err := c.callAs(ctx, token, httpapi.Request{
		What: "see that the token that was handed over does not open object storage", Method: http.MethodGet, Path: credentialsPath,
	})
	p := problemOf(answer.Body)
	refused := answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden
	switch {
	case err == nil:
		return provider.Invalid("the token that was handed over opens object storage as well, which was not declared: " +
			"revoke it, and make one with Billing alone at " + c.portal())
	case refused && p.told && !slices.Contains(inactive, p.code):
		return nil
	}
	return err
}

// Accepts implements provider.Prober for tokens. Object storage is not asked:
// the vendor's own test of a fresh S3 credential was denied for a reason that it
// could not find (LIVE_STORAGE_RESULTS.md of devs-ibee/terraform-provider-ibee),
// so a denial would prove nothing.
func (c *client) Accepts(ctx context.Context, secret map[string]provider.Value, _ provider.Grant) (bool, error) {
	token, ok := secret[KeyToken]
	if !ok {
		return false, provider.Invalid("the data plane of IBEE is not asked about S3 credentials: the list of credentials tells")
	}
	if !sendable(token) {
		return false, provider.Invalid("the key " + KeyToken + " holds no token")
	}
	return c.reads(ctx, token)
}
