package apifake

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// The verbs of a Call.
const (
	VerbGet    = "get"
	VerbList   = "list"
	VerbCreate = "create"
	VerbUpdate = "update"
	VerbPatch  = "patch"
	VerbDelete = "delete"
)

// Call is one request, or one read from a cache.
type Call struct {
	Verb, Subresource, Kind, Namespace, Name string
	DryRun, Cached                           bool
}

// Hook is called before and after each request of a process. No lock is held while it runs:
// it can block, panic or end the goroutine.
type Hook interface {
	// Before runs before the request is carried out. If it returns an error, the request is
	// never carried out.
	Before(ctx context.Context, call Call) error
	// After runs when the request was carried out with the result err, and returns the error
	// that the process gets. Unless both are nil, the process does not get the answer.
	After(ctx context.Context, call Call, err error) error
}

// Client is the connection of one process to a Server. A call that it does not support returns
// an error that names the call.
type Client struct {
	server *Server
	hook   Hook
	reader client.Reader
}

var _ client.Client = (*Client)(nil)

// Client returns a connection that calls the hook for every request. The hook can be nil.
func (s *Server) Client(hook Hook) *Client {
	return &Client{server: s, hook: hook}
}

// ReadingFrom returns a connection that writes like this one, and whose Get and List read from
// a reader, as the client of a manager reads from its cache.
func (c *Client) ReadingFrom(reader client.Reader) *Client {
	return &Client{server: c.server, hook: c.hook, reader: reader}
}

// do carries out one request, calls the hook, and calls deliver with the answer.
func do[R any](ctx context.Context, hook Hook, call Call, request func() (R, error), deliver func(R)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if hook != nil {
		if err := hook.Before(ctx, call); err != nil {
			return err
		}
	}
	answer, err := request()
	shown := err
	if hook != nil {
		shown = hook.After(ctx, call, err)
	}
	if err == nil && shown == nil && deliver != nil {
		deliver(answer)
	}
	return shown
}

// request is do for one object, with the server locked.
func (c *Client) request(ctx context.Context, call Call, answer client.Object, op func() (client.Object, error)) error {
	var deliver func(client.Object)
	if answer != nil {
		deliver = func(stored client.Object) { hand(stored, answer) }
	}
	return do(ctx, c.hook, call, func() (client.Object, error) { return c.server.do(op) }, deliver)
}

// hand gives a client its own copy of a stored object.
func hand(stored, out client.Object) {
	k, partial, err := kindOf(out)
	if err != nil {
		panic(err) // every caller has looked up the kind already
	}
	if partial {
		handMeta(k, stored, out.(*metav1.PartialObjectMetadata))
		return
	}
	k.copyInto(stored, out)
}

func callOf(verb string, k *kind, key Key, dryRun []string) Call {
	return Call{Verb: verb, Kind: k.gvk.Kind, Namespace: key.Namespace, Name: key.Name, DryRun: len(dryRun) > 0}
}

// Create implements client.Client.
func (c *Client) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	k, partial, err := kindOf(obj)
	if err != nil {
		return err
	}
	if partial {
		return errors.New("cannot create using only metadata")
	}
	if obj.GetName() == "" && obj.GetGenerateName() != "" {
		return errors.New("apifake: generateName is not supported")
	}
	o := (&client.CreateOptions{}).ApplyOptions(opts)
	call := callOf(VerbCreate, k, k.key(obj.GetNamespace(), obj.GetName()), o.DryRun)
	prepared := k.prepare(obj, false)
	return c.request(ctx, call, obj, func() (client.Object, error) {
		return c.server.create(k, prepared, call.DryRun)
	})
}

// Update implements client.Client.
func (c *Client) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	o := (&client.UpdateOptions{}).ApplyOptions(opts)
	return c.update(ctx, obj, "", o.DryRun)
}

func (c *Client) update(ctx context.Context, obj client.Object, subresource string, dryRun []string) error {
	k, partial, err := kindOf(obj)
	if err != nil {
		return err
	}
	if partial {
		return errors.New("cannot update using only metadata -- did you mean to patch?")
	}
	call := callOf(VerbUpdate, k, k.key(obj.GetNamespace(), obj.GetName()), dryRun)
	call.Subresource = subresource
	status := subresource != ""
	sent := change{kind: k, obj: k.prepare(obj, status), status: status, dryRun: call.DryRun}
	return c.request(ctx, call, obj, func() (client.Object, error) { return c.server.update(sent) })
}

// Patch implements client.Client, for merge patches.
func (c *Client) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	o := (&client.PatchOptions{}).ApplyOptions(opts)
	return c.patch(ctx, obj, patch, "", o.DryRun)
}

func (c *Client) patch(ctx context.Context, obj client.Object, patch client.Patch, subresource string, dryRun []string) error {
	p, err := newMergePatch(obj, patch)
	if err != nil {
		return err
	}
	call := callOf(VerbPatch, p.kind, p.key, dryRun)
	call.Subresource = subresource
	p.status, p.dryRun = subresource != "", call.DryRun
	return c.request(ctx, call, obj, func() (client.Object, error) { return c.server.patch(p) })
}

// Delete implements client.Client, for deletion in the background.
func (c *Client) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	k, _, err := kindOf(obj)
	if err != nil {
		return err
	}
	o := (&client.DeleteOptions{}).ApplyOptions(opts)
	if p := o.PropagationPolicy; p != nil && *p != metav1.DeletePropagationBackground {
		return fmt.Errorf("apifake: deletion with the propagation policy %s is not supported", *p)
	}
	key := k.key(obj.GetNamespace(), obj.GetName())
	call := callOf(VerbDelete, k, key, o.DryRun)
	return c.request(ctx, call, nil, func() (client.Object, error) {
		return nil, c.server.delete(k, key, o.Preconditions, call.DryRun)
	})
}

// DeleteAllOf is not supported.
func (c *Client) DeleteAllOf(context.Context, client.Object, ...client.DeleteAllOfOption) error {
	return errors.New("apifake: DeleteAllOf is not supported")
}

// Apply is not supported.
func (c *Client) Apply(context.Context, runtime.ApplyConfiguration, ...client.ApplyOption) error {
	return errors.New("apifake: server-side apply is not supported")
}

// Scheme implements client.Client.
func (c *Client) Scheme() *runtime.Scheme { return shared().scheme }

// RESTMapper implements client.Client.
func (c *Client) RESTMapper() meta.RESTMapper { return shared().mapper }

// GroupVersionKindFor implements client.Client.
func (c *Client) GroupVersionKindFor(obj runtime.Object) (schema.GroupVersionKind, error) {
	return apiutil.GVKForObject(obj, shared().scheme)
}

// IsObjectNamespaced implements client.Client.
func (c *Client) IsObjectNamespaced(obj runtime.Object) (bool, error) {
	k, _, err := kindOf(obj)
	if err != nil {
		return false, err
	}
	return k.namespaced, nil
}
