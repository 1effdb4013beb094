package apitoken

import (
	"errors"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/testutil"
)

// answer is a response that a driver keeps in the cause of an error.
type answer struct{}

func (answer) Error() string { return "an answer" }

// The operator keeps only the text of the condition in memory, however large the response was.
func TestRejectionKeepsNoProviderAnswer(t *testing.T) {
	for name, cause := range map[string]error{"an answer": answer{}, "an unverified endpoint": account.ErrEndpointUnverified} {
		t.Run(name, func(t *testing.T) {
			r, p := reconcileOf(t, fake.New(fake.NewBackend(testutil.NewClock(time.Unix(0, 0)))), v1alpha1.LedgerEntry{Name: "one", State: v1alpha1.StateMinting})
			a := &Attempt{r: r, p: p, name: "one", action: plan.Issue{Revision: 1}}
			failed := r.providerFailed(p, "mint", &provider.Error{
				Code: provider.CodeQuota, NotExecuted: true, RetryAfter: time.Minute, Message: "the provider rejected the request", Err: cause,
			})
			if out := a.reject(failed, plan.Rejection{Pause: time.Minute}); !errors.Is(plan.Err(out), cause) {
				t.Errorf("the reconcile ends with %v", out)
			}
			if len(p.token.Status.Credentials) > 0 {
				t.Error("the reservation is left")
			}
			why := r.memory.Attempts.Rejection(nameOf(p.token), "one")
			if why == nil || why.Failed.String() != failed.String() || why.How.Pause != time.Minute {
				t.Fatalf("remembered is %+v", why)
			}
			kept, ok := why.Failed.(plan.CallFailed)
			if !ok || kept.Cause.Code != provider.CodeQuota || errors.As(plan.Err(kept), new(answer)) {
				t.Errorf("remembered is %#v", why.Failed)
			}
			if unverified := errors.Is(cause, account.ErrEndpointUnverified); kept.Unverified != unverified {
				t.Errorf("that the endpoint is not verified: %t", kept.Unverified)
			}
		})
	}
}
