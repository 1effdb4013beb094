package apifake

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const statusSubresource = "status"

// subresource is one subresource of every kind that has it.
type subresource struct {
	client *Client
	name   string
}

// Status implements client.Client.
func (c *Client) Status() client.SubResourceWriter { return c.SubResource(statusSubresource) }

// SubResource implements client.Client, for updates and patches of the status.
func (c *Client) SubResource(name string) client.SubResourceClient {
	return &subresource{client: c, name: name}
}

// check returns an error for objects without a status subresource.
func (w *subresource) check(obj client.Object, body client.Object) error {
	k, _, err := kindOf(obj)
	switch {
	case err != nil:
		return err
	case w.name != statusSubresource || !k.custom:
		return fmt.Errorf("apifake: the subresource %s of %s is not supported", w.name, k.gvk.Kind)
	case body != nil:
		return errors.New("apifake: a body apart from the object is not supported")
	}
	return nil
}

// Update implements client.SubResourceWriter.
func (w *subresource) Update(ctx context.Context, obj client.Object, opts ...client.SubResourceUpdateOption) error {
	o := (&client.SubResourceUpdateOptions{}).ApplyOptions(opts)
	if err := w.check(obj, o.SubResourceBody); err != nil {
		return err
	}
	return w.client.update(ctx, obj, w.name, o.DryRun)
}

// Patch implements client.SubResourceWriter, for merge patches.
func (w *subresource) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	o := (&client.SubResourcePatchOptions{}).ApplyOptions(opts)
	if err := w.check(obj, o.SubResourceBody); err != nil {
		return err
	}
	return w.client.patch(ctx, obj, patch, w.name, o.DryRun)
}

// Get is not supported.
func (w *subresource) Get(context.Context, client.Object, client.Object, ...client.SubResourceGetOption) error {
	return fmt.Errorf("apifake: reading the subresource %s is not supported", w.name)
}

// Create is not supported.
func (w *subresource) Create(context.Context, client.Object, client.Object, ...client.SubResourceCreateOption) error {
	return fmt.Errorf("apifake: creating the subresource %s is not supported", w.name)
}

// Apply is not supported.
func (w *subresource) Apply(context.Context, runtime.ApplyConfiguration, ...client.SubResourceApplyOption) error {
	return fmt.Errorf("apifake: server-side apply of the subresource %s is not supported", w.name)
}
