package rest

import (
	"slices"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// Settings are the driver's block in a provider's spec: a vendor's token API, in
// templates and expressions. docs/providers/rest.md explains both.
type Settings = v1alpha1.RestProvider

func settingsOf(cfg provider.Config) (Settings, error) {
	return provider.SettingsOf[Settings](Type, cfg)
}

// grantable returns the scopes that can be granted, in the order of the settings.
func grantable(s Settings) []string {
	var out []string
	for _, scope := range s.Scopes {
		out = append(out, scope.Scope)
	}
	return out
}

// permissions returns the vendor's names for the scopes.
func permissions(s Settings, scopes []string) []string {
	out := make([]string, 0, len(scopes))
	for _, scope := range scopes {
		permission := scope
		for _, known := range s.Scopes {
			if known.Scope == scope && known.Permission != "" {
				permission = known.Permission
			}
		}
		out = append(out, permission)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// byProvider reports whether the vendor ends a credential at its expiry.
func byProvider(s Settings) bool {
	return provider.Enforcer(s.Expiry.EnforcedBy) == provider.EnforcedByProvider
}

// fields returns the parts of a Grant that a list of the settings names.
func fields(list []v1alpha1.RestField) []provider.Field {
	var out []provider.Field
	for _, f := range list {
		out = append(out, provider.Field(f))
	}
	return out
}

// statuses returns the HTTP statuses that a list of the settings names.
func statuses(list []int32) []int {
	var out []int
	for _, status := range list {
		out = append(out, int(status))
	}
	return out
}
