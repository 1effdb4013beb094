package ibee

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// problem is an error of the API.
type problem struct {
	// told: the response came from the API, not from a proxy or firewall in front of it.
	told bool
	// The values in the response, not sanitized.
	code, reason, requiredScope string
}

// problemOf decodes every form of an API error, the gateway's first
// (devs-ibee/terraform-provider-ibee, internal/provider/api_error.go, and
// devs-ibee/ibee-typescript, src/errors.ts).
func problemOf(body []byte) problem {
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		return problem{}
	}
	in := func(fields map[string]json.RawMessage, code string) problem {
		return problem{
			told: true, code: code,
			reason: text(fields, "billing_reason", "reason"), requiredScope: text(fields, "required_scope"),
		}
	}
	if code := text(top, "error"); code != "" {
		return in(top, code)
	}
	if nested := object(top["error"]); nested != nil {
		return in(nested, text(nested, "code"))
	}
	if nested := object(top["detail"]); nested != nil {
		return in(nested, text(nested, "code", "error_code", "error"))
	}
	if code := text(top, "code"); code != "" {
		return in(top, code)
	}
	// A sentence, or a list of invalid fields. Neither is shown.
	_, told := top["detail"]
	return problem{told: told}
}

// text returns the first of these fields that is a non-empty string.
func text(fields map[string]json.RawMessage, keys ...string) string {
	for _, key := range keys {
		var s string
		if json.Unmarshal(fields[key], &s) == nil && s != "" {
			return s
		}
	}
	return ""
}

func object(raw json.RawMessage) map[string]json.RawMessage {
	var out map[string]json.RawMessage
	if json.Unmarshal(raw, &out) != nil {
		return nil
	}
	return out
}

// inactive are the codes, all with status 403, of a platform API token that no longer works.
var inactive = []string{"key_revoked", "key_expired", "key_disabled", "key_inactive"}

// ended are the codes of a token that never works again. The documentation does not say
// whether key_disabled and key_inactive are permanent.
var ended = []string{"key_revoked", "key_expired"}

// unknownRoute is the gateway's code, with status 403, for a route that it does not offer.
const unknownRoute = "unknown_route"

// codes are the API's codes that are more specific than their status.
var codes = map[string]provider.Code{
	"key_revoked":             provider.CodeUnauthenticated,
	"key_expired":             provider.CodeUnauthenticated,
	"key_disabled":            provider.CodeUnauthenticated,
	"key_inactive":            provider.CodeUnauthenticated,
	"organization_restricted": provider.CodeAccountBlocked,
	unknownRoute:              provider.CodeInvalid,
}

// What a user must do, by the code of the error.
const (
	wayInactive  = "the token no longer works: create a new one in the portal and put it into the credentials Secret"
	wayWorkspace = "check spec.ibee.workspaceID, and that the token belongs to that workspace"
	wayOwner     = "the owner of the organization must lift it in the portal"
)

var ways = map[string]string{
	"key_revoked": wayInactive, "key_expired": wayInactive, "key_disabled": wayInactive, "key_inactive": wayInactive,
	"workspace_not_allowed": wayWorkspace, "workspace_id_required": wayWorkspace, "invalid_workspace_id": wayWorkspace,
	"organization_restricted": wayOwner, "organization_suspended": wayOwner,
	"insufficient_scope": "the token needs Object Storage with Admin Read & Write: create one in the portal and put it into the credentials Secret",
	"billing_denied":     "pay or correct this in the portal, under Billing",
	unknownRoute:         "check spec.ibee.endpoint",
}

// waysByStatus are what a user must do if the code is not in ways.
var waysByStatus = map[int]string{
	http.StatusUnauthorized:    wayInactive,
	http.StatusPaymentRequired: "settle it in the portal, under Billing",
	http.StatusLocked:          wayOwner,
}

// explain adds to an error what the API reports. Only the API itself can prove that it
// did not carry out a request: a rejection in another form, such as an HTML page of the
// firewall, is in doubt. Status 429 is the exception: requests are counted first.
func explain(a httpapi.Answer, e *provider.Error, token provider.Value) {
	p := problemOf(a.Body)
	if !p.told {
		e.NotExecuted = e.NotExecuted && e.Code == provider.CodeRateLimited
		if a.Fault == nil { // a fault has its own message
			e.Message += ", but not in the form of the IBEE API: check spec.ibee.endpoint, and what stands between it and the operator"
		}
		return
	}
	if a.Status == http.StatusForbidden {
		if code, ok := codes[p.code]; ok {
			e.Code = code
		}
	}
	e.Message += p.shown(token)
	way := ways[p.code]
	if way == "" {
		way = waysByStatus[a.Status]
	}
	if way != "" {
		e.Message += "; " + way
	}
}

// shown returns the API's codes in brackets. It leaves out what is not a word or contains the token.
func (p problem) shown(token provider.Value) string {
	var words []string
	for _, s := range []string{p.code, p.reason, p.requiredScope} {
		word := provider.Word(s)
		if word != "" && !strings.Contains(word, token.Reveal()) && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// unclear returns the error for a response that does not answer the question.
func unclear(message string) *provider.Error {
	return &provider.Error{Code: provider.CodeUnavailable, Message: message}
}
