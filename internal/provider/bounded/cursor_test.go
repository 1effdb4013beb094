package bounded_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
)

// TestOnlySweepsHaveACursor: a deletion needs a complete list of one Token and a complete
// Find, so these have no cursor.
func TestOnlySweepsHaveACursor(t *testing.T) {
	var got *provider.Cursor
	o := good()
	o.do = func(ctx context.Context) error { got = provider.CursorOf(ctx); return nil }
	d, c := bounded.Driver(o, bounded.Options{}), bounded.Client(o, bounded.Options{})
	cursor := provider.NewCursor("2")
	ctx := provider.WithCursor(t.Context(), cursor)
	for name, call := range calls {
		if name == "List of a sweep" {
			continue
		}
		got = cursor
		if err := call(ctx, d, c); err != nil || got != nil {
			t.Errorf("%s: %v, with the cursor %+v", name, err, got)
		}
	}
	for _, owner := range []provider.Owner{{Cluster: "c", Namespace: "n", Token: "t"}, {Token: "t"}} {
		got = cursor
		if err := last(c.List(ctx, owner)); err != nil || got != nil {
			t.Errorf("List of %+v: %v, with the cursor %+v", owner, err, got)
		}
	}
	if err := last(c.List(ctx, provider.Owner{Cluster: "c"})); err != nil || got != cursor {
		t.Errorf("List of the cluster: %v, with the cursor %+v", err, got)
	}
}

// TestReachedLimitHasErrCutAsItsCause: a call that reached a limit differs from a failed call.
func TestReachedLimitHasErrCutAsItsCause(t *testing.T) {
	c, _ := serving(t, bounded.Options{}, false, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "more") })
	if err := last(c.List(t.Context(), provider.Owner{Token: "t"})); !errors.Is(err, provider.ErrCut) {
		t.Errorf("endless pages: %v", err)
	}
	c, _ = serving(t, bounded.Options{}, false, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	if err := last(c.List(t.Context(), provider.Owner{Token: "t"})); err == nil || errors.Is(err, provider.ErrCut) {
		t.Errorf("a refusal: %v", err)
	}
}
