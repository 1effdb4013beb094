package conformance

import (
	"maps"
	"testing"

	"apitoken.dev/operator/internal/provider"
)

// stoppedListContinues stops a list at each of its credentials in turn.
func stoppedListContinues(t *testing.T, h Harness) {
	w := open(t, h)
	want := map[string]bool{}
	for range most(h, 5) {
		want[w.mint(w.request(w.owner("first"))).Credential.Name] = true
	}
	for stop := 1; stop <= len(want); stop++ {
		seen := map[string]bool{}
		first := provider.NewCursor("")
		w.part(first, stop, seen)
		second := provider.NewCursor(first.Next())
		w.part(second, 0, seen)
		if !maps.Equal(seen, want) {
			t.Errorf("stopped at %d, and begun again at the marker %q: %d of %d were yielded", stop, first.Next(), len(seen), len(want))
		}
		if second.Next() != "" {
			t.Errorf("begun at %q, a list that ended left the marker %q", first.Next(), second.Next())
		}
	}
}

// part lists the whole cluster from a cursor, stops at the credential of the given
// number (0: at none), and adds what was yielded to seen.
func (w *world) part(c *provider.Cursor, stop int, seen map[string]bool) {
	w.t.Helper()
	number := 0
	for credential, err := range w.client.List(provider.WithCursor(w.ctx, c), provider.Owner{Cluster: w.config.Cluster}) {
		if err != nil {
			w.t.Fatalf("List from %q: %v", c.Start(), err)
		}
		seen[credential.Name] = true
		if number++; number == stop {
			return
		}
	}
}
