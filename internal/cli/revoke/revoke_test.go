package revoke

import (
	"testing"

	"k8s.io/client-go/rest"

	"apitoken.dev/operator/test/support/clitest"
)

// revoke deletes the ApiToken before it reads it.
func TestRevokeEndsWhenTheKindIsNoLongerServed(t *testing.T) {
	one := clitest.Token("one")
	s := clitest.Session(t, clitest.Unserved{Client: clitest.Client(t)})
	s.RESTConfig = &rest.Config{Host: clitest.Discovery(t, "")}
	if err := untilGone(t.Context(), s, one.Name, one.UID, 1); err != nil {
		t.Error(err)
	}
}
