package account

import (
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

// silent are the fields of a provider's status that wake no ApiToken: they change often,
// and no decision reads them.
var silent = map[string]bool{"LastError": true, "LiveCredentials": true}

// TestEveryFieldOfAProviderStatusWakesItsApiTokens fails for a new field that wakes no
// ApiToken, which would otherwise wait for it until the next resync.
func TestEveryFieldOfAProviderStatusWakesItsApiTokens(t *testing.T) {
	for _, empty := range []client.Object{&v1alpha1.TokenProvider{}, &v1alpha1.ClusterTokenProvider{}} {
		status := reflect.TypeOf(v1alpha1.ProviderStatus{})
		for i := range status.NumField() {
			name := status.Field(i).Name
			before, after := empty, Of(empty.DeepCopyObject().(client.Object))
			fill(t, reflect.ValueOf(after.Status).Elem().Field(i))
			if got := FactsDiffer(before, after.Raw); got == silent[name] {
				t.Errorf("%T: a change of status.%s wakes: %v", empty, name, got)
			}
		}
	}
}

// fill sets a field to a value.
func fill(t *testing.T, f reflect.Value) {
	t.Helper()
	switch f.Interface().(type) {
	case []metav1.Condition:
		f.Set(reflect.ValueOf([]metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady}}))
	case []string:
		f.Set(reflect.ValueOf([]string{"objectstorage:object-read-only"}))
	case *v1alpha1.ProviderError:
		f.Set(reflect.ValueOf(&v1alpha1.ProviderError{Operation: "connect"}))
	case string:
		f.SetString("x")
	case int32, int64:
		f.SetInt(7)
	default:
		t.Fatalf("this test cannot fill a %s: teach it to", f.Type())
	}
}

func TestOnlyChangedFactsWakeApiTokens(t *testing.T) {
	ready := func(c metav1.Condition) client.Object {
		c.Type = v1alpha1.ConditionReady
		return &v1alpha1.TokenProvider{
			ObjectMeta: metav1.ObjectMeta{Finalizers: []string{v1alpha1.Finalizer}},
			Status:     v1alpha1.ProviderStatus{Endpoint: "https://api.example.com", Conditions: []metav1.Condition{c}},
		}
	}
	works := metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady}
	lost := ready(works)
	lost.SetFinalizers(nil)
	now := metav1.NewTime(time.Date(2030, 1, 31, 0, 0, 0, 0, time.UTC))
	deleting := ready(works)
	deleting.SetDeletionTimestamp(&now)
	for name, c := range map[string]struct {
		is    client.Object
		wakes bool
	}{
		"nothing changed":           {ready(works), false},
		"another text and time":     {ready(metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, Message: "x", LastTransitionTime: now}), false},
		"not ready":                 {ready(metav1.Condition{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonUnreachable}), true},
		"ready for a new spec":      {ready(metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, ObservedGeneration: 2}), true},
		"the finalizer is gone":     {lost, true},
		"it is being deleted":       {deleting, true},
		"an object of another kind": {&v1alpha1.ApiToken{}, true},
	} {
		if got := FactsDiffer(ready(works), c.is); got != c.wakes {
			t.Errorf("%s: wakes %v, want %v", name, got, c.wakes)
		}
	}
}
