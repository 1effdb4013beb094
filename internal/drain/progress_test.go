package drain

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
)

// When no ApiToken is left, the minting credentials can be deleted before the provider. The
// drain does not ask to create them again.
func TestProviderWithoutApiTokensNeedsNoCredentials(t *testing.T) {
	o := account.NewObject(v1alpha1.KindClusterTokenProvider)
	o.SetName("object-store")
	o.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue,
		Reason: v1alpha1.ReasonCredentialsMissing, Message: "Secret a/b does not exist; create it"}}
	var said strings.Builder
	p := newProgress(&said)
	p.changed(&survey{providers: []account.Object{o}})
	if got := said.String(); !strings.HasSuffix(got, "object-store: waiting for its finalizer to be removed\n") {
		t.Errorf("it says %q", got)
	}
}
