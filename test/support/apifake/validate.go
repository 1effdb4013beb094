package apifake

import (
	"fmt"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

// The limits of the status in the schemas.
const (
	maxConditions = 16
	maxLedger     = 32
)

// invalidChange returns the changes that an update must not make.
func invalidChange(obj, old client.Object) field.ErrorList {
	var errs field.ErrorList
	meta := field.NewPath("metadata")
	if old.GetDeletionTimestamp() != nil {
		for _, f := range obj.GetFinalizers() {
			if !slices.Contains(old.GetFinalizers(), f) {
				errs = append(errs, field.Forbidden(meta.Child("finalizers"),
					fmt.Sprintf("no new finalizers can be added if the object is being deleted, found new finalizers %q", f)))
			}
		}
	}
	for _, fixed := range []struct {
		name     string
		now, was any
	}{
		{"uid", obj.GetUID(), old.GetUID()},
		{"deletionTimestamp", obj.GetDeletionTimestamp(), old.GetDeletionTimestamp()},
		{"deletionGracePeriodSeconds", obj.GetDeletionGracePeriodSeconds(), old.GetDeletionGracePeriodSeconds()},
	} {
		if !reflect.DeepEqual(fixed.now, fixed.was) {
			errs = append(errs, field.Invalid(meta.Child(fixed.name), fixed.now, "field is immutable"))
		}
	}
	if secret, ok := obj.(*corev1.Secret); ok {
		errs = append(errs, invalidSecretChange(secret, old.(*corev1.Secret))...)
	}
	return errs
}

func invalidSecretChange(secret, old *corev1.Secret) field.ErrorList {
	var errs field.ErrorList
	if secret.Type != old.Type {
		errs = append(errs, field.Invalid(field.NewPath("type"), secret.Type, "field is immutable"))
	}
	if old.Immutable != nil && *old.Immutable && !sameSecret(secret, old) {
		errs = append(errs, field.Forbidden(field.NewPath("data"), "field is immutable when `immutable` is set"))
	}
	return errs
}

// invalidStatus checks the lists in a status, as the schemas do. These are the only rules of
// the schemas that the operator can violate.
func invalidStatus(obj client.Object) field.ErrorList {
	status := field.NewPath("status")
	switch o := obj.(type) {
	case *v1alpha1.ApiToken:
		return append(invalidConditions(status.Child("conditions"), o.Status.Conditions),
			invalidLedger(status.Child("credentials"), o.Status.Credentials)...)
	case *v1alpha1.TokenProvider:
		return invalidConditions(status.Child("conditions"), o.Status.Conditions)
	case *v1alpha1.ClusterTokenProvider:
		return invalidConditions(status.Child("conditions"), o.Status.Conditions)
	}
	return nil
}

func invalidConditions(path *field.Path, conditions []metav1.Condition) field.ErrorList {
	var errs field.ErrorList
	if len(conditions) > maxConditions {
		errs = append(errs, field.TooMany(path, len(conditions), maxConditions))
	}
	for i, c := range conditions {
		if c.LastTransitionTime.IsZero() {
			errs = append(errs, field.Required(path.Index(i).Child("lastTransitionTime"), ""))
		}
		if c.Type == "" || c.Reason == "" || c.Status == "" {
			errs = append(errs, field.Invalid(path.Index(i), c, "type, status and reason must not be empty"))
		}
		if slices.ContainsFunc(conditions[:i], func(other metav1.Condition) bool { return other.Type == c.Type }) {
			errs = append(errs, field.Duplicate(path.Index(i), c.Type))
		}
	}
	return errs
}

func invalidLedger(path *field.Path, ledger []v1alpha1.LedgerEntry) field.ErrorList {
	var errs field.ErrorList
	if len(ledger) > maxLedger {
		errs = append(errs, field.TooMany(path, len(ledger), maxLedger))
	}
	for i, entry := range ledger {
		if entry.Name == "" {
			errs = append(errs, field.Required(path.Index(i).Child("name"), ""))
		}
		if slices.ContainsFunc(ledger[:i], func(other v1alpha1.LedgerEntry) bool { return other.Name == entry.Name }) {
			errs = append(errs, field.Duplicate(path.Index(i), entry.Name))
		}
	}
	return errs
}
