package wait

import (
	"testing"

	"k8s.io/client-go/rest"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/test/support/clitest"
)

// A CRD is removed after its last object, so a deleted ApiToken is gone once no version of its kind is
// served.
func TestDeletionEndsWhenTheKindIsNoLongerServed(t *testing.T) {
	for name, c := range map[string]struct {
		deleting bool
		server   string
		want     seen
	}{
		"deleted, and its kind is gone":            {true, clitest.Discovery(t, ""), gone},
		"deleted, and other kinds are left":        {true, clitest.Discovery(t, "v1alpha1", "tokenproviders"), gone},
		"deleted, and another version is served":   {true, clitest.Discovery(t, "v1", "apitokens"), notRead},
		"deleted, and the API server is down":      {true, "http://127.0.0.1:1", notRead},
		"not deleted when it was seen before that": {false, clitest.Discovery(t, ""), notRead},
	} {
		t.Run(name, func(t *testing.T) {
			one := clitest.Token("one")
			one.Finalizers = []string{v1alpha1.Finalizer}
			s := clitest.Session(t, clitest.Client(t, one))
			if c.deleting {
				if err := s.Client.Delete(t.Context(), one); err != nil {
					t.Fatal(err)
				}
			}
			s.RESTConfig = &rest.Config{Host: c.server}
			target := &Target{Name: one.Name, UID: one.UID, About: tokenstate.Reason}
			if got, state, err := look(t.Context(), s, target); err != nil || got == nil || state != there {
				t.Fatalf("it sees %v, %d, %v", got, state, err)
			}
			s.Client = clitest.Unserved{Client: s.Client}
			if got, state, err := look(t.Context(), s, target); err != nil || got != nil || state != c.want {
				t.Errorf("it sees %v, %d, %v; want %d", got, state, err, c.want)
			}
		})
	}
}
