package apitoken

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"apitoken.dev/operator/internal/fairqueue"
)

// refusedAgain is how far apart two refusals of a credential must be to show that it is
// missing.
const refusedAgain = time.Hour

// doubts are credentials in use that the sweep saw otherwise than the ledger has them,
// at most one of each ApiToken. A restart forgets them: the sweep reports them again.
type doubts struct {
	mu   sync.Mutex
	of   map[types.NamespacedName]question
	wake func(types.NamespacedName)
}

type question struct {
	credential string
	// open: the provider is to be asked, at due at the earliest.
	open bool
	due  time.Duration
	// first is when the credential was first refused, if it was.
	first   time.Duration
	refused bool
}

// Doubt has the provider asked about a credential of an ApiToken, after everything else
// that is due there. It does not wait.
func (r *Reconciler) Doubt(token types.NamespacedName, credential string) {
	if wake := r.doubts.add(token, credential); wake != nil {
		wake(token)
	}
}

// add notes a doubt, and returns how its ApiToken is woken. One that is due later stays so.
func (d *doubts) add(token types.NamespacedName, credential string) func(types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.of[token]
	if known.credential != credential {
		known = question{credential: credential}
	}
	known.open = true
	if d.of == nil {
		d.of = map[types.NamespacedName]question{}
	}
	d.of[token] = known
	return d.wake
}

// about reports whether the provider is to be asked about a credential, and how long
// until then.
func (d *doubts) about(token types.NamespacedName, credential string, now time.Duration) (open bool, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known, ok := d.of[token]
	if !ok || known.credential != credential || !known.open {
		return false, 0
	}
	return true, max(0, known.due-now)
}

// settle ends a doubt: the provider is asked now. What it refused is remembered.
func (d *doubts) settle(token types.NamespacedName, credential string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.of[token]
	if known.credential != credential || !known.refused {
		delete(d.of, token)
		return
	}
	known.open = false
	d.of[token] = known
}

// refused notes that the data plane refuses a credential. It reports whether it did so
// before, long enough ago. If not, the credential is tried again when it is.
func (d *doubts) refused(token types.NamespacedName, credential string, now time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.of[token]
	if known.credential != credential || !known.refused {
		known = question{credential: credential, first: now, refused: true}
	}
	again := now-known.first >= refusedAgain
	known.open, known.due = !again, known.first+refusedAgain
	if d.of == nil {
		d.of = map[types.NamespacedName]question{}
	}
	d.of[token] = known
	return again
}

// accepted forgets refusals: the data plane accepts the credential.
func (d *doubts) accepted(token types.NamespacedName) { d.forget(token) }

// forget drops what is remembered of an ApiToken that is gone.
func (d *doubts) forget(token types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.of, token)
}

// doubtful wakes the ApiTokens of doubted credentials, after all others that wait.
func (r *Reconciler) doubtful(_ context.Context, q fairqueue.Queue) error {
	r.doubts.mu.Lock()
	defer r.doubts.mu.Unlock()
	r.doubts.wake = func(token types.NamespacedName) { fairqueue.Later(q, reconcile.Request{NamespacedName: token}) }
	return nil
}
