package orphansweep

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/provider"
)

const (
	// The reasons of the events on a provider.
	reasonFound   = "OrphanedCredentials"
	reasonRevoked = "OrphanedCredentialsRevoked"
	// namesInEvent is how many names an event lists; the log has all.
	namesInEvent = 5
)

// act reports the orphans of an account and, in that mode, revokes them.
func (s *Sweeper) act(ctx context.Context, inv inventory, orphans []orphan) error {
	key := inv.object.Key()
	var failed error
	if s.o.Mode == Revoke {
		orphans, failed = s.revoke(ctx, inv, orphans)
	}
	s.reported[key] = true
	setOrphans(key, len(orphans))
	if len(orphans) == 0 {
		return failed
	}
	for _, o := range orphans {
		s.o.Logger.Info("orphaned credential: no ledger knows it", "provider", key.String(), "name", o.Name, "id", o.ID,
			"live", o.Live, "created", o.CreatedAt, "spared", o.spared)
	}
	s.o.Recorder.Eventf(inv.object.Raw, nil, corev1.EventTypeWarning, reasonFound, "Sweep",
		"%d credentials of this cluster are in no ledger: %s. If nothing uses them, revoke them at the provider, or run the operator with --sweep-mode=Revoke.",
		len(orphans), list(orphans))
	return failed
}

// revoke revokes what may be revoked and returns the orphans that are left.
func (s *Sweeper) revoke(ctx context.Context, inv inventory, orphans []orphan) ([]orphan, error) {
	due := revocable(orphans)
	if tooMany(len(orphans), len(inv.credentials)) {
		s.o.Logger.Info("so many orphaned credentials look like a mistake: nothing is revoked", "provider", inv.object.Key().String(),
			"orphans", len(orphans), "credentials", len(inv.credentials))
		return orphans, nil
	}
	gone := map[string]bool{}
	var failed []error
	var revoked []orphan
	for _, o := range due {
		if err := inv.client.Revoke(ctx, provider.Ref{Name: o.Name, ID: o.ID}); err != nil {
			failed = append(failed, fmt.Errorf("revoking %s: %w", o.Name, provider.AsError(err)))
			continue
		}
		gone[o.Name] = true
		revoked = append(revoked, o)
		s.o.Logger.Info("revoked an orphaned credential", "provider", inv.object.Key().String(), "name", o.Name, "id", o.ID)
	}
	if len(revoked) > 0 {
		s.o.Recorder.Eventf(inv.object.Raw, nil, corev1.EventTypeNormal, reasonRevoked, "Sweep",
			"%d credentials that were in no ledger were revoked: %s", len(revoked), list(revoked))
	}
	var left []orphan
	for _, o := range orphans {
		if !gone[o.Name] {
			left = append(left, o)
		}
	}
	return left, errors.Join(failed...)
}

// forgetProviders drops the numbers of providers that are gone.
func (s *Sweeper) forgetProviders(providers []connections.Object) {
	there := map[connections.Key]bool{}
	for _, o := range providers {
		there[o.Key()] = true
	}
	for key := range s.reported {
		if !there[key] {
			delete(s.reported, key)
			forgetOrphans(key)
		}
	}
}

func list(orphans []orphan) string {
	names := make([]string, 0, namesInEvent)
	for _, o := range orphans[:min(len(orphans), namesInEvent)] {
		names = append(names, o.Name)
	}
	out := strings.Join(names, ", ")
	if more := len(orphans) - namesInEvent; more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}
