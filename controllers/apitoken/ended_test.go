package apitoken_test

import (
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

// goes lets time pass until an ApiToken is gone.
func (w *world) goes(name string) {
	w.Helper()
	w.until(func() string {
		if w.token(name) == nil {
			return ""
		}
		w.advance(time.Minute, name)
		return name + " is still there"
	})
}

// TestEndedIsNotKept: a provider goes on showing what was revoked. Nothing of that
// stays in the ledger, and a deletion ends.
func TestEndedIsNotKept(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.backend.KeepsEnded = true
	w.driver.Caps.MaxLive = 2
	w.createMinter()
	w.createProvider()
	w.start()
	last := activeOf(w.issued("training")).Name
	for n := range 4 { // more than there are slots
		w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = int64(n + 1) })
		last = activeOf(w.replaced("training", last)).Name
		w.passTime(time.Hour, 1) // the overlap
		w.heals("training")
	}
	w.onlyLive(last)
	w.delete("training")
	w.goes("training")
	w.onlyLive()
}
