package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/pprof"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

// floor is a bare client: no cache, no queue, no events, no provider and no
// decision, only the durable writes of a first issue and the read before them.
type floor struct {
	client      client.Client
	traffic     *traffic
	concurrency int

	// What the operator wrote for its first token; the floor writes the same.
	reserved, recorded *v1alpha1.ApiTokenStatus
	secret             *corev1.Secret
}

func newFloor(cfg *rest.Config, concurrency int) (*floor, error) {
	t := &traffic{}
	c, err := newClient(t.configure(cfg, "bench-floor"))
	return &floor{client: c, traffic: t, concurrency: concurrency}, err
}

// learn copies what the operator wrote for a token.
func (f *floor) learn(ctx context.Context, u user, p *progress) error {
	var err error
	if f.reserved, f.recorded, err = p.samples(); err != nil {
		return err
	}
	found := &corev1.Secret{}
	key := client.ObjectKey{Namespace: mintedNamespace, Name: f.recorded.Secret.Name}
	if err := u.Get(ctx, key, found); err != nil {
		return fmt.Errorf("reading the Secret of the first token: %w", err)
	}
	f.secret = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: floorNamespace, Labels: found.Labels, Annotations: found.Annotations, OwnerReferences: found.OwnerReferences},
		Type:       found.Type, Data: found.Data,
	}
	return nil
}

// write makes the writes for all tokens.
func (f *floor) write(ctx context.Context, tokens []*v1alpha1.ApiToken) (err error) {
	pprof.Do(ctx, pprof.Labels("side", "floor"), func(ctx context.Context) {
		err = parallel(ctx, f.concurrency, len(tokens), func(ctx context.Context, i int) error { return f.writeOne(ctx, tokens[i]) })
	})
	return err
}

func (f *floor) writeOne(ctx context.Context, t *v1alpha1.ApiToken) error {
	for _, step := range []func(context.Context, *v1alpha1.ApiToken) error{f.finalizer, f.look, f.reserve, f.publish, f.record} {
		if err := step(ctx, t); err != nil {
			return fmt.Errorf("the floor's ApiToken %s: %w", t.Name, err)
		}
		t.ManagedFields = nil
	}
	return nil
}

func (f *floor) finalizer(ctx context.Context, t *v1alpha1.ApiToken) error {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": t.ResourceVersion, "finalizers": []string{v1alpha1.Finalizer},
	}})
	if err != nil {
		return err
	}
	return f.client.Patch(ctx, t, client.RawPatch(types.MergePatchType, body))
}

var errSecretExists = errors.New("its Secret exists already")

func (f *floor) look(ctx context.Context, t *v1alpha1.ApiToken) error {
	err := f.client.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: t.SecretName()}, &corev1.Secret{})
	if err == nil {
		return errSecretExists
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func (f *floor) reserve(ctx context.Context, t *v1alpha1.ApiToken) error {
	f.reserved.DeepCopyInto(&t.Status)
	return f.client.Status().Update(ctx, t)
}

func (f *floor) publish(ctx context.Context, t *v1alpha1.ApiToken) error {
	secret := f.secret.DeepCopy()
	secret.Name = t.SecretName()
	secret.OwnerReferences[0].Name, secret.OwnerReferences[0].UID = t.Name, t.UID
	return f.client.Create(ctx, secret)
}

func (f *floor) record(ctx context.Context, t *v1alpha1.ApiToken) error {
	f.recorded.DeepCopyInto(&t.Status)
	return f.client.Status().Update(ctx, t)
}
