package provider

import (
	"maps"
	"slices"
)

// SecretKeyer is an optional power of a Driver: the keys of Minted.Secret for a
// grant, without those of Connection. It does no I/O.
type SecretKeyer interface {
	SecretKeys(cfg Config, grant Grant) []string
}

// DocumentedKeys returns the keys that a published Secret has for a grant: those of
// SecretKeys and of Connection, sorted. Any other key was written by someone else.
func DocumentedKeys(d Driver, cfg Config, grant Grant) []string {
	var keys []string
	if s, ok := d.(SecretKeyer); ok {
		keys = s.SecretKeys(cfg, grant)
	}
	if c, ok := d.(Connector); ok {
		keys = slices.AppendSeq(keys, maps.Keys(c.Connection(cfg, grant)))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
