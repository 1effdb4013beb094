package wait

import (
	"context"
	"fmt"
	"strings"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/output"
	"apitoken.dev/operator/internal/cli/session"
)

// UntilRevoked waits until credentials have left the ledger.
func UntilRevoked(ctx context.Context, s *session.Session, t *v1alpha1.ApiToken, previous map[string]string, timeout time.Duration) error {
	w := &Target{Name: t.Name, UID: t.UID, Timeout: timeout, About: func(t *v1alpha1.ApiToken) string { return Leaving(s, t, previous) }}
	w.Done = func(_ context.Context, t *v1alpha1.ApiToken) (bool, error) {
		if t == nil {
			return false, ErrGone
		}
		return Leaving(s, t, previous) == "", nil
	}
	if err := Until(ctx, s, w); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "apitoken.apitoken.dev/%s previous credentials revoked\n", t.Name)
	return nil
}

// Leaving says which of some credentials the ledger still has; empty: none.
func Leaving(s *session.Session, t *v1alpha1.ApiToken, names map[string]string) string {
	var parts []string
	for i := range t.Status.Credentials {
		e := &t.Status.Credentials[i]
		key, is := names[e.Name]
		switch {
		case !is:
		case e.State == v1alpha1.StateRetiring && e.RetireAt != nil && s.Clock.Now().Before(e.RetireAt.Time):
			parts = append(parts, key+" stays valid until "+output.Stamp(e.RetireAt.Time))
		default:
			parts = append(parts, fmt.Sprintf("%s (%s) is not revoked yet", key, e.State))
		}
	}
	return strings.Join(parts, ", ")
}
