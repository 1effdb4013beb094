package kit

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/testutil"
)

// poll is the interval in which a Kit retries a check.
const poll = 20 * time.Millisecond

// Until waits until why returns an empty string. Otherwise why says what is still missing;
// the test fails with that after testutil.Patience.
func (k *Kit) Until(why func() string) {
	k.Helper()
	var last string
	err := wait.PollUntilContextTimeout(k.Context(), poll, testutil.Patience, true, func(context.Context) (bool, error) {
		last = why()
		return last == "", nil
	})
	if err != nil {
		k.Fatalf("%s\n%s", last, k.dump())
	}
}

// Eventually waits until a check returns no error.
func (k *Kit) Eventually(check func() error) {
	k.Helper()
	k.Until(func() string {
		if err := check(); err != nil {
			return err.Error()
		}
		return ""
	})
}

func (k *Kit) dump() string {
	if k.Dump == nil {
		return ""
	}
	return k.Dump()
}

// ExpectGone waits until an object does not exist, or its kind does not.
func (k *Kit) ExpectGone(o client.Object) {
	k.Helper()
	k.Eventually(func() error {
		err := k.Get(k.Context(), client.ObjectKeyFromObject(o), o)
		switch {
		case err == nil:
			return fmt.Errorf("%T %s still exists", o, o.GetName())
		case meta.IsNoMatchError(err):
			return nil
		default:
			return client.IgnoreNotFound(err)
		}
	})
}

// Condition is what a test expects of a condition. Empty fields expect nothing.
type Condition struct {
	Type   string
	Status metav1.ConditionStatus
	Reason string
	// Says are parts of the message.
	Says []string
}

// ExpectCondition waits until an object has a condition for its current generation. The
// object then has its state of the last read.
func (k *Kit) ExpectCondition(o client.Object, want Condition) metav1.Condition {
	k.Helper()
	var got metav1.Condition
	k.Until(func() string {
		if !k.Exists(o) {
			return o.GetName() + " does not exist"
		}
		c := meta.FindStatusCondition(k.conditions(o), want.Type)
		if c == nil {
			return fmt.Sprintf("%s has no condition %s", o.GetName(), want.Type)
		}
		got = *c
		return want.differs(c, o)
	})
	return got
}

// differs returns how a condition differs from what is wanted; "" if it does not.
func (want *Condition) differs(c *metav1.Condition, o client.Object) string {
	switch {
	case c.ObservedGeneration != o.GetGeneration():
		return fmt.Sprintf("%s of %s is about generation %d, not %d", c.Type, o.GetName(), c.ObservedGeneration, o.GetGeneration())
	case want.Status != "" && c.Status != want.Status, want.Reason != "" && c.Reason != want.Reason:
		return fmt.Sprintf("%s of %s is %s %s, want %s %s: %s", c.Type, o.GetName(), c.Status, c.Reason, want.Status, want.Reason, c.Message)
	}
	for _, part := range want.Says {
		if !strings.Contains(c.Message, part) {
			return fmt.Sprintf("%s %s of %s does not say %q: %s", c.Type, c.Reason, o.GetName(), part, c.Message)
		}
	}
	return ""
}

// ExpectReady waits until an object is Ready for its current generation.
func (k *Kit) ExpectReady(o client.Object) {
	k.Helper()
	k.ExpectCondition(o, Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue})
}

// conditions are those of any object that has some.
func (k *Kit) conditions(o client.Object) []metav1.Condition {
	k.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	k.OK(err)
	list, _, err := unstructured.NestedSlice(content, "status", "conditions")
	k.OK(err)
	var out struct {
		Conditions []metav1.Condition `json:"conditions"`
	}
	k.OK(runtime.DefaultUnstructuredConverter.FromUnstructured(map[string]any{"conditions": list}, &out))
	return out.Conditions
}

// ExpectEqual reports how got differs from want, and what is compared.
func (k *Kit) ExpectEqual(what string, want, got any) {
	k.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		k.Errorf("%s differs (-want +got):\n%s", what, diff)
	}
}
