package apifake

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// StaleReader is the cache of one process. It shows the state of the server when the cache, or
// one kind in it, was last refreshed. Secrets and Namespaces can be read only as metadata.
type StaleReader struct {
	server  *Server
	hook    Hook
	secrets labels.Selector

	mu      sync.Mutex
	view    map[Key]client.Object
	indexes map[index]client.IndexerFunc
}

// index is a field of a kind by which a list can select objects.
type index struct{ kind, field string }

var (
	_ client.Reader       = (*StaleReader)(nil)
	_ client.FieldIndexer = (*StaleReader)(nil)
)

// IndexField implements client.FieldIndexer. As with a real cache, a list can then
// select objects by one value of the field, within all namespaces or one.
func (r *StaleReader) IndexField(_ context.Context, obj client.Object, field string, extract client.IndexerFunc) error {
	k, _, err := kindOf(obj)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.indexes == nil {
		r.indexes = map[index]client.IndexerFunc{}
	}
	r.indexes[index{k.gvk.Kind, field}] = extract
	return nil
}

// indexed returns the filter of a field selector, and the options without it.
func (r *StaleReader) indexed(k *kind, o *client.ListOptions) (func(client.Object) bool, *client.ListOptions, error) {
	if o.FieldSelector == nil || o.FieldSelector.Empty() {
		return func(client.Object) bool { return true }, o, nil
	}
	wanted := o.FieldSelector.Requirements()
	r.mu.Lock()
	extract := r.indexes[index{k.gvk.Kind, wanted[0].Field}]
	r.mu.Unlock()
	if extract == nil || len(wanted) != 1 || wanted[0].Operator != selection.Equals {
		return nil, nil, fmt.Errorf("apifake: no index for %s", o.FieldSelector)
	}
	plain := *o
	plain.FieldSelector = nil
	return func(obj client.Object) bool { return slices.Contains(extract(obj), wanted[0].Value) }, &plain, nil
}

// StaleReader returns a cache with the current state. It has the Secrets that the selector
// matches, or all if the selector is nil. The hook, which can be nil, is called for its reads
// with Cached set.
func (s *Server) StaleReader(hook Hook, secrets labels.Selector) *StaleReader {
	r := &StaleReader{server: s, hook: hook, secrets: secrets, view: make(map[Key]client.Object)}
	r.Refresh()
	return r
}

// Refresh brings the cache up to date, or only its objects of these kinds.
func (r *StaleReader) Refresh(kinds ...string) {
	wanted := func(key Key) bool { return len(kinds) == 0 || slices.Contains(kinds, key.Kind) }
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range r.view {
		if wanted(key) {
			delete(r.view, key)
		}
	}
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	for key, obj := range r.server.objects {
		if wanted(key) && r.selects(key, obj) {
			r.view[key] = obj
		}
	}
}

func (r *StaleReader) selects(key Key, obj client.Object) bool {
	return key.Kind != KindSecret || r.secrets == nil || r.secrets.Matches(labels.Set(obj.GetLabels()))
}

// Get implements client.Reader.
func (r *StaleReader) Get(ctx context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	k, partial, err := kindOf(obj)
	if err != nil {
		return err
	}
	if err := metadataOnly(k, partial); err != nil {
		return err
	}
	name := k.key(key.Namespace, key.Name)
	call := callOf(VerbGet, k, name, nil)
	call.Cached = true
	read := func() (client.Object, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if stored := r.view[name]; stored != nil {
			return stored, nil
		}
		return nil, apierrors.NewNotFound(schema.GroupResource{Group: k.gvk.Group, Resource: k.gvk.Kind}, name.Name)
	}
	return do(ctx, r.hook, call, read, func(stored client.Object) {
		hand(stored, obj)
		obj.GetObjectKind().SetGroupVersionKind(k.gvk)
	})
}

// List implements client.Reader.
func (r *StaleReader) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	k, partial, err := kindOf(list)
	if err != nil {
		return err
	}
	if err := metadataOnly(k, partial); err != nil {
		return err
	}
	matches, o, err := r.indexed(k, (&client.ListOptions{}).ApplyOptions(opts))
	if err != nil {
		return err
	}
	if err := checkListOptions(o); err != nil {
		return err
	}
	call := Call{Verb: VerbList, Kind: k.gvk.Kind, Namespace: o.Namespace, Cached: true}
	read := func() ([]client.Object, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		found := slices.DeleteFunc(pick(r.view, k, o), func(obj client.Object) bool { return !matches(obj) })
		if o.Limit > 0 && int64(len(found)) > o.Limit {
			found = found[:o.Limit]
		}
		return found, nil
	}
	var failed error
	err = do(ctx, r.hook, call, read, func(found []client.Object) {
		failed = handList(k, partial, k.gvk, found, list)
		list.SetContinue("continue-not-supported")
	})
	return cmp.Or(err, failed)
}

func metadataOnly(k *kind, partial bool) error {
	if !k.custom && !partial {
		return fmt.Errorf("apifake: a cache holds only the metadata of a %s; read it as PartialObjectMetadata", k.gvk.Kind)
	}
	return nil
}
