package apifake_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/apifake"
	"apitoken.dev/operator/test/support/testenv"
)

// scenario is one statement about an API server. It must be true of the fake and of the
// real one.
type scenario struct {
	name string
	run  func(w *world)
}

// TestFakeBehavesLikeTheRealServer runs every scenario on both servers, each in a namespace of its own.
func TestFakeBehavesLikeTheRealServer(t *testing.T) {
	scenarios := slices.Concat(createScenarios, updateScenarios, statusScenarios, patchScenarios, deleteScenarios, formScenarios, readScenarios)
	t.Run("fake", func(t *testing.T) {
		for _, s := range scenarios {
			t.Run(s.name, func(t *testing.T) { s.run(newWorld(t, newServer().Client(nil))) })
		}
	})
	t.Run("real", func(t *testing.T) {
		server := testenv.Start(t).Client(apifake.Scheme())
		for _, s := range scenarios {
			t.Run(s.name, func(t *testing.T) { s.run(newWorld(t, server)) })
		}
	})
}

// start is the time on the clock of every fake server in these tests.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newServer() *apifake.Server {
	return apifake.NewServer(func() time.Time { return start })
}

// world is one scenario's view of a server.
type world struct {
	*testing.T
	client.Client
	ctx context.Context
	ns  string
}

func newWorld(t *testing.T, c client.Client) *world {
	t.Helper()
	w := &world{T: t, Client: c, ctx: t.Context()}
	for i := 0; w.ns == ""; i++ {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("ns-%d", i)}}
		err := c.Create(w.ctx, ns)
		if err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
		if err == nil {
			w.ns = ns.Name
		}
	}
	return w
}

// newToken is a valid ApiToken that does not exist yet.
func (w *world) newToken(name string) *v1alpha1.ApiToken {
	return &v1alpha1.ApiToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name},
		Spec: v1alpha1.ApiTokenSpec{
			ProviderRef: v1alpha1.ProviderReference{Name: "store"},
			Scopes:      []v1alpha1.Scope{"objectstorage:object-read-only"},
			Buckets:     []v1alpha1.Bucket{"b1"},
		},
	}
}

func (w *world) newSecret(name string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name},
		Data:       map[string][]byte{"key": []byte("value")},
	}
}

// token creates an ApiToken, changed by edits.
func (w *world) token(name string, edits ...func(*v1alpha1.ApiToken)) *v1alpha1.ApiToken {
	w.Helper()
	return create(w, w.newToken(name), edits)
}

// secret creates a Secret, changed by edits.
func (w *world) secret(name string, edits ...func(*corev1.Secret)) *corev1.Secret {
	w.Helper()
	return create(w, w.newSecret(name), edits)
}

func create[T client.Object](w *world, obj T, edits []func(T)) T {
	w.Helper()
	for _, edit := range edits {
		edit(obj)
	}
	w.ok(w.Create(w.ctx, obj))
	return obj
}

// reread returns a fresh copy of an object as the server has it.
func reread[T client.Object](w *world, obj T) T {
	w.Helper()
	fresh, ok := blank(obj).(T)
	if !ok {
		w.Fatalf("no blank %T", obj)
	}
	w.ok(w.Get(w.ctx, client.ObjectKeyFromObject(obj), fresh))
	return fresh
}

func blank(obj client.Object) client.Object {
	switch obj.(type) {
	case *v1alpha1.ApiToken:
		return &v1alpha1.ApiToken{}
	case *corev1.Secret:
		return &corev1.Secret{}
	case *v1alpha1.TokenProvider:
		return &v1alpha1.TokenProvider{}
	case *v1alpha1.ClusterTokenProvider:
		return &v1alpha1.ClusterTokenProvider{}
	case *corev1.Namespace:
		return &corev1.Namespace{}
	}
	return nil
}

// ok ends the scenario unless err is nil.
func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("unexpected error: %v", err)
	}
}

// fails checks the reason of an error.
func (w *world) fails(err error, reason metav1.StatusReason) {
	w.Helper()
	if err == nil || apierrors.ReasonForError(err) != reason {
		w.Errorf("got the error %v (reason %q), want reason %q", err, apierrors.ReasonForError(err), reason)
	}
}

// is checks which error it is.
func (w *world) is(err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("got the error %v, want %v", err, want)
	}
}

// equal compares two values.
func (w *world) equal(what string, got, want any) {
	w.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// gone checks that an object does not exist.
func (w *world) gone(obj client.Object) {
	w.Helper()
	w.fails(w.Get(w.ctx, client.ObjectKeyFromObject(obj), blank(obj)), metav1.StatusReasonNotFound)
}

// unchanged checks that the server still has the object in this version.
func unchanged[T client.Object](w *world, obj T) {
	w.Helper()
	w.equal("resourceVersion on the server", reread(w, obj).GetResourceVersion(), obj.GetResourceVersion())
}

func finalizer(t *v1alpha1.ApiToken) { t.Finalizers = []string{v1alpha1.Finalizer} }
