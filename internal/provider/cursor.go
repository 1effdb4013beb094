package provider

import (
	"context"
	"errors"
)

// ErrCut is the cause of an Error of a call that one of its own limits or its deadline
// ended. The answers before that are valid.
var ErrCut = errors.New("a limit of the call was reached")

// maxMarker is the longest marker that a Cursor stores, in bytes. The provider
// chooses markers. IAM's has at most 320 characters (the length constraint of Marker in
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUsers.html).
const maxMarker = 4096

// Cursor is a place in the pages of a Client's List. A List with a Cursor in its
// context begins at Start, and reports its progress with Advance. A driver whose provider
// returns everything in one answer ignores it.
//
// Only the sweep for orphans and the verification of an endpoint use a Cursor, because a
// list that begins in the middle is not complete. Package bounded removes it from the
// context of every other call, and of a List for one Token. A nil *Cursor is the beginning,
// and stores nothing.
type Cursor struct{ start, next string }

// NewCursor returns a Cursor at a marker that Next returned; "" is the beginning.
func NewCursor(marker string) *Cursor { return &Cursor{start: marker} }

// Start is the marker of the first page to ask for; "" is the beginning.
func (c *Cursor) Start() string {
	if c == nil {
		return ""
	}
	return c.start
}

// Advance stores the marker of the next page. A driver calls it after the consumer took
// every element of the previous page, and with "" at the end. A marker of more than 4096
// bytes is not stored: the next list begins at the beginning.
func (c *Cursor) Advance(marker string) {
	if c == nil {
		return
	}
	if len(marker) > maxMarker {
		marker = ""
	}
	c.next = marker
}

// Next is the marker that a later list can begin at; "" when no page was consumed
// completely, or no page follows.
func (c *Cursor) Next() string {
	if c == nil {
		return ""
	}
	return c.next
}

type cursorKey struct{}

// WithCursor returns a context whose List begins at a Cursor; nil removes it.
func WithCursor(ctx context.Context, c *Cursor) context.Context {
	return context.WithValue(ctx, cursorKey{}, c)
}

// CursorOf returns the Cursor of a List; nil when it begins at the beginning.
func CursorOf(ctx context.Context) *Cursor {
	c, _ := ctx.Value(cursorKey{}).(*Cursor)
	return c
}
