package orphansweep

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"apitoken.dev/operator/internal/audit"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

const (
	// The reasons of the events on a provider.
	reasonFound   = "OrphanedCredentials"
	reasonRevoked = "OrphanedCredentialsRevoked"
	// namesInEvent and namesInLog are how many names an event and the log of a sweep list.
	namesInEvent = 5
	namesInLog   = 100
)

// act reports the orphans of an account and, in mode Revoke, revokes them.
func (r *round) act(ctx context.Context, inv inventory, orphans []orphan) error {
	s, key := r.s, inv.object.Key()
	var failed error
	if s.o.Mode == Revoke {
		orphans, failed = s.revoke(ctx, inv, orphans)
	}
	orphans = r.first(inv.connection.AccountKey, orphans)
	left := len(orphans) + inv.left
	s.report(key, left, inv.complete)
	if len(orphans) == 0 {
		return failed
	}
	for _, o := range orphans[:min(len(orphans), namesInLog)] {
		s.o.Logger.Info("orphaned credential: no ledger knows it", "provider", key.String(), "name", o.Name, "id", o.ID,
			"state", o.State, "created", o.CreatedAt, "expires", o.ExpiresAt, "spared", o.spared)
	}
	if more := left - namesInLog; more > 0 {
		s.o.Logger.Info("more orphaned credentials", "provider", key.String(), "number", more)
	}
	s.o.Recorder.Eventf(inv.object.Raw, nil, corev1.EventTypeWarning, reasonFound, "Sweep",
		"%d credentials of this cluster are in no ledger: %s. If nothing uses them, revoke them at the provider, or run the operator with --sweep-mode=Revoke.",
		left, list(orphans, left))
	return failed
}

// revocable returns the orphans to revoke: those that have expired, and the others unless
// there are too many of them (plan.TooMany), which suggests a mistake. Expired orphans are
// useless to anyone, so they do not count.
func (s *Sweeper) revocable(inv inventory, orphans []orphan) []orphan {
	var ended, useless []orphan
	unexpired := inv.left
	for _, o := range orphans {
		switch {
		case o.expired:
			ended = append(ended, o)
			continue
		case o.spared == "":
			useless = append(useless, o)
		}
		unexpired++
	}
	if plan.TooMany(unexpired, inv.total-len(ended)) {
		s.o.Logger.Info("too many orphaned credentials, which suggests a mistake: only expired ones are revoked", "provider", inv.object.Key().String(),
			"orphans", unexpired, "credentials", inv.total)
		return ended
	}
	return append(ended, useless...)
}

// revoke revokes the revocable orphans and returns those that are left.
func (s *Sweeper) revoke(ctx context.Context, inv inventory, orphans []orphan) ([]orphan, error) {
	gone := map[sighting]bool{}
	var failed []error
	var revoked []orphan
	ctx = audit.With(ctx, audit.Subject{Why: audit.Why{Reason: audit.ReasonOrphaned, AskedBy: audit.AskedBySweep}})
	for _, o := range s.revocable(inv, orphans) {
		if ctx.Err() != nil {
			failed = append(failed, ctx.Err())
			break
		}
		if err := inv.connection.Client.Revoke(ctx, provider.Ref{Name: o.Name, ID: o.ID}); err != nil {
			failed = append(failed, fmt.Errorf("revoking %s: %w", o.Name, provider.AsError(err)))
			continue
		}
		gone[sighting{o.Name, o.ID}] = true
		revoked = append(revoked, o)
		s.o.Logger.Info("revoked an orphaned credential", "provider", inv.object.Key().String(), "name", o.Name, "id", o.ID, "expired", o.expired)
	}
	if len(revoked) > 0 {
		s.o.Recorder.Eventf(inv.object.Raw, nil, corev1.EventTypeNormal, reasonRevoked, "Sweep",
			"%d credentials that were in no ledger were revoked: %s", len(revoked), list(revoked, len(revoked)))
	}
	var left []orphan
	for _, o := range orphans {
		if !gone[sighting{o.Name, o.ID}] {
			left = append(left, o)
		}
	}
	return left, errors.Join(failed...)
}

// list names the first orphans and counts the rest.
func list(orphans []orphan, all int) string {
	names := make([]string, 0, namesInEvent)
	for _, o := range orphans[:min(len(orphans), namesInEvent)] {
		names = append(names, o.Name)
	}
	out := strings.Join(names, ", ")
	if more := all - len(names); more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}
