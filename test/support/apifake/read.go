package apifake

import (
	"cmp"
	"context"
	"errors"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Get implements client.Client.
func (c *Client) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if c.reader != nil {
		return c.reader.Get(ctx, key, obj, opts...)
	}
	k, _, err := kindOf(obj)
	if err != nil {
		return err
	}
	if (&client.GetOptions{}).ApplyOptions(opts).Raw != nil {
		return errors.New("apifake: raw options are not supported")
	}
	name := k.key(key.Namespace, key.Name)
	return c.request(ctx, callOf(VerbGet, k, name, nil), obj, func() (client.Object, error) {
		if stored := c.server.objects[name]; stored != nil {
			return stored, nil
		}
		return nil, apierrors.NewNotFound(k.resource, name.Name)
	})
}

// List implements client.Client, with a namespace and a label selector.
func (c *Client) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if c.reader != nil {
		return c.reader.List(ctx, list, opts...)
	}
	k, partial, err := kindOf(list)
	if err != nil {
		return err
	}
	o := (&client.ListOptions{}).ApplyOptions(opts)
	if err := checkListOptions(o); err != nil {
		return err
	}
	call := Call{Verb: VerbList, Kind: k.gvk.Kind, Namespace: o.Namespace}
	var revision int64
	read := func() ([]client.Object, error) {
		c.server.mu.Lock()
		defer c.server.mu.Unlock()
		revision = c.server.revision()
		found := pick(c.server.objects, k, o)
		if o.Limit > 0 && int64(len(found)) > o.Limit {
			return nil, errors.New("apifake: paging is not supported, and there are more objects than the limit")
		}
		return found, nil
	}
	item := schema.GroupVersionKind{}
	if k.custom { // the real server sets the kind only in items of custom kinds
		item = k.gvk
	}
	var failed error
	err = do(ctx, c.hook, call, read, func(found []client.Object) {
		failed = handList(k, partial, item, found, list)
		list.SetResourceVersion(strconv.FormatInt(revision, 10))
	})
	return cmp.Or(err, failed)
}

func checkListOptions(o *client.ListOptions) error {
	switch {
	case o.FieldSelector != nil && !o.FieldSelector.Empty():
		return errors.New("apifake: field selectors are not supported")
	case o.Continue != "":
		return errors.New("apifake: paging is not supported")
	case o.Raw != nil:
		return errors.New("apifake: raw options are not supported")
	}
	return nil
}

// pick returns the objects that a list selects, in the order of the real server.
func pick(objects map[Key]client.Object, k *kind, o *client.ListOptions) []client.Object {
	var found []client.Object
	for key, obj := range objects {
		if key.Kind != k.gvk.Kind || (k.namespaced && o.Namespace != "" && key.Namespace != o.Namespace) {
			continue
		}
		if o.LabelSelector == nil || o.LabelSelector.Matches(labels.Set(obj.GetLabels())) {
			found = append(found, obj)
		}
	}
	sortObjects(found)
	return found
}

// handList gives a client its own copy of a list. Typed items have the kind gvk.
func handList(k *kind, partial bool, gvk schema.GroupVersionKind, found []client.Object, list client.ObjectList) error {
	if partial {
		out := list.(*metav1.PartialObjectMetadataList)
		out.Items = make([]metav1.PartialObjectMetadata, len(found))
		for i, stored := range found {
			handMeta(k, stored, &out.Items[i])
		}
		return nil
	}
	items := make([]runtime.Object, len(found))
	for i, stored := range found {
		items[i] = stored.DeepCopyObject()
		items[i].GetObjectKind().SetGroupVersionKind(gvk)
	}
	return meta.SetList(list, items)
}

// handMeta copies the metadata of a stored object.
func handMeta(k *kind, stored client.Object, out *metav1.PartialObjectMetadata) {
	out.SetGroupVersionKind(k.gvk)
	metaOf(stored).DeepCopyInto(&out.ObjectMeta)
}
