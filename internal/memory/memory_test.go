package memory

import (
	"reflect"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
)

// full returns a Memory with an entry for an ApiToken in each store.
func full(token types.NamespacedName) (*Memory, *v1alpha1.ApiToken) {
	m := New()
	t := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{
		Namespace: token.Namespace, Name: token.Name, UID: "u", ResourceVersion: "7", Finalizers: []string{v1alpha1.Finalizer},
	}}
	attempt := v1alpha1.LedgerEntry{Name: "a", State: v1alpha1.StateMinting}
	t.Status.Credentials = []v1alpha1.LedgerEntry{attempt}
	m.Attempts.Begin(token, &attempt)
	m.Wrote(t, 0)
	m.Proofs.Tried(token, "a", 0)
	m.Finds.Tried(token, "a", 0)
	m.Turns.Wait(token, 0)
	m.Absences.Note(token, Claim{UID: "u"}, "account", 0)
	m.Handovers.Refuse(token, "7", "it has no key")
	m.Contests.Wrote(token, "layout", 0)
	m.Failures.Note(token, Outcome{Rule: "issue", Failure: "no answer"}, 0)
	m.Ends.IsNew(token, "no such credential")
	m.Doubts.Add(token, "a", true)
	m.Doubts.Mark(account.Key{Name: "store"}, token, map[types.NamespacedName]bool{}, 1, 0)
	return m, t
}

// known returns how many ApiTokens each store remembers.
func known(m *Memory) []int {
	out := make([]int, len(m.stores))
	for i, s := range m.stores {
		out[i] = s.(interface{ len() int }).len()
	}
	return out
}

// TestForgetDropsEveryMemory: nothing is left of a deleted ApiToken, and everything of the
// others. full must fill every store, including that of a new memory.
func TestForgetDropsEveryMemory(t *testing.T) {
	m, _ := full(someToken)
	for i, n := range known(m) {
		if n != 1 {
			t.Errorf("store %d remembers %d ApiTokens, want 1: add a line to full", i, n)
		}
	}
	m.Forget(types.NamespacedName{Namespace: someToken.Namespace, Name: "other"})
	for i, n := range known(m) {
		if n != 1 {
			t.Errorf("store %d forgot another ApiToken", i)
		}
	}
	m.Forget(someToken)
	for i, n := range known(m) {
		if n != 0 {
			t.Errorf("store %d remembers a deleted ApiToken", i)
		}
	}
}

// TestReleasedKeepsTheLastWrite: a stale cache still shows an ApiToken with the finalizer that
// this process removed.
func TestReleasedKeepsTheLastWrite(t *testing.T) {
	m, token := full(someToken)
	m.Released(someToken)
	left := 0
	for _, n := range known(m) {
		left += n
	}
	if left != 1 || !m.Writes.After(token) {
		t.Errorf("%d memories are left, and the version with the finalizer is stale: %t", left, m.Writes.After(token))
	}
	m.Forget(someToken)
	if m.Writes.After(token) {
		t.Error("the last write is remembered")
	}
}

// TestEveryStoreIsRegistered: Forget covers every store by ApiToken.
func TestEveryStoreIsRegistered(t *testing.T) {
	m := New()
	registered := map[forgetter]bool{}
	for _, s := range m.stores {
		registered[s] = true
	}
	found := 0
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		switch {
		case v.Kind() == reflect.Map && v.Type().Key() == reflect.TypeFor[types.NamespacedName]():
			t.Errorf("%s is a map by ApiToken, which Forget does not know: use perToken", path)
		case v.Kind() == reflect.Pointer && v.Type().Implements(reflect.TypeFor[forgetter]()):
			found++
			if s, ok := reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem().Interface().(forgetter); !ok || !registered[s] {
				t.Errorf("%s is not registered: make it with perToken", path)
			}
		case v.Kind() == reflect.Pointer && !v.IsNil():
			walk(v.Elem(), path)
		case v.Kind() == reflect.Struct && v.Type().PkgPath() == reflect.TypeFor[Memory]().PkgPath():
			for i := range v.NumField() {
				walk(v.Field(i), path+"."+v.Type().Field(i).Name)
			}
		}
	}
	walk(reflect.ValueOf(m), "Memory")
	if found != len(m.stores) {
		t.Errorf("the Memory has %d stores by ApiToken, and Forget knows %d", found, len(m.stores))
	}
}
