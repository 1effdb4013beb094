package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
)

// jitterShare of `before` is the most that jitter moves a rotation earlier.
const jitterShare = 10

// Lifetime is the lifetime declared for each credential; 0 with spec.expiresAt,
// where it depends on when the credential is issued.
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

// ExpiryFor is when a credential issued now has to end: after its lifetime, at
// the hard end, or after the longest lifetime a provider allows (0: any). With a
// hard end that cannot be read it is now: nothing may be issued.
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

// Before is how long ahead of its expiry a credential that lives so long is
// replaced: as declared, or a third of its lifetime, and never over half of it. What is
// computed is in whole seconds.
func Before(spec *v1alpha1.ApiTokenSpec, lifetime time.Duration) time.Duration {
	before := part(lifetime, 3)
	if spec.Rotation.Before != nil {
		before = spec.Rotation.Before.Duration
	}
	return min(before, part(lifetime, 2))
}

// part is a part of a duration, in whole seconds where there are any.
func part(d time.Duration, of int64) time.Duration {
	d /= time.Duration(of)
	if d < time.Second {
		return d
	}
	return d.Truncate(time.Second)
}

// Short writes a duration without its empty parts: 1h, not 1h0m0s.
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

// Overlap is how long the previous credential lives on: as declared, or one
// hour, or half of `before` where that is shorter; never over `before`.
func Overlap(spec *v1alpha1.ApiTokenSpec, lifetime time.Duration) time.Duration {
	before := Before(spec, lifetime)
	overlap := min(DefaultOverlap, part(before, 2))
	if spec.Rotation.Overlap != nil {
		overlap = spec.Rotation.Overlap.Duration
	}
	return min(overlap, before)
}

// OverlapOf is how long a credential of the ledger lives on after another one has
// replaced it.
func OverlapOf(spec *v1alpha1.ApiTokenSpec, e *v1alpha1.LedgerEntry) time.Duration {
	return Overlap(spec, LifetimeOf(spec, e))
}

// LifetimeOf is how long a credential of the ledger lives; while that is not known, as long
// as is declared. It is the lifetime that was asked for when the granted one differs only by
// what an attempt and two clocks take: AttemptTime, and no more than a hundredth of it.
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

// RotationDue is when the credential is to be replaced: `before` ahead of its
// own expiry, moved earlier by a jitter that depends on UID and name only, and
// never in the first half of its life. Zero: never, because it does not expire,
// or ends at the hard end, or the hard end cannot be read.
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

// jitter spreads rotations over a window, the same way at every look.
func jitter(uid, name string, window time.Duration) time.Duration {
	if window <= 0 {
		return 0
	}
	sum := sha256.Sum256([]byte(uid + "/" + name))
	return time.Duration(binary.BigEndian.Uint64(sum[:8]) % uint64(window)) //nolint:gosec // G115: less than window
}
