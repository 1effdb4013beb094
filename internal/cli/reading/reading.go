// Package reading tells "does not exist" from "could not be read". A user of the
// plugin often cannot read everything that a command would like to know, and an object
// that could not be read may well exist.
package reading

import (
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Of is the result of one read: what was found, that it is absent, or why it could
// not be read. The value is available through Switch and Match only, so a caller handles all
// three. The zero value was not read.
type Of[T any] struct {
	value T
	state state
	err   error
}

type state int

const (
	unread state = iota
	absent
	found
)

// errNotRead is the reason of the zero value.
var errNotRead = errors.New("it was not read")

// Object is the result of reading one object. Only the API server's answer NotFound
// about this object means that it does not exist; an API server that does not serve the kind
// has not looked.
func Object[T any](value T, err error) Of[T] {
	switch {
	case err == nil:
		return Of[T]{value: value, state: found}
	case apierrors.IsNotFound(err) && !Unserved(err):
		return Of[T]{state: absent}
	default:
		return Of[T]{err: err}
	}
}

// List is the result of reading a list, which is absent when it is empty. NotFound
// means that the API server does not serve the kind, so nothing was read.
func List[T any](items []T, err error) Of[[]T] {
	switch {
	case err != nil:
		return Of[[]T]{err: err}
	case len(items) == 0:
		return Of[[]T]{state: absent}
	default:
		return Of[[]T]{value: items, state: found}
	}
}

// Where keeps what fits: a value that does not is absent. What could not be read stays so.
func (r Of[T]) Where(fits func(T) bool) Of[T] {
	if r.state == found && !fits(r.value) {
		return Of[T]{state: absent}
	}
	return r
}

// Forbidden reports whether the user lacks the right to read. Use it to choose the words
// for what could not be read, never to decide what exists.
func Forbidden(err error) bool { return apierrors.IsForbidden(err) }

// Unserved reports whether the API server does not serve the kind, as after its CRD was
// deleted.
func Unserved(err error) bool {
	return apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// Switch calls the one function that fits.
func (r Of[T]) Switch(isFound func(T), isAbsent func(), isUnread func(error)) {
	switch r.state {
	case found:
		isFound(r.value)
	case absent:
		isAbsent()
	case unread:
		isUnread(r.Err())
	}
}

// Err is why it could not be read; nil: it was read, whether or not there is one.
func (r Of[T]) Err() error {
	if r.state == unread && r.err == nil {
		return errNotRead
	}
	return r.err
}

// Match returns what the one function that fits returns.
func Match[T, R any](r Of[T], isFound func(T) R, isAbsent func() R, isUnread func(error) R) R {
	var out R
	r.Switch(func(v T) { out = isFound(v) }, func() { out = isAbsent() }, func(err error) { out = isUnread(err) })
	return out
}
