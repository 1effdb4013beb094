package explore

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/test/support/apifake"
)

// landsWithin is how long a late request takes. It is less than the time that the
// protocol waits for a request to settle.
const landsWithin = 50 * time.Second

// lateClient delays writes of Secrets until after their sender gave up.
type lateClient struct {
	*apifake.Client
	p *process
}

// Create implements client.Client.
func (c *lateClient) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	if held, err := c.hold(ctx, obj, func(late context.Context, copied client.Object) { _ = c.Client.Create(late, copied, opts...) }); held {
		return err
	}
	return c.Client.Create(ctx, obj, opts...)
}

// Update implements client.Client.
func (c *lateClient) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	if held, err := c.hold(ctx, obj, func(late context.Context, copied client.Object) { _ = c.Client.Update(late, copied, opts...) }); held {
		return err
	}
	return c.Client.Update(ctx, obj, opts...)
}

// hold delays the write of a Secret if the fault of the request is late.
func (c *lateClient) hold(ctx context.Context, obj client.Object, send func(context.Context, client.Object)) (bool, error) {
	secret, ok := obj.(*corev1.Secret)
	if !ok || c.p.w.silent {
		return false, nil
	}
	call := apifake.Call{Verb: apifake.VerbUpdate, Kind: apifake.KindSecret, Name: secret.Name}
	if secret.ResourceVersion == "" {
		call.Verb = apifake.VerbCreate
	}
	if !c.p.fresh {
		c.p.pending, c.p.fresh = c.p.yield(pointOf(call)), true
	}
	if c.p.pending != late {
		return false, nil
	}
	c.p.pending, c.p.fresh, c.p.secretFailed = noFault, false, true
	copied := secret.DeepCopy()
	c.p.w.later = append(c.p.w.later, landing{at: c.p.w.now + landsWithin, land: func() {
		if c.p.w.refuses(call) == nil {
			send(context.WithoutCancel(ctx), copied)
		}
	}})
	return true, unavailable(call)
}

// landing is a write that has not reached the API server yet.
type landing struct {
	at   time.Duration
	land func()
}
