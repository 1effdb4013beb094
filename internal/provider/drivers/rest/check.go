package rest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
)

// check refuses declarations that cannot work, and those that would ignore a part of a grant
// and so grant more access than was declared.
func (p *program) check() error {
	for _, rule := range []func() string{p.needed, p.named, p.limits, p.grants, p.expiry, p.updates} {
		if says := rule(); says != "" {
			return provider.Invalid(says)
		}
	}
	return p.sample()
}

// needed returns an error text for a required field that is missing, or "".
func (p *program) needed() string {
	s := p.settings
	for _, needed := range []struct {
		field string
		set   bool
	}{
		{"spec.rest.credential.id", p.id != nil},
		{"spec.rest.credential.name", p.name != nil},
		{"spec.rest.list.items", p.items != nil},
		{"spec.rest.mint.secret", len(p.secret) > 0},
		{"spec.rest.account.id", s.Account == nil || p.accountID != nil},
		{"spec.rest.update.applied", s.Update == nil || p.applied != nil},
	} {
		if !needed.set {
			return needed.field + " is missing"
		}
	}
	for key, e := range p.secret {
		if e == nil {
			return "spec.rest.mint.secret[" + key + "] is empty; write where the answer has it, such as item.token"
		}
	}
	return ""
}

// named checks that a credential gets its name, and that requests identify the credential.
func (p *program) named() string {
	switch {
	case !p.mint.reads[fieldName]:
		return "spec.rest.mint does not send .name: a credential without its name cannot be found again"
	case p.mint.method == http.MethodGet:
		return "spec.rest.mint.method: GET is not allowed, because a GET request can be repeated, and the request that mints must never be"
	}
	for _, c := range []*call{p.revoke, p.get, p.update} {
		if c != nil && !c.reads[fieldID] && !c.reads[fieldName] {
			return c.field + " sends neither .id nor .name: it does not say which credential is meant"
		}
	}
	if p.probe != nil && !p.probe.reads[fieldSecret] {
		return "spec.rest.probe does not send .secret: it does not test the credential"
	}
	return ""
}

func (p *program) limits() string {
	l := p.settings.Limits
	if l.Name != 0 && l.Name < credname.MinLength {
		return fmt.Sprintf("spec.rest.limits.name: %d is too short: names of this operator need %d characters; raise it if the vendor takes them", l.Name, credname.MinLength)
	}
	if l.Name < 0 || l.Live < 0 || l.Listed < 0 || l.Scopes < 0 || l.Buckets < 0 {
		return "spec.rest.limits: a limit must not be negative; leave it out if the vendor has no limit"
	}
	if l.Listed > 0 && p.get == nil {
		return "spec.rest.limits.listed: get is missing; a credential that the list no longer shows is asked for by its id"
	}
	return ""
}

// grants checks that every declared field is sent: a field that is not sent limits nothing.
func (p *program) grants() string {
	s := p.settings
	if !p.mint.reads[fieldScopes] && !p.mint.reads[fieldPermissions] && len(s.Scopes) != 1 {
		return "spec.rest.mint sends neither .permissions nor .scopes: every credential would get the same rights. Send them, or list in scopes the one scope that all have"
	}
	for i, field := range fields(s.Narrows) {
		if !slices.Contains([]provider.Field{provider.FieldBuckets, provider.FieldAllowedIPs, provider.FieldDeniedIPs, provider.FieldSubaccounts}, field) {
			return fmt.Sprintf("spec.rest.narrows[%d]: %q is not one of buckets, allowedIPs, deniedIPs and subaccounts", i, field)
		}
		if !p.mint.reads[string(field)] {
			return fmt.Sprintf("spec.rest.narrows[%d]: spec.rest.mint does not send .%s, so it would be ignored", i, field)
		}
	}
	for word, code := range s.Error.Codes {
		if !slices.Contains(codes, provider.Code(code)) {
			return fmt.Sprintf("spec.rest.error.codes[%s]: %q is not one of %s", word, code, join(codes))
		}
	}
	return ""
}

// codes are the meanings that a vendor's word can have.
var codes = []provider.Code{
	provider.CodeUnauthenticated, provider.CodePermissionDenied, provider.CodeInvalid,
	provider.CodeQuota, provider.CodeAccountBlocked, provider.CodeRateLimited, provider.CodeUnavailable,
}

func join[T ~string](list []T) string {
	var out []string
	for _, one := range list {
		out = append(out, string(one))
	}
	return strings.Join(out, ", ")
}

func (p *program) expiry() string {
	switch {
	case !byProvider(p.settings):
		return ""
	case !p.mint.reads[fieldExpiresAt]:
		return "spec.rest.expiry.enforcedBy: spec.rest.mint does not send .expiresAt, so the provider cannot enforce it; send it, or write Operator"
	case p.expiresAt == nil:
		return "spec.rest.expiry.enforcedBy: spec.rest.credential.expiresAt is missing, which shows that the provider took the expiry"
	}
	return ""
}

func (p *program) updates() string {
	if p.update == nil {
		return ""
	}
	if len(p.settings.Update.Fields) == 0 {
		return "spec.rest.update.fields is empty; name what can be changed: scopes, buckets, allowedIPs, deniedIPs, subaccounts or expiry"
	}
	for i, field := range fields(p.settings.Update.Fields) {
		sent := p.update.reads[string(field)]
		switch field {
		case provider.FieldScopes:
			sent = sent || p.update.reads[fieldPermissions]
		case provider.FieldExpiry:
			sent = p.update.reads[fieldExpiresAt]
		case provider.FieldBuckets, provider.FieldAllowedIPs, provider.FieldDeniedIPs, provider.FieldSubaccounts:
		}
		if !sent {
			return fmt.Sprintf("spec.rest.update.fields[%d]: spec.rest.update does not send %s, so it would not change", i, field)
		}
	}
	return ""
}

// sample renders every request for the largest and for the smallest declaration, so that a
// template that does not result in JSON is found before anything is minted.
func (p *program) sample() error {
	for _, req := range samples(p.settings) {
		if _, err := p.requests(req); err != nil {
			return explained(err)
		}
	}
	return nil
}

// explained adds the reason why a template failed to the error of a request that is not sent.
// That text can contain only values of the sample, in which credentials are placeholders.
func explained(err error) error {
	var e *provider.Error
	if !errors.As(err, &e) || e.Err == nil {
		return err
	}
	why := e.Err.Error()
	var known *fault
	if errors.As(e.Err, &known) {
		why = known.says
	} else if _, at, ok := strings.Cut(why, "executing "); ok {
		why = at
	}
	if strings.Contains(e.Message, why) {
		return e
	}
	return provider.Invalid(e.Message + ": " + why)
}

// sampleTime is the expiry in a request that is not sent.
var sampleTime = time.Date(2030, time.January, 2, 3, 4, 5, 0, time.UTC)

func samples(s Settings) []provider.MintRequest {
	scopes := grantable(s)
	if len(scopes) == 0 {
		scopes = []string{"example:read", "example:write"}
	}
	if s.Limits.Scopes > 0 {
		scopes = scopes[:min(len(scopes), int(s.Limits.Scopes))]
	}
	least := provider.MintRequest{
		Name: "at1-cccccccc-oooooooooo-1-nnnnnnnn", Description: `a "sample"`,
		Owner: provider.Owner{Cluster: "cccccccc", Namespace: "team", Token: "example"},
		Grant: provider.Grant{Scopes: scopes[:1], Buckets: []string{"*"}, ExpiresAt: sampleTime},
	}
	if s.NamedBucketsOnly {
		least.Grant.Buckets = []string{"datasets"}
	}
	most := least
	most.Grant.Scopes = scopes
	for field, set := range map[provider.Field]func(){
		provider.FieldBuckets:     func() { most.Grant.Buckets = []string{"datasets", "models"} },
		provider.FieldAllowedIPs:  func() { most.Grant.AllowedIPs = []string{"192.0.2.1", "203.0.113.0/24"} },
		provider.FieldDeniedIPs:   func() { most.Grant.DeniedIPs = []string{"198.51.100.0/24"} },
		provider.FieldSubaccounts: func() { most.Grant.Subaccounts = []string{"subaccount"} },
	} {
		if slices.Contains(fields(s.Narrows), field) {
			set()
		}
	}
	if s.Limits.Buckets == 1 && len(most.Grant.Buckets) > 1 {
		most.Grant.Buckets = most.Grant.Buckets[:1]
	}
	return []provider.MintRequest{least, most}
}
