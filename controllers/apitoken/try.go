package apitoken

import (
	"context"
	"time"

	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// A new credential that is refused is tried again every tryAgain, until tryFor have passed
// since its attempt began. Both are within MintDeadline.
const (
	tryAgain = 5 * time.Second
	tryFor   = 45 * time.Second
)

// Try asks the provider whether it accepts the new credential, where the provider declares
// a request for that. Only a refusal ends the attempt: the credential that the Secret holds
// works, and must not give way to one that does not. One that was refused is published
// only once it is accepted. One without any answer is published, so that a data plane that
// is down causes no new credentials. One that is limited to addresses may be refused to
// the operator alone.
func (a *Attempt) Try(ctx context.Context) plan.Outcome {
	prober, can := provider.As[provider.Prober](a.conn.Client)
	if !a.tries() || !can {
		return nil
	}
	grant := plan.GrantOf(&a.p.token.Spec)
	for refused := false; ; {
		accepted, err := prober.Accepts(ctx, a.minted.Secret, grant)
		metrics.Operation(a.p.facts.DriverType, "probe", err)
		refused = refused || err == nil
		if accepted || !refused || len(grant.AllowedIPs)+len(grant.DeniedIPs) > 0 {
			return nil
		}
		if a.r.Clock.Monotonic()-a.beganMonotonic >= tryFor {
			break
		}
		if err := a.r.Clock.Sleep(ctx, tryAgain); err != nil {
			return failed(err)
		}
	}
	a.p.abandon(a.name)
	return a.r.providerFailed(a.p, "probe", &provider.Error{Code: provider.CodeUnknown, Message: "the provider refuses the credential that it has just issued. " +
		"The credential is revoked and was not published: check what spec.rest.probe of the provider sends, and its refusedStatuses"})
}

// tries reports whether a new credential is tried before it is published.
func (a *Attempt) tries() bool { return a.p.facts.Capabilities.TriesNew }
