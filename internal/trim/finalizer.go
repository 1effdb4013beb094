package trim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

// SetFinalizer adds or removes the operator's finalizer, and changes nothing else. It
// reports whether it wrote. It fails with a conflict if the object has a newer version. A
// merge patch replaces the complete list of finalizers, so a list that the cache cut is
// read live first.
func SetFinalizer(ctx context.Context, c client.Client, live client.Reader, o client.Object, on bool) (bool, error) {
	if slices.Contains(o.GetFinalizers(), v1alpha1.Finalizer) == on {
		return false, nil
	}
	have := o.GetFinalizers()
	if o.GetAnnotations()[mark] == finalizersCut {
		var err error
		if have, err = liveFinalizers(ctx, c, live, o); err != nil {
			return false, err
		}
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": o.GetResourceVersion(), "uid": o.GetUID(), "finalizers": with(have, on),
	}})
	if err != nil {
		return false, fmt.Errorf("encoding the finalizers: %w", err)
	}
	if err := c.Patch(ctx, o, client.RawPatch(types.MergePatchType, body)); err != nil {
		return false, err
	}
	o.SetFinalizers(with(o.GetFinalizers(), on)) // an answer without finalizers does not clear them
	return true, nil
}

// with returns the finalizers with or without the operator's. The list is never nil, so a
// patch can empty it.
func with(have []string, on bool) []string {
	out := make([]string, 0, len(have)+1)
	for _, f := range have {
		if f != v1alpha1.Finalizer {
			out = append(out, f)
		}
	}
	if on {
		out = append(out, v1alpha1.Finalizer)
	}
	return out
}

func liveFinalizers(ctx context.Context, c client.Client, live client.Reader, o client.Object) ([]string, error) {
	gvk, err := apiutil.GVKForObject(o, c.Scheme())
	if err != nil {
		return nil, fmt.Errorf("finding the kind of %T: %w", o, err)
	}
	now := &metav1.PartialObjectMetadata{}
	now.SetGroupVersionKind(gvk)
	if err := live.Get(ctx, client.ObjectKeyFromObject(o), now); err != nil {
		return nil, err
	}
	if now.ResourceVersion != o.GetResourceVersion() || now.UID != o.GetUID() {
		return nil, apierrors.NewConflict(schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}, o.GetName(), errChanged)
	}
	return now.Finalizers, nil
}

var errChanged = errors.New("the object was changed after it was read")
