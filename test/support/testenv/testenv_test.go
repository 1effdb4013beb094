package testenv

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestStartedControlPlaneStoresAndCollectsObjects(t *testing.T) {
	env := Start(t, WithoutCRDs(), WithControllerManager())
	c := env.Client(nil)

	t.Run("objects are stored", func(t *testing.T) {
		want := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "stored"},
			Data:       map[string]string{"key": "value"},
		}
		if err := c.Create(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		var got corev1.ConfigMap
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(want), &got); err != nil {
			t.Fatal(err)
		}
		if got.Data["key"] != "value" {
			t.Errorf("the ConfigMap holds %v", got.Data)
		}
	})
	t.Run("a deleted namespace goes away", func(t *testing.T) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "doomed"}}
		content := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "doomed", Name: "content"}}
		for _, object := range []client.Object{namespace, content} {
			if err := c.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Delete(t.Context(), namespace); err != nil {
			t.Fatal(err)
		}
		waitGone(t, c, namespace)
	})
	t.Run("an owned object is garbage collected", func(t *testing.T) {
		owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "owner"}}
		if err := c.Create(t.Context(), owner); err != nil {
			t.Fatal(err)
		}
		owned := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "owned", OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID},
		}}}
		if err := c.Create(t.Context(), owned); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(t.Context(), owner); err != nil {
			t.Fatal(err)
		}
		waitGone(t, c, owned)
	})
	t.Run("a service account has its own rights only", func(t *testing.T) {
		as, err := client.New(env.AsServiceAccount("default", "unprivileged"), client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = as.List(t.Context(), &corev1.SecretList{})
		if !apierrors.IsForbidden(err) {
			t.Errorf("listing Secrets as an account without rights: %v", err)
		}
	})
}

func waitGone(t *testing.T, c client.Client, object client.Object) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		err := c.Get(ctx, client.ObjectKeyFromObject(object), object)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
	if err != nil {
		t.Fatalf("%s is still there: %v", object.GetName(), err)
	}
}

func TestFindAssetsPrefersTheEnvironmentVariable(t *testing.T) {
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	given := t.TempDir()
	for _, program := range []string{"etcd", "kube-apiserver"} {
		if err := os.WriteFile(filepath.Join(given, program), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("KUBEBUILDER_ASSETS", given)

	t.Run("KUBEBUILDER_ASSETS comes first", func(t *testing.T) {
		got, err := findAssets(root, []string{"etcd", "kube-apiserver"})
		if err != nil || got != given {
			t.Errorf("got %q, %v; want %q", got, err, given)
		}
	})
	t.Run("missing programs are an error that says what to run", func(t *testing.T) {
		_, err := findAssets(root, []string{"etcd", "kube-apiserver", "kube-controller-manager"})
		if err == nil || !strings.Contains(err.Error(), "make test") {
			t.Errorf("got %v", err)
		}
	})
}
