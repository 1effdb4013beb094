// Package observe gathers what a decision about an ApiToken depends on. The reconciler,
// kubectl apitoken plan and manager render get their facts here, so they cannot disagree
// about them. It calls no provider and writes nothing.
package observe

import (
	"context"
	"fmt"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/secretstore"
)

// Objects reads the other objects that a decision depends on. Callers must not change the
// results.
type Objects interface {
	// NamespaceEnding reports whether a namespace is being deleted.
	NamespaceEnding(ctx context.Context, name string) (bool, error)
	// Referencing returns the ApiTokens that refer to a provider.
	Referencing(ctx context.Context, key account.Key) ([]v1alpha1.ApiToken, error)
	// Unfinished returns those of Referencing that are unfinished (account.IsUnfinished).
	Unfinished(ctx context.Context, key account.Key) ([]v1alpha1.ApiToken, error)
}

// Providers returns facts about providers. *connections.Pool implements it.
type Providers interface {
	Facts(ctx context.Context, key account.Key, namespace string, grant provider.Grant) (account.Facts, error)
	// Sharing returns the providers that have the account of this one, itself included.
	Sharing(ctx context.Context, key account.Key) (same []account.Key, settled bool, err error)
}

// Secrets reads the metadata of Secrets. *secretstore.Store implements it.
type Secrets interface {
	Cached(ctx context.Context, t secretstore.Target) (seen secretstore.Snapshot, pending bool, err error)
	HandoverVersion(ctx context.Context, t secretstore.Target) (string, error)
}

// Sources are what Gather reads facts from.
type Sources struct {
	Objects   Objects
	Providers Providers
	Secrets   Secrets
	// Memory is what this process remembers; empty in a program that makes no attempts.
	Memory *memory.Memory
	Clock  clock.Clock
	// Cluster is the identity hash of the cluster.
	Cluster string
}

// Evidence is an Observation and its sources.
type Evidence struct {
	// Key is the provider, and Facts are the facts about it.
	Key   account.Key
	Facts account.Facts
	// Target is the desired Secret, and Seen the Secret in the cache. Pending: the cache
	// does not show the last write of this process yet.
	Target  secretstore.Target
	Seen    secretstore.Snapshot
	Pending bool
	// NamespaceEnding: the namespace is being deleted.
	NamespaceEnding bool
	Observation     plan.Observation
}

// Gather returns the Observation of an ApiToken. It corrects times in the status of token
// that a clock ahead of time has left there (ledger.Correct).
func Gather(ctx context.Context, from *Sources, token *v1alpha1.ApiToken) (*Evidence, error) {
	now := from.Clock.Now()
	ledger.Correct(&token.Status, now, func(e *v1alpha1.LedgerEntry) time.Duration { return plan.OverlapOf(&token.Spec, e) })
	out := &Evidence{Key: account.KeyFor(token)}
	var err error
	if out.Facts, err = from.Providers.Facts(ctx, out.Key, token.Namespace, plan.GrantOf(&token.Spec)); err != nil {
		return nil, fmt.Errorf("reading the provider: %w", err)
	}
	out.Target = secretstore.TargetOf(token, out.Facts.Driver, out.Facts.Config)
	if out.Seen, out.Pending, err = from.Secrets.Cached(ctx, out.Target); err != nil {
		return nil, err
	}
	if out.NamespaceEnding, err = from.Objects.NamespaceEnding(ctx, token.Namespace); err != nil {
		return nil, err
	}
	o := &out.Observation
	*o = plan.Observation{
		Now: now, Token: from.Token(token, out.NamespaceEnding), Ledger: from.Ledger(token, &out.Facts),
		Secret: out.Seen.View, Provider: Provider(token, &out.Facts, from.Cluster, now), Failed: from.Memory.Failures.Of(nameOf(token)),
	}
	if o.Provider.Shared, err = from.Shared(ctx, token, &out.Facts); err != nil {
		return nil, err
	}
	o.Handover, err = from.handover(ctx, token, out)
	return out, err
}

// handover returns whether a credential was submitted for a manual provider, and whether
// this process has already refused it.
func (s *Sources) handover(ctx context.Context, token *v1alpha1.ApiToken, e *Evidence) (plan.Handover, error) {
	out := plan.Handover{Secret: e.Target.HandoverName()}
	if !e.Observation.Provider.Manual() {
		return out, nil
	}
	version, err := s.Secrets.HandoverVersion(ctx, e.Target)
	if err != nil || version == "" {
		return out, err
	}
	out.Exists, out.Refused = true, s.Memory.Handovers.Refusal(nameOf(token), version)
	return out, nil
}
