package memory

import (
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// TestTurnsOfOneNamespaceDelayNoOther, also if its ApiTokens are created and deleted all the time.
func TestTurnsOfOneNamespaceDelayNoOther(t *testing.T) {
	m := New()
	now := time.Duration(0)
	for i := range 10_000 {
		one := types.NamespacedName{Namespace: "many", Name: strconv.Itoa(i)}
		m.Turns.Wait(one, now)
		if i%2 == 0 {
			m.Forget(one)
		}
		now += time.Millisecond
	}
	if wait := m.Turns.Wait(types.NamespacedName{Namespace: "one", Name: "one"}, now); wait > 0 {
		t.Errorf("the only ApiToken of its namespace waits for %s", wait)
	}
	if len(m.Turns.next) != 2 {
		t.Errorf("%d namespaces are remembered", len(m.Turns.next))
	}
}
