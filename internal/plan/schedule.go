package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

// jitterShare: jitter moves a rotation earlier by at most this fraction of `before`.
const jitterShare = 10

// Lifetime is the declared lifetime of each credential; 0 with spec.expiresAt, where it
// depends on when the credential is issued.
func Lifetime(spec *v1alpha1.ApiTokenSpec) time.Duration {
	switch {
	case spec.ExpiresIn != nil:
		return spec.ExpiresIn.Duration
	case spec.ExpiresAt != nil:
		return 0
	default:
		return DefaultLifetime
	}
}

// ExpiryFor is when a credential issued now must end: after its lifetime, at the hard end, or
// after the longest lifetime that the provider allows (0: any). If the hard end is unreadable,
// it is now, because nothing may be issued.
func ExpiryFor(spec *v1alpha1.ApiTokenSpec, now time.Time, longest time.Duration) time.Time {
	end := now.Add(Lifetime(spec))
	if hard, err := spec.HardEnd(); err == nil && !hard.IsZero() {
		end = hard
		if longest > 0 && end.After(now.Add(longest)) {
			end = now.Add(longest)
		}
	}
	return end.UTC().Truncate(time.Second)
}

// Before is how long before its expiry a credential with this lifetime is replaced: as
// declared, or a third of the lifetime, and at most half of it. Computed values are in whole
// seconds.
func Before(spec *v1alpha1.ApiTokenSpec, lifetime time.Duration) time.Duration {
	before := part(lifetime, 3)
	if spec.Rotation.Before != nil {
		before = spec.Rotation.Before.Duration
	}
	return min(before, part(lifetime, 2))
}

// part is a fraction of a duration, in whole seconds if it is at least one second.
func part(d time.Duration, of int64) time.Duration {
	d /= time.Duration(of)
	if d < time.Second {
		return d
	}
	return d.Truncate(time.Second)
}

// Short formats a duration without its zero units: 1h, not 1h0m0s.
func Short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Overlap is how long the previous credential stays valid: as declared, or one hour, or half
// of `before` if that is shorter; at most `before`.
func Overlap(spec *v1alpha1.ApiTokenSpec, lifetime time.Duration) time.Duration {
	before := Before(spec, lifetime)
	overlap := min(DefaultOverlap, part(before, 2))
	if spec.Rotation.Overlap != nil {
		overlap = spec.Rotation.Overlap.Duration
	}
	return min(overlap, before)
}

// OverlapOf is how long a credential of the ledger stays valid after another one has replaced
// it.
func OverlapOf(spec *v1alpha1.ApiTokenSpec, e *v1alpha1.LedgerEntry) time.Duration {
	return Overlap(spec, LifetimeOf(spec, e))
}

// LifetimeOf is the lifetime of a credential of the ledger, or the declared one while it is
// unknown. If the granted lifetime differs from the requested one by at most AttemptTime and a
// hundredth, which an attempt and two clocks explain, it is the requested one.
func LifetimeOf(spec *v1alpha1.ApiTokenSpec, e *v1alpha1.LedgerEntry) time.Duration {
	if e.ExpiresAt == nil || e.IssuedAt == nil {
		return Lifetime(spec)
	}
	granted, wanted := e.ExpiresAt.Sub(e.IssuedAt.Time), asked(&Entry{LedgerEntry: *e})
	if (granted - wanted).Abs() <= min(AttemptTime, wanted/100) {
		return wanted
	}
	return granted
}

// RotationDue is when the schedule replaces the credential: `before` its own expiry, moved
// earlier by a jitter that depends only on UID and name, and never in the first half of its
// lifetime. Zero: never, because it does not expire, ends at the hard end, or the hard end is
// unreadable.
func RotationDue(uid string, spec *v1alpha1.ApiTokenSpec, e *v1alpha1.LedgerEntry) time.Time {
	if e.ExpiresAt == nil {
		return time.Time{}
	}
	issued := e.ExpiresAt.Add(-Lifetime(spec))
	if e.IssuedAt != nil {
		issued = e.IssuedAt.Time
	}
	return rotationDue(uid, spec, e.Name, issued, e.ExpiresAt.Time, LifetimeOf(spec, e))
}

func rotationDue(uid string, spec *v1alpha1.ApiTokenSpec, name string, issued, expires time.Time, lifetime time.Duration) time.Time {
	if end, err := spec.HardEnd(); err != nil || !end.IsZero() && !expires.Before(end) {
		return time.Time{}
	}
	before := Before(spec, lifetime)
	due := expires.Add(-before - jitter(uid, name, before/jitterShare))
	if half := issued.Add(expires.Sub(issued) / 2); due.Before(half) {
		return half
	}
	return due
}

// jitter spreads rotations over a window. It is the same at each reconcile.
func jitter(uid, name string, window time.Duration) time.Duration {
	if window <= 0 {
		return 0
	}
	sum := sha256.Sum256([]byte(uid + "/" + name))
	return time.Duration(binary.BigEndian.Uint64(sum[:8]) % uint64(window)) //nolint:gosec // G115: less than window
}
