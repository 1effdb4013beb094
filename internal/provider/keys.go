package provider

import (
	"maps"
	"slices"
)

// SecretKeyer is an optional interface of a Driver: the keys of Minted.Secret for a
// grant, without those of Connection. It does no I/O.
type SecretKeyer interface {
	SecretKeys(cfg Config, grant Grant) []string
}

// CredentialKeyer is an optional interface of a Driver: the keys that its credentials Secret
// must hold, so that a missing one is reported before anything is sent. A driver that
// returns none needs no Secret. It does no I/O.
type CredentialKeyer interface {
	CredentialKeys() []string
}

// DocumentedKeys returns the keys that a published Secret has for a grant: those of
// SecretKeys and of Connection, sorted. The operator did not write any other key.
func DocumentedKeys(d Driver, cfg Config, grant Grant) []string {
	var keys []string
	if s, ok := As[SecretKeyer](d); ok {
		keys = s.SecretKeys(cfg, grant)
	}
	if c, ok := As[Connector](d); ok {
		keys = slices.AppendSeq(keys, maps.Keys(c.Connection(cfg, grant)))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// SettingsKeyer is an optional interface of a Driver: the keys of Connection that follow
// from the settings of the provider alone, so that they are the same for every grant.
// It does no I/O. A key that it does not name follows from the declaration too.
type SettingsKeyer interface {
	SettingsKeys(cfg Config) []string
}

// Connection is what a driver's Connection returns, in two parts.
type Connection struct {
	// Settings follow from the settings of the provider alone, such as an endpoint.
	Settings map[string]string
	// Declaration follows from the grant too, such as BUCKET_NAME. It is only true of a
	// credential that was issued for that grant.
	Declaration map[string]string
}

// ConnectionOf returns what a published Secret carries next to a credential of a grant.
// Of a driver that is not a SettingsKeyer, every key follows from the declaration.
func ConnectionOf(d Driver, cfg Config, grant Grant) Connection {
	var out Connection
	c, ok := As[Connector](d)
	if !ok {
		return out
	}
	var settings []string
	if k, ok := As[SettingsKeyer](d); ok {
		settings = k.SettingsKeys(cfg)
	}
	for key, value := range c.Connection(cfg, grant) {
		part := &out.Declaration
		if slices.Contains(settings, key) {
			part = &out.Settings
		}
		if *part == nil {
			*part = map[string]string{}
		}
		(*part)[key] = value
	}
	return out
}

// CredentialKeys returns the keys that a driver documents for the credential of a
// grant; empty if the driver does not document them.
func CredentialKeys(d Driver, cfg Config, grant Grant) []string {
	if s, ok := As[SecretKeyer](d); ok {
		return s.SecretKeys(cfg, grant)
	}
	return nil
}
