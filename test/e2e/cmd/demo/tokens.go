package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

// What config/samples declares.
const (
	team         = "ml"
	providerName = "object-store"
	minterSecret = "object-store-minter"
	writer       = "training-data"
	writerSecret = "training-data-s3"
	reader       = "training-report"
	readerSecret = reader
	bucket       = "datasets"
	otherBucket  = "other-bucket"
)

// patience limits every wait that depends only on computers.
const patience = time.Minute

// isReady returns an error unless the conditions are Ready for this generation.
func isReady(what string, conditions []metav1.Condition, observed, generation int64) error {
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil:
		return fmt.Errorf("%s has no condition Ready", what)
	case ready.Status != metav1.ConditionTrue:
		return fmt.Errorf("%s: Ready is %s, %s: %s", what, ready.Status, ready.Reason, ready.Message)
	case observed != generation:
		return fmt.Errorf("%s: the status is for generation %d, not for %d", what, observed, generation)
	}
	return nil
}

// token waits until an ApiToken is Ready with an active credential for this
// rotation generation, and returns both.
func (d *demo) token(ctx context.Context, name string, rotation int64) (*v1alpha1.ApiToken, *v1alpha1.LedgerEntry, error) {
	t := &v1alpha1.ApiToken{}
	var active *v1alpha1.LedgerEntry
	err := eventually(ctx, patience, func() error {
		if err := d.cluster.Get(ctx, client.ObjectKey{Namespace: team, Name: name}, t); err != nil {
			return err
		}
		if err := isReady(name, t.Status.Conditions, t.Status.ObservedGeneration, t.Generation); err != nil {
			return err
		}
		if active = inState(t, v1alpha1.StateActive); active == nil || active.RotationGeneration < rotation {
			return fmt.Errorf("no credential for rotation generation %d is active: the ledger is %s", rotation, ledger(t))
		}
		return nil
	})
	return t, active, err
}

// inState returns the first entry in a state.
func inState(t *v1alpha1.ApiToken, state v1alpha1.CredentialState) *v1alpha1.LedgerEntry {
	for i := range t.Status.Credentials {
		if e := &t.Status.Credentials[i]; e.State == state {
			return e
		}
	}
	return nil
}

// ledger returns the entries of a ledger, one per line.
func ledger(t *v1alpha1.ApiToken) string {
	out := ""
	for i := range t.Status.Credentials {
		e := &t.Status.Credentials[i]
		if i > 0 {
			out += "\n"
		}
		out += fmt.Sprintf("%-9s %s", e.State, e.Name)
		if e.ID != "" {
			out += "  key " + short(e.ID)
		}
		if e.RetireAt != nil {
			out += "  until " + e.RetireAt.UTC().Format(time.TimeOnly)
		}
	}
	return out
}

// gone waits until an object no longer exists.
func (d *demo) gone(ctx context.Context, o client.Object) error {
	return eventually(ctx, patience, func() error {
		err := d.cluster.Get(ctx, client.ObjectKeyFromObject(o), o)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(fmt.Errorf("%T %s still exists", o, o.GetName()), err)
	})
}
