package ibee

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// problem is what the API says of a request that it refused.
type problem struct {
	// told: the answer is one of the API's own, and not of something in front of it.
	told bool
	// The API's words, as they came.
	code, reason, requiredScope string
}

// problemOf reads the forms that an error of the API has, the gateway's first
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
	// A sentence, or a list of what is wrong with the fields: nothing to show.
	_, told := top["detail"]
	return problem{told: told}
}

// text returns the first of these fields that is a string with something in it.
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

// ended are those of a token that never works again. The documentation does not say
// whether key_disabled and key_inactive are for ever.
var ended = []string{"key_revoked", "key_expired"}

// unknownRoute is the gateway's code, with status 403, for a route that it does not offer.
const unknownRoute = "unknown_route"

// codes are those that say more than their status does.
var codes = map[string]provider.Code{
	"key_revoked":             provider.CodeUnauthenticated,
	"key_expired":             provider.CodeUnauthenticated,
	"key_disabled":            provider.CodeUnauthenticated,
	"key_inactive":            provider.CodeUnauthenticated,
	"organization_restricted": provider.CodeAccountBlocked,
	unknownRoute:              provider.CodeInvalid,
}

// The ways out, by the code of the error.
const (
	wayInactive  = "the token no longer works: make a new one in the portal and put it into the credentials Secret"
	wayWorkspace = "check spec.ibee.workspaceID, and that the token is of that workspace"
	wayOwner     = "the owner of the organization has to lift it in the portal"
)

var ways = map[string]string{
	"key_revoked": wayInactive, "key_expired": wayInactive, "key_disabled": wayInactive, "key_inactive": wayInactive,
	"workspace_not_allowed": wayWorkspace, "workspace_id_required": wayWorkspace, "invalid_workspace_id": wayWorkspace,
	"organization_restricted": wayOwner, "organization_suspended": wayOwner,
	"insufficient_scope": "give the token Object Storage with Admin Read & Write: make such a one in the portal",
	"billing_denied":     "settle in the portal, under Billing, what it names",
	unknownRoute:         "check spec.ibee.endpoint",
}

// waysByStatus are for errors whose code says nothing.
var waysByStatus = map[int]string{
	http.StatusUnauthorized:    wayInactive,
	http.StatusPaymentRequired: "settle it in the portal, under Billing",
	http.StatusLocked:          wayOwner,
}

// explain refines an error by what the API says. Only the API itself can say
// that it did not carry out a request: a refusal in another form, such as a
// page of the firewall, leaves that in doubt, except that too many requests
// are counted before anything else.
func explain(a httpapi.Answer, e *provider.Error, token provider.Value) {
	p := problemOf(a.Body)
	if !p.told {
		e.NotExecuted = e.NotExecuted && e.Code == provider.CodeRateLimited
		if a.Fault == nil { // it says so itself
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

// shown returns the API's own words in brackets, as far as they are words and not the token.
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

// unclear is an answer that leaves open what is.
func unclear(message string) *provider.Error {
	return &provider.Error{Code: provider.CodeUnavailable, Message: message}
}
