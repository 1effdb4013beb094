package provider_test

import (
	"strings"
	"testing"

	"apitoken.dev/operator/internal/provider"
)

func TestCursorRemembersTheNextPage(t *testing.T) {
	ctx := t.Context()
	none := provider.CursorOf(ctx)
	none.Advance("2")
	if none.Start() != "" || none.Next() != "" {
		t.Errorf("without a cursor: start %q, next %q", none.Start(), none.Next())
	}
	c := provider.NewCursor("2")
	if got := provider.CursorOf(provider.WithCursor(ctx, c)); got != c || got.Start() != "2" || got.Next() != "" {
		t.Errorf("got %+v", got)
	}
	if got := provider.CursorOf(provider.WithCursor(provider.WithCursor(ctx, c), nil)); got != nil {
		t.Errorf("a cursor that was removed is %+v", got)
	}
	c.Advance("3")
	if c.Start() != "2" || c.Next() != "3" {
		t.Errorf("start %q, next %q", c.Start(), c.Next())
	}
	c.Advance(strings.Repeat("x", 4096))
	if len(c.Next()) != 4096 {
		t.Errorf("a marker of 4096 bytes became one of %d", len(c.Next()))
	}
	if c.Advance(strings.Repeat("x", 4097)); c.Next() != "" {
		t.Errorf("a marker of 4097 bytes became one of %d", len(c.Next()))
	}
}
