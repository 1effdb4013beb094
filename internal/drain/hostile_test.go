package drain_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/drain"
)

// A tenant who keeps creating ApiTokens does not keep a drain from ending.
func TestDrainEndsWhileApiTokensAreCreated(t *testing.T) {
	w := newWorld(t)
	w.issued("a")
	w.stop()
	stop := w.creating(50 * time.Millisecond)
	w.drained(drain.Options{DeleteAll: true})
	stop()
	w.live(0)
	w.ExpectGone(w.provider)
}

// ApiTokens that are created during a drain with the operator's finalizer are not progress:
// the drain gives up in time.
func TestCreatingApiTokensIsNotProgress(t *testing.T) {
	w := newWorld(t)
	w.issued("a")
	w.stop()
	w.unreachable()
	defer w.creating(500*time.Millisecond, func(t *v1alpha1.ApiToken) { t.Finalizers = []string{v1alpha1.Finalizer} })()
	if err := w.drain(drain.Options{DeleteAll: true, Patience: 5 * time.Second}); err == nil || !strings.Contains(err.Error(), "nothing has changed for 5s") {
		t.Errorf("it does not give up: %v", err)
	}
}

// creating creates an ApiToken after each pause, until the returned function is called.
func (w *world) creating(pause time.Duration, edits ...func(*v1alpha1.ApiToken)) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	c := clock.NewReal()
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			_ = w.create(fmt.Sprintf("more-%d", i), edits...)
			_ = c.Sleep(w.Context(), pause)
		}
	}()
	return sync.OnceFunc(func() { close(done); <-ended })
}
