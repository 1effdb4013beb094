package provider

// As returns a driver or a client as T, one of their optional interfaces, if it
// implements T. Call it instead of a type assertion: a wrapper has the methods of every
// optional interface, and implements one only if the value that it wraps does.
//
// The result is the value that was passed, never the wrapped one, so a call cannot go
// around a wrapper. An interface that a wrapper does not implement is lost rather than
// passed through.
func As[T any](of any) (power T, ok bool) {
	power, ok = of.(T)
	if !ok {
		return power, false
	}
	if w, wraps := of.(interface{ wrapped() Client }); wraps {
		if _, ok = As[T](w.wrapped()); !ok {
			var none T
			return none, false
		}
	}
	return power, true
}

// Wrapped is embedded in a client that wraps another one; Wrap makes it. Only As can
// see the wrapped client.
type Wrapped struct{ client Client }

// Wrap returns what a wrapper of a client embeds.
func Wrap(c Client) Wrapped { return Wrapped{client: c} }

func (w Wrapped) wrapped() Client { return w.client }

// Need is As with an error in place of false. A wrapper calls it for the client that it
// wraps, before anything is sent.
func Need[T any](of any) (T, error) {
	power, ok := As[T](of)
	if !ok {
		return power, Invalid("this provider's driver cannot do this")
	}
	return power, nil
}
