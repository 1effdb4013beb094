package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/trim"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
)

// foreign is metadata of other clients, much more than the cache keeps.
type foreign struct {
	annotations, labels map[string]string
	finalizers          []string
	owner               metav1.OwnerReference
}

func newForeign() foreign {
	f := foreign{
		annotations: map[string]string{"example.com/note": strings.Repeat("x", 250<<10), corev1.LastAppliedConfigAnnotation: "{}"},
		labels:      map[string]string{"app.kubernetes.io/name": "theirs"},
		owner:       metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "theirs", UID: "c0ffee"},
	}
	for i := range 300 {
		f.labels[fmt.Sprintf("example.com/label-%d", i)] = strings.Repeat("v", 60)
	}
	for i := range trim.MaxFinalizers + 4 {
		f.finalizers = append(f.finalizers, fmt.Sprintf("example.com/hold-%d", i))
	}
	return f
}

// put adds it to an object.
func (f foreign) put(o client.Object) {
	annotations, labels := o.GetAnnotations(), o.GetLabels()
	if annotations == nil {
		annotations = map[string]string{}
	}
	if labels == nil {
		labels = map[string]string{}
	}
	for k, v := range f.annotations {
		annotations[k] = v
	}
	for k, v := range f.labels {
		labels[k] = v
	}
	o.SetAnnotations(annotations)
	o.SetLabels(labels)
	o.SetFinalizers(append(o.GetFinalizers(), f.finalizers...))
	o.SetOwnerReferences(append(o.GetOwnerReferences(), f.owner))
}

// missing names the parts that an object has lost.
func (f foreign) missing(o client.Object) string {
	for k, v := range f.annotations {
		if o.GetAnnotations()[k] != v {
			return "annotation " + k
		}
	}
	for k, v := range f.labels {
		if o.GetLabels()[k] != v {
			return "label " + k
		}
	}
	for _, name := range f.finalizers {
		if !slices.Contains(o.GetFinalizers(), name) {
			return "finalizer " + name
		}
	}
	if !slices.ContainsFunc(o.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return r.UID == f.owner.UID }) {
		return "the owner reference"
	}
	for _, entry := range o.GetManagedFields() {
		if entry.FieldsV1 != nil && strings.Contains(entry.FieldsV1.String(), "trimmed") {
			return "managed fields without the mark of the cache"
		}
	}
	return ""
}

// survivors are objects that carry foreign metadata.
type survivors struct {
	*kit.Kit
	foreign foreign
	objects []client.Object
}

func (s *survivors) put(o client.Object) {
	s.Helper()
	s.change(o, func() { s.foreign.put(o) })
	s.objects = append(s.objects, o)
}

// change edits an object as a user, and retries conflicts.
func (s *survivors) change(o client.Object, edit func()) {
	s.Helper()
	s.Eventually(func() error {
		if err := s.Get(s.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		edit()
		return s.Update(s.Context(), o)
	})
}

// after checks that a step has lost nothing.
func (s *survivors) after(step string) {
	s.Helper()
	for _, o := range s.objects {
		if err := s.Get(s.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			s.Fatalf("after %s: %v", step, err)
		}
		if lost := s.foreign.missing(o); lost != "" {
			s.Errorf("after %s, %T %s has lost %s", step, o, o.GetName(), lost)
		}
	}
}

// end removes the foreign finalizers of an object that is being deleted, as their owners
// do.
func (s *survivors) end(o client.Object) {
	s.Helper()
	s.Eventually(func() error {
		if err := s.Get(s.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		if slices.Contains(o.GetFinalizers(), v1alpha1.Finalizer) {
			return fmt.Errorf("%T %s still has our finalizer", o, o.GetName())
		}
		return nil
	})
	s.after("letting " + o.GetName() + " go")
	s.objects = slices.DeleteFunc(s.objects, func(other client.Object) bool { return other == o })
	s.change(o, func() { o.SetFinalizers(nil) })
	s.ExpectGone(o)
}

// TestForeignMetadataSurvives: every operation of the operator leaves the metadata of other
// clients unchanged, although its cache does not keep it.
func TestForeignMetadataSurvives(t *testing.T) {
	k := kit.New(t, env)
	own := k.Namespace("operator", nil)
	backend := fake.NewBackend(clock.NewReal())
	run(k, env.Config, Options{Registry: kit.Drivers(t, fake.New(backend)), Namespace: own, ClusterIdentity: own})
	s := &survivors{Kit: k, foreign: newForeign()}
	p := clusterProvider(k, own)
	k.ExpectReady(p)
	minter := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: "minter"}}
	other := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: "other"}, Data: map[string][]byte{"token": []byte("x")}}
	token := apiToken(k.Namespace("operator", map[string]string{"tokens": own}), own)
	s.foreign.put(token) // before the operator reads it
	s.foreign.put(other)
	for _, o := range []client.Object{token, other} {
		k.ExpectApplied(o)
	}
	s.objects = append(s.objects, token, other)
	s.put(p)
	s.put(minter)
	s.issued(token)
	s.after("the first issue")
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: token.Namespace, Name: token.Name}}
	s.put(secret)

	first := activeName(token)
	s.change(token, func() { token.Spec.Rotation.Generation = 1 })
	s.issued(token)
	if activeName(token) == first {
		t.Error("nothing was rotated")
	}
	s.after("a rotation")
	s.change(token, func() { token.Spec.Secret.Labels = map[string]string{"team": "ml"} })
	k.Eventually(func() error {
		if err := k.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil || secret.Labels["team"] != "ml" {
			return fmt.Errorf("the label is %q: %w", secret.Labels["team"], err)
		}
		return nil
	})
	s.issued(token)
	s.after("a label of the Secret")
	s.change(p, func() { p.Spec.CredentialsSecretRef.Name = "other" })
	k.ExpectReady(p)
	k.Eventually(func() error {
		if err := k.Get(t.Context(), client.ObjectKeyFromObject(minter), minter); err != nil || slices.Contains(minter.Finalizers, v1alpha1.Finalizer) {
			return fmt.Errorf("the former Secret is held: %w", err)
		}
		return nil
	})
	s.after("another credentials Secret")
	s.change(token, func() { token.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	s.issued(token)
	s.after("Retain")

	for _, o := range []client.Object{token, p} {
		k.OK(k.Delete(t.Context(), o))
		s.end(o)
	}
	s.after("the end")
	for _, o := range s.objects {
		s.change(o, func() { o.SetFinalizers(nil) })
	}
}

// issued waits until an ApiToken is Ready for its generation.
func (s *survivors) issued(token *v1alpha1.ApiToken) {
	s.Helper()
	s.Eventually(func() error {
		if err := s.Get(s.Context(), client.ObjectKeyFromObject(token), token); err != nil {
			return err
		}
		r := meta.FindStatusCondition(token.Status.Conditions, v1alpha1.ConditionReady)
		if r == nil || r.Status != metav1.ConditionTrue || r.ObservedGeneration != token.Generation {
			return fmt.Errorf("not Ready: %+v", r)
		}
		return nil
	})
}

func activeName(token *v1alpha1.ApiToken) string {
	for i := range token.Status.Credentials {
		if e := &token.Status.Credentials[i]; e.State == v1alpha1.StateActive {
			return e.Name
		}
	}
	return ""
}

// started returns a running operator with filled caches.
func started(t *testing.T, own string) manager.Manager {
	t.Helper()
	mgr, err := New(t.Context(), env.Config, Options{Registry: kit.Drivers(t, fake.New(fake.NewBackend(clock.NewReal()))), Namespace: own, ClusterIdentity: own})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		t.Fatal("the caches are not filled")
	}
	return mgr
}

// TestCacheKeepsLittleOfLargeObjects: Secrets and ApiTokens with 250 KiB of annotations
// need little memory, and a trimmed object cannot be written back.
func TestCacheKeepsLittleOfLargeObjects(t *testing.T) {
	const each, most = 12, 4 << 10
	k := kit.New(t, env)
	own := k.Namespace("operator", nil)
	f := newForeign()
	for i := range each {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: fmt.Sprintf("s%d", i), Labels: map[string]string{v1alpha1.LabelManaged: "true"}}}
		token := apiToken(own, own)
		token.Name = fmt.Sprintf("t%d", i)
		for _, o := range []client.Object{secret, token} {
			f.put(o)
			o.SetFinalizers(nil)
			k.ExpectApplied(o)
		}
	}
	mgr := started(t, own)
	var tokens v1alpha1.ApiTokenList
	secrets := &metav1.PartialObjectMetadataList{}
	secrets.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	for _, list := range []client.ObjectList{&tokens, secrets} {
		if err := mgr.GetClient().List(t.Context(), list, client.InNamespace(own)); err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%T: %d bytes for %d objects", list, len(raw), meta.LenList(list))
		if meta.LenList(list) != each || len(raw) > each*most {
			t.Errorf("the cache holds %d bytes for %d objects, want at most %d each for %d", len(raw), meta.LenList(list), most, each)
		}
	}
	stale := tokens.Items[0].DeepCopy()
	if err := mgr.GetClient().Update(t.Context(), stale); !apierrors.IsInvalid(err) {
		t.Errorf("an ApiToken of the cache was written back as a whole: %v", err)
	}
	stored := stale.DeepCopy()
	if err := k.Get(t.Context(), client.ObjectKeyFromObject(stale), stored); err != nil || stored.Annotations["example.com/note"] == "" {
		t.Errorf("the annotation of others is gone: %v", err)
	}
	for i := range tokens.Items { // other tests serve all namespaces
		k.OK(k.Delete(t.Context(), &tokens.Items[i]))
		k.ExpectGone(&tokens.Items[i])
	}
}
