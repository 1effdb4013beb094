package provider

// Limiter is an optional interface of a Driver whose limits differ between grants: a
// manual credential can have a different maximum lifetime, and a different enforcer, than
// a credential that the API creates. It does no I/O.
type Limiter interface {
	// CapabilitiesFor returns the Capabilities for one grant. It is constant for a grant.
	CapabilitiesFor(grant Grant) Capabilities
}

// CapabilitiesFor returns the Capabilities of a driver for one grant. Use it, and not
// Driver.Capabilities, where the grant is known.
func CapabilitiesFor(d Driver, grant Grant) Capabilities {
	if l, ok := As[Limiter](d); ok {
		return l.CapabilitiesFor(grant)
	}
	return d.Capabilities()
}
