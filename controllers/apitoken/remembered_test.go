package apitoken

import (
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// TestClaimsOfOneNamespaceDelayNoOther: also if they are made and deleted all the time.
func TestClaimsOfOneNamespaceDelayNoOther(t *testing.T) {
	var c claims
	now := time.Duration(0)
	for i := range 10_000 {
		one := types.NamespacedName{Namespace: "many", Name: strconv.Itoa(i)}
		c.wait(one, now)
		if i%2 == 0 {
			c.forget(one)
		}
		now += time.Millisecond
	}
	if wait := c.wait(types.NamespacedName{Namespace: "one", Name: "one"}, now); wait > 0 {
		t.Errorf("the only claim of its namespace waits for %s", wait)
	}
	if len(c.next) != 2 {
		t.Errorf("%d namespaces are remembered", len(c.next))
	}
}
