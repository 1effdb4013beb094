// Package rest issues credentials over any vendor's token API that is declared
// in a provider's spec: requests are templates, and expressions read the
// answers.
package rest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// Type is the name of the driver's block in a provider's spec.
const Type = "rest"

// defaultSettle is the settle time if the declaration has none. It is longer than proxies in
// front of such APIs hold a request.
const defaultSettle = time.Minute

// Driver implements provider.Driver, provider.Validator and provider.Connector. The settings
// declare its capabilities, see For.
type Driver struct{ settings Settings }

// New returns the driver without settings. For returns the driver of one vendor.
func New() *Driver { return &Driver{} }

// For returns the driver of one vendor. The settings declare its Capabilities and
// CredentialKeys.
func (d *Driver) For(settings any) provider.Driver {
	s, ok := settings.(Settings)
	if !ok {
		return d
	}
	return &Driver{settings: s}
}

// Type implements provider.Driver.
func (*Driver) Type() string { return Type }

// Capabilities implements provider.Driver.
func (d *Driver) Capabilities() provider.Capabilities {
	s := d.settings
	out := provider.Capabilities{
		Scopes: grantable(s), MaxName: int(s.Limits.Name),
		ExpiryEnforcedBy: provider.Enforcer(s.Expiry.EnforcedBy), Settle: defaultSettle,
		Narrows: fields(s.Narrows), MaxLive: int(s.Limits.Live), Listed: int(s.Limits.Listed), TriesNew: s.Probe != nil,
		Relocates: true,
	}
	if out.ExpiryEnforcedBy == "" {
		out.ExpiryEnforcedBy = provider.EnforcedByOperator
	}
	if d := s.Expiry.MaxLifetime; d != nil {
		out.MaxLifetime = d.Duration
	}
	if d := s.Settle; d != nil && d.Duration != 0 {
		out.Settle = d.Duration
	}
	if s.Update != nil {
		out.Updates = fields(s.Update.Fields)
	}
	return out
}

// CredentialKeys returns the keys of the credentials Secret that the templates name.
func (d *Driver) CredentialKeys() []string {
	p, err := compile(d.settings)
	if err != nil {
		return nil // Connect reports the error
	}
	return p.keys
}

// SecretKeys implements provider.SecretKeyer.
func (*Driver) SecretKeys(cfg provider.Config, _ provider.Grant) []string {
	s, err := settingsOf(cfg)
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.Mint.Secret))
}

// Connection implements provider.Connector.
func (*Driver) Connection(cfg provider.Config, grant provider.Grant) map[string]string {
	s, err := settingsOf(cfg)
	if err != nil {
		return nil
	}
	out := map[string]string{}
	for key, source := range s.Connection {
		t, err := parseTemplate("spec.rest.connection["+key+"]", string(source), asText, grantFields)
		if err != nil {
			continue // Connect reports the error
		}
		if value, err := t.render(grantData(s, grant)); err == nil && value != "" {
			out[key] = value
		}
	}
	return out
}

// SettingsKeys implements provider.SettingsKeyer: the keys whose template does not read the
// declaration.
func (*Driver) SettingsKeys(cfg provider.Config) []string {
	s, err := settingsOf(cfg)
	if err != nil {
		return nil
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(s.Connection)) {
		if t, err := parseTemplate("spec.rest.connection["+key+"]", string(s.Connection[key]), asText, grantFields); err == nil && len(t.reads) == 0 {
			out = append(out, key)
		}
	}
	return out
}

// Validate implements provider.Validator.
func (*Driver) Validate(cfg provider.Config, req provider.MintRequest) error {
	s, err := settingsOf(cfg)
	if err != nil {
		return err
	}
	if r := refuse(s, req.Grant); r != nil {
		return r
	}
	return nil
}

// refuse returns why access cannot be granted, or nil.
func refuse(s Settings, grant provider.Grant) *provider.Refusal {
	if len(s.Scopes) > 0 {
		if r := provider.RefuseScopes(grantable(s), grant); r != nil {
			return r
		}
	}
	if r := refuseNumber(s, grant); r != nil {
		return r
	}
	if byProvider(s) {
		if r := provider.RefuseNoExpiry(grant); r != nil {
			return r
		}
	}
	if r := provider.RefuseNarrowing(provider.Capabilities{Narrows: fields(s.Narrows)}, grant); r != nil {
		return r
	}
	if s.NamedBucketsOnly && (len(grant.Buckets) == 0 || slices.Contains(grant.Buckets, "*")) {
		return &provider.Refusal{
			Reason: provider.RefusedBucket, Field: "spec.buckets", Value: strings.Join(grant.Buckets, ", "),
			Message: "this provider grants access to buckets by their names only; declare the names",
		}
	}
	return nil
}

func refuseNumber(s Settings, grant provider.Grant) *provider.Refusal {
	few := func(reason provider.RefusalReason, field, what string, has, limit int) *provider.Refusal {
		if limit == 0 || has <= limit {
			return nil
		}
		return &provider.Refusal{
			Reason: reason, Field: field, Value: strconv.Itoa(has) + " " + what,
			Message: fmt.Sprintf("a credential of this provider has at most %d; split them over several ApiTokens", limit),
		}
	}
	if len(grant.Scopes) == 0 {
		return &provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes", Value: "none", Message: "declare at least one scope"}
	}
	if r := few(provider.RefusedScope, "spec.scopes", "scopes", len(grant.Scopes), int(s.Limits.Scopes)); r != nil {
		return r
	}
	return few(provider.RefusedBuckets, "spec.buckets", "buckets", len(grant.Buckets), int(s.Limits.Buckets))
}
