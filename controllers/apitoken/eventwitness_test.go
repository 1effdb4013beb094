package apitoken_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/testutil"
)

// witnessing is a recorder that checks each event against the state at that moment. Every operator of
// these tests uses it.
type witnessing struct {
	events.EventRecorder
	w *world
}

func (r witnessing) Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any) {
	if err := r.w.judgeEvent(regarding, related, kind, reason, fmt.Sprintf(note, args...)); err != nil {
		r.w.Errorf("the event %s is false: %v\n\t%s", reason, err, fmt.Sprintf(note, args...))
	}
	r.EventRecorder.Eventf(regarding, related, kind, reason, action, note, args...)
}

func (w *world) judgeEvent(regarding, related runtime.Object, kind, reason, note string) error {
	switch o := regarding.(type) {
	case *v1alpha1.ApiToken:
		return w.judgeClaim(o, related, reason, note)
	case *corev1.ObjectReference:
		key := client.ObjectKey{Namespace: o.Namespace, Name: o.Name}
		ctx := context.WithoutCancel(w.Context())
		switch o.Kind {
		case "ApiToken":
			t := &v1alpha1.ApiToken{}
			if err := w.Get(ctx, key, t); err != nil {
				return client.IgnoreNotFound(err)
			}
			return w.judgeClaim(t, related, reason, note)
		case string(v1alpha1.KindTokenProvider):
			p := &v1alpha1.TokenProvider{}
			if err := w.Get(ctx, key, p); err != nil {
				return client.IgnoreNotFound(err)
			}
			return claimOf(p.Status.Conditions, kind, reason, note)
		}
	}
	return nil // tested in package orphansweep
}

func (w *world) judgeClaim(t *v1alpha1.ApiToken, related runtime.Object, reason, note string) error {
	row, known := claims[reason]
	if !known {
		return errors.New("nothing in claims checks it")
	}
	s := said{note: note, token: t.DeepCopy(), now: w.clock.Now(), facts: worldFacts{w}}
	if ref, ok := related.(*corev1.ObjectReference); ok && ref != nil {
		s.credential = strings.TrimSuffix(strings.TrimPrefix(ref.FieldPath, "status.credentials{"), "}")
	}
	emitted.Store(reason, true)
	return row.check(s)
}

// emitted are the reasons of all events in this process.
var emitted sync.Map

// worldFacts implements facts for a world.
type worldFacts struct{ w *world }

func (f worldFacts) at(credential string) atProvider {
	out := atProvider{id: f.w.backend.IDOf(credential), live: f.w.backend.Live(credential)}
	out.grant, out.granted = f.w.backend.GrantOf(credential)
	for _, call := range f.w.backend.Calls() {
		switch {
		case call.Name != credential:
		case call.Verb == fake.Mint && call.Phase == fake.After:
			out.minted = true
		case call.Verb == fake.Revoke:
			out.revoked = true
		}
	}
	return out
}

func (f worldFacts) secret(name string) *corev1.Secret {
	s := &corev1.Secret{}
	if err := f.w.Get(context.WithoutCancel(f.w.Context()), client.ObjectKey{Namespace: f.w.ns, Name: name}, s); err != nil {
		return nil
	}
	return s
}

func (f worldFacts) held(t *v1alpha1.ApiToken, credential string) error {
	f.w.published.require(t.SecretName(), credential)
	return nil
}

// published records the credentials that Secrets have named, and those that events claim they name.
type published struct {
	mu          sync.Mutex
	seen, wants map[string]bool
}

func heldBy(secret, credential string) string { return credential + " in Secret " + secret }

func (p *published) require(secret, credential string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wants[heldBy(secret, credential)] = true
}

// missing returns a claim that no version of a Secret has confirmed yet.
func (p *published) missing() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for want := range p.wants {
		if !p.seen[want] {
			out = append(out, want)
		}
	}
	return strings.Join(out, ", ")
}

var watcher = sync.OnceValues(func() (client.WithWatch, error) {
	return client.NewWithWatch(env.Config, client.Options{Scheme: kit.Scheme()})
})

// witnessSecrets records every version of the Secrets. A test can change a Secret between its
// publication and the event, so events are checked against all versions.
func (w *world) witnessSecrets() {
	w.Helper()
	w.published = &published{seen: map[string]bool{}, wants: map[string]bool{}}
	c, err := watcher()
	w.OK(err)
	watch, err := c.Watch(context.WithoutCancel(w.Context()), &corev1.SecretList{}, client.InNamespace(w.ns))
	w.OK(err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range watch.ResultChan() {
			if s, ok := event.Object.(*corev1.Secret); ok {
				w.published.mu.Lock()
				w.published.seen[heldBy(s.Name, s.Annotations[v1alpha1.AnnotationCredential])] = true
				w.published.mu.Unlock()
			}
		}
	}()
	w.Cleanup(func() {
		defer func() { watch.Stop(); <-done }()
		err := wait.PollUntilContextTimeout(context.WithoutCancel(w.Context()), 5*time.Millisecond, testutil.Patience, true,
			func(context.Context) (bool, error) { return w.published.missing() == "", nil })
		if err != nil {
			w.Errorf("events say that a Secret holds a credential, but no version of it did: %s", w.published.missing())
		}
	})
}

// eventConstants returns the event reasons that events.go declares.
func eventConstants(t *testing.T) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "events.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "event") || len(spec.Values) != 1 {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
			reason, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			out[reason] = true
		}
		return true
	})
	return out
}

// claims has exactly one row for each event reason.
func TestEveryEventHasAClaim(t *testing.T) {
	t.Parallel()
	declared := eventConstants(t)
	if len(declared) < 10 {
		t.Fatalf("events.go was not understood: %v", declared)
	}
	for reason := range declared {
		if _, ok := claims[reason]; !ok {
			t.Errorf("no row of claims checks the event %s", reason)
		}
	}
	for reason := range claims {
		if !declared[reason] {
			t.Errorf("claims has a row for %s, which events.go does not declare", reason)
		}
	}
}

// nothing implements facts: every credential is live, and there are no Secrets.
type nothing struct{}

func (nothing) at(string) atProvider         { return atProvider{id: "other", live: true} }
func (nothing) secret(string) *corev1.Secret { return nil }
func (nothing) held(*v1alpha1.ApiToken, string) error {
	return errors.New("no Secret held it")
}

// Each check rejects its examples if nothing has happened.
func TestClaimsRejectFalseEvents(t *testing.T) {
	t.Parallel()
	for reason, row := range claims {
		if len(row.examples) == 0 {
			t.Errorf("%s has no example", reason)
		}
		for _, note := range row.examples {
			s := said{note: note, credential: "own-1", now: epoch, facts: nothing{}, token: &v1alpha1.ApiToken{}}
			s.token.Name = "training"
			if row.check(s) == nil {
				t.Errorf("%s: the check accepts %q of an ApiToken without a status", reason, note)
			}
		}
	}
	if claimOf(nil, corev1.EventTypeNormal, v1alpha1.ReasonReady, "The credentials work.") == nil {
		t.Error("an event of a provider without conditions is accepted")
	}
}
