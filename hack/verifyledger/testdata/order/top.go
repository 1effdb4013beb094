// Package order has files with uses in both directions, and one that is in no order.
package order

// Top uses a file after its own.
func Top() int { return middle() }

type thing struct{ field int }

func (t thing) method() int { return t.field }
