package provider

// WithPowers returns a client that wraps another one: it has those optional powers
// that are not nil, and no others. Client is the base without them.
func WithPowers(base Client, u Updater, c Counter, p Prober) Client {
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

// Base returns the client that WithPowers was given.
func Base(c Client) Client {
	if p, ok := c.(interface{ base() Client }); ok {
		return p.base()
	}
	return c
}
