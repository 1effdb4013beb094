package provider

// WithPowers returns a client that wraps another one. Base is the wrapper; the functions
// wrap the optional powers of inner. The client has those powers, and no others.
func WithPowers(base, inner Client, update func(Updater) Updater, count func(Counter) Counter, probe func(Prober) Prober) Client {
	var (
		u Updater
		c Counter
		p Prober
	)
	if has, ok := inner.(Updater); ok {
		u = update(has)
	}
	if has, ok := inner.(Counter); ok {
		c = count(has)
	}
	if has, ok := inner.(Prober); ok {
		p = probe(has)
	}
	return combined(base, u, c, p)
}

// combined returns base with those powers that are not nil.
func combined(base Client, u Updater, c Counter, p Prober) Client {
	b := powerless{base}
	switch [3]bool{u != nil, c != nil, p != nil} {
	case [3]bool{true, true, true}:
		return struct {
			powerless
			Updater
			Counter
			Prober
		}{b, u, c, p}
	case [3]bool{true, true, false}:
		return struct {
			powerless
			Updater
			Counter
		}{b, u, c}
	case [3]bool{true, false, true}:
		return struct {
			powerless
			Updater
			Prober
		}{b, u, p}
	case [3]bool{false, true, true}:
		return struct {
			powerless
			Counter
			Prober
		}{b, c, p}
	case [3]bool{true, false, false}:
		return struct {
			powerless
			Updater
		}{b, u}
	case [3]bool{false, true, false}:
		return struct {
			powerless
			Counter
		}{b, c}
	case [3]bool{false, false, true}:
		return struct {
			powerless
			Prober
		}{b, p}
	default:
		return base
	}
}

// powerless has the methods of a Client, whatever else the client can do.
type powerless struct{ Client }

func (p powerless) base() Client { return p.Client }

// Base returns the wrapper that WithPowers was given.
func Base(c Client) Client {
	if p, ok := c.(interface{ base() Client }); ok {
		return p.base()
	}
	return c
}
