package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

// end deletes everything that was declared.
func (d *demo) end(ctx context.Context) error {
	d.out.heading("Delete: kubectl delete")
	w, err := d.workload(ctx, writerSecret)
	if err != nil {
		return err
	}
	r, err := d.workload(ctx, readerSecret)
	if err != nil {
		return err
	}
	steps := []step{
		{"apitoken/" + writer + " is deleted, and its Secret with it", func() (string, error) {
			return d.delete(ctx, token(writer), secret(writerSecret))
		}},
		{"its key is rejected", func() (string, error) { return d.refusedNow(ctx, w) }},
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: team}}
	steps = append(steps, step{"namespace/" + team + " is deleted, with apitoken/" + reader + " in it", func() (string, error) {
		return d.delete(ctx, namespace, token(reader), secret(readerSecret))
	}})
	steps = append(steps,
		step{"its key is rejected, and so is every earlier key", func() (string, error) { return d.refusedNow(ctx, append(d.revoked, w, r)...) }},
		step{"clustertokenprovider/" + providerName + " is deleted: nothing uses it any more", func() (string, error) {
			return d.delete(ctx, &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: providerName}})
		}},
		step{"the provider has no users of the operator", func() (string, error) { return d.noneHeld(ctx) }},
		step{"the operator's log has no secret values, and no right was missing", d.logIsClean},
	)
	if !d.keep {
		steps = append(steps, step{"the operator stops on SIGTERM", d.endsWell})
	}
	for _, s := range steps {
		if err := d.out.check(ctx, s.claim, s.verify); err != nil {
			return err
		}
	}
	return nil
}

// endsWell stops the operator.
func (d *demo) endsWell() (string, error) {
	if early := d.running.ended(); early != nil {
		return "", fmt.Errorf("it ended by itself: %w", early)
	}
	return "exit code 0", d.running.stop()
}

func token(name string) client.Object {
	return &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: name}}
}

func secret(name string) client.Object {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: name}}
}

// delete deletes an object and waits until it and its dependents are gone.
func (d *demo) delete(ctx context.Context, o client.Object, dependents ...client.Object) (string, error) {
	if err := d.cluster.Delete(ctx, o); err != nil {
		return "", err
	}
	for _, each := range append([]client.Object{o}, dependents...) {
		if err := d.gone(ctx, each); err != nil {
			return "", err
		}
	}
	return "", nil
}

// refusedNow checks that revoked keys are rejected.
func (d *demo) refusedNow(ctx context.Context, revoked ...*workload) (string, error) {
	code := ""
	for _, w := range revoked {
		var err error
		code, err = refusal("a request with key "+short(w.keyID), func() error { return w.list(ctx, bucket) })
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d answered %s", len(revoked), code), nil
}
