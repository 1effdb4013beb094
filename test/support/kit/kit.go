// Package kit is shared by tests against a real API server. It has a client, namespaces, the
// objects of a working provider, an operator that runs in the background, and functions that
// wait for an expected state. A package can embed a Kit in its own test fixture.
package kit

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/testenv"
)

// scheme has the built-in kinds and the operator's.
var scheme = sync.OnceValue(func() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	return s
})

// Scheme returns a scheme with the built-in kinds and the operator's. Do not add to it.
func Scheme() *runtime.Scheme { return scheme() }

// Kit is a test and an administrator's client for its API server. A failed step ends the
// test.
type Kit struct {
	*testing.T
	// Client reads and writes the API server directly.
	client.Client
	// Dump describes the state of the test when an expectation fails; can be nil.
	Dump func() string
}

// New returns a Kit for a test.
func New(t *testing.T, env *testenv.Env) *Kit {
	t.Helper()
	return &Kit{T: t, Client: env.Client(Scheme())}
}

// In returns the same Kit for a subtest.
func (k *Kit) In(t *testing.T) *Kit { return &Kit{T: t, Client: k.Client, Dump: k.Dump} }

// OK fails the test on an error.
func (k *Kit) OK(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

var namespaces atomic.Int64

// Namespace creates a namespace with a unique name, which starts with a prefix.
func (k *Kit) Namespace(prefix string, labels map[string]string) string {
	k.Helper()
	name := fmt.Sprintf("%s-%d", prefix, namespaces.Add(1))
	k.ExpectApplied(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
	return name
}

// ExpectApplied creates objects.
func (k *Kit) ExpectApplied(objects ...client.Object) {
	k.Helper()
	for _, o := range objects {
		k.OK(k.Create(k.Context(), o))
	}
}

// ExpectDeleted deletes objects, and does not wait until they are gone.
func (k *Kit) ExpectDeleted(objects ...client.Object) {
	k.Helper()
	for _, o := range objects {
		k.OK(k.Delete(k.Context(), o))
	}
}

// Exists reads an object. If the object does not exist, it returns false and clears every
// field except kind and name.
func (k *Kit) Exists(o client.Object) bool {
	k.Helper()
	clearFields(o)
	err := k.Get(k.Context(), client.ObjectKeyFromObject(o), o)
	k.OK(client.IgnoreNotFound(err))
	return err == nil
}

// clearFields leaves the kind and the name of an object. A read does not change fields that
// the API server has no value for.
func clearFields(o client.Object) {
	kind, key := o.GetObjectKind().GroupVersionKind(), client.ObjectKeyFromObject(o)
	reflect.ValueOf(o).Elem().SetZero()
	o.GetObjectKind().SetGroupVersionKind(kind)
	o.SetNamespace(key.Namespace)
	o.SetName(key.Name)
}

// Merge edits an object and writes the difference, without a check of its version.
func (k *Kit) Merge(o client.Object, edit func()) {
	k.Helper()
	base, _ := o.DeepCopyObject().(client.Object)
	edit()
	k.OK(k.Patch(k.Context(), o, client.MergeFrom(base)))
}

// Change edits an object and updates it. After a conflict it reads and edits again.
func Change[T client.Object](k *Kit, o T, edit func(T)) {
	k.Helper()
	k.change(o, func() { edit(o) }, func() error { return k.Update(k.Context(), o) })
}

// ChangeStatus edits the status of an object, as only the operator should. After a conflict
// it reads and edits again.
func ChangeStatus[T client.Object](k *Kit, o T, edit func(T)) {
	k.Helper()
	k.change(o, func() { edit(o) }, func() error { return k.Status().Update(k.Context(), o) })
}

func (k *Kit) change(o client.Object, edit func(), update func() error) {
	k.Helper()
	k.Until(func() string {
		if !k.Exists(o) {
			return o.GetName() + " does not exist"
		}
		edit()
		err := update()
		if apierrors.IsConflict(err) {
			return err.Error()
		}
		k.OK(err)
		return ""
	})
}

// Run runs an operator in the background until stop, which is also called at the end of the
// test. An error of the operator fails the test.
func (k *Kit) Run(run func(context.Context) error) (stop func()) {
	k.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(k.Context()))
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			k.Error(err)
		}
	})
	k.Cleanup(stop)
	return stop
}
