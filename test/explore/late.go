package explore

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/test/support/apifake"
)

// landsWithin is how long a late request is under way: less than the time the
// protocol waits for it.
const landsWithin = 50 * time.Second

// lateClient lets writes of Secrets land after their sender gave up.
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

// hold keeps the write of a Secret under way when that is what goes wrong with it.
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

// landing is a write on its way to the API server.
type landing struct {
	at   time.Duration
	land func()
}
