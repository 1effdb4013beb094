package apitoken_test

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/fake"
)

// hook sets a function that is called before and after the effect of every provider call.
func (w *world) hook(f func(context.Context, fake.Call) fake.Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onCall = f
}

// witness checks the invariants at every call of the provider.
func (w *world) witness(ctx context.Context, call fake.Call) fake.Fault {
	w.mu.Lock()
	hook := w.onCall
	w.mu.Unlock()
	//nolint:contextcheck // the operator's context would bring its logger along
	if err := w.judge(context.WithoutCancel(w.Context()), call); err != nil {
		w.Errorf("%s %s of %s: %v", call.Phase, call.Verb, call.Name, err)
	}
	if hook != nil {
		return hook(ctx, call)
	}
	return fake.Fault{}
}

func (w *world) judge(ctx context.Context, call fake.Call) error {
	switch {
	case call.Phase != fake.Before:
		return nil
	case call.Verb == fake.Mint:
		return w.judgeMint(ctx, call)
	case call.Verb == fake.Revoke:
		return w.judgeRevoke(ctx, call)
	}
	return nil
}

// judgeMint: the name is in the ledger before the credential can exist.
func (w *world) judgeMint(ctx context.Context, call fake.Call) error {
	t := &v1alpha1.ApiToken{}
	if err := w.Get(ctx, client.ObjectKey{Namespace: w.ns, Name: call.Owner.Token}, t); err != nil {
		return fmt.Errorf("its ApiToken cannot be read: %w", err)
	}
	for i := range t.Status.Credentials {
		if t.Status.Credentials[i].Name == call.Name {
			return nil
		}
	}
	return errors.New("it is in no ledger")
}

// judgeRevoke: a credential is not revoked while the Secret of an ApiToken names it. A
// Secret or ApiToken that is being deleted does not count, nor does an expired credential.
func (w *world) judgeRevoke(ctx context.Context, call fake.Call) error {
	var tokens v1alpha1.ApiTokenList
	var secrets corev1.SecretList
	if err := errors.Join(w.List(ctx, &tokens, client.InNamespace(w.ns)), w.List(ctx, &secrets, client.InNamespace(w.ns))); err != nil {
		return err
	}
	deleting := map[string]bool{}
	for i := range tokens.Items {
		t := &tokens.Items[i]
		gap := t.Status.GapSince != nil && t.Spec.Rotation.Strategy == v1alpha1.RevokeFirst // an accepted gap
		deleting[t.Name] = !t.DeletionTimestamp.IsZero() || gap || w.timeIsUp(t, call.Name)
	}
	for i := range secrets.Items {
		a := secrets.Items[i].Annotations
		if secrets.Items[i].DeletionTimestamp != nil {
			continue
		}
		if stays, known := deleting[a[v1alpha1.AnnotationToken]]; known && !stays && call.Name != "" && a[v1alpha1.AnnotationCredential] == call.Name {
			return fmt.Errorf("secret %s holds it", secrets.Items[i].Name)
		}
	}
	return nil
}

// timeIsUp reports whether the hard end of the ApiToken or the expiry of its credential has passed.
func (w *world) timeIsUp(t *v1alpha1.ApiToken, credential string) bool {
	now := w.clock.Now()
	if end, err := t.Spec.HardEnd(); err == nil && !end.IsZero() && !now.Before(end) {
		return true
	}
	return slices.ContainsFunc(t.Status.Credentials, func(e v1alpha1.LedgerEntry) bool {
		return e.Name == credential && e.ExpiresAt != nil && !now.Before(e.ExpiresAt.Time)
	})
}

// checkCredentials runs at the end of every test. No name was minted twice, and every live credential is
// in a ledger or excused.
func (w *world) checkCredentials() {
	ctx := context.WithoutCancel(w.Context())
	for _, call := range w.backend.Calls() {
		if n := w.backend.MintCount(call.Name); n > 1 {
			w.Errorf("credential %s was minted %d times", call.Name, n)
		}
	}
	var tokens v1alpha1.ApiTokenList
	if err := w.List(ctx, &tokens, client.InNamespace(w.ns)); err != nil {
		w.Error(err)
	}
	known := w.excused
	for i := range tokens.Items {
		for _, e := range tokens.Items[i].Status.Credentials {
			known[e.Name] = true
		}
	}
	for _, name := range w.backend.LiveNames() {
		if !known[name] {
			w.Errorf("credential %s is live and in no ledger", name)
		}
	}
}
