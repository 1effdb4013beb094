package plan_test

import (
	"fmt"
	"testing"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

const day = 24 * time.Hour

// lived is the ledger entry of a credential issued now.
func lived(lifetime time.Duration) *v1alpha1.LedgerEntry {
	return &v1alpha1.LedgerEntry{Name: "own-active", IssuedAt: at(now), ExpiresAt: at(now.Add(lifetime))}
}

func rotating(before, overlap time.Duration) *v1alpha1.ApiTokenSpec {
	spec := &v1alpha1.ApiTokenSpec{}
	if before > 0 {
		spec.Rotation.Before = lasting(before)
	}
	if overlap > 0 {
		spec.Rotation.Overlap = lasting(overlap)
	}
	return spec
}

func TestBeforeAndOverlapFitTheLifetime(t *testing.T) {
	cases := map[string]struct {
		reason                string
		before, overlap       time.Duration // declared; 0: absent
		lifetime              time.Duration
		wantBefore, wantAfter time.Duration
	}{
		"defaults":                 {"before is a third of the lifetime, overlap 1h", 0, 0, 90 * day, 30 * day, time.Hour},
		"defaults, short lifetime": {"overlap is half of before where that is under 1h", 0, 0, 3 * time.Hour, time.Hour, 30 * time.Minute},
		"declared":                 {"declared values hold", 10 * day, 2 * day, 90 * day, 10 * day, 2 * day},
		"half of the lifetime":     {"before is at most half the lifetime", 45 * day, 0, 90 * day, 45 * day, time.Hour},
		"over half":                {"a provider that shortened the lifetime shortens before", 45 * day, 0, 60 * day, 30 * day, time.Hour},
		"overlap over before":      {"overlap is at most before", time.Hour, 5 * time.Hour, 90 * day, time.Hour, time.Hour},
		"overlap over cut before":  {"overlap is at most what is left of before", 45 * day, 40 * day, 2 * day, day, day},
		"shortest lifetime":        {"a lifetime of a minute still rotates", 0, 0, time.Minute, 20 * time.Second, 10 * time.Second},
		"no lifetime":              {"without a lifetime there is no window", time.Hour, time.Hour, 0, 0, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			spec := rotating(tc.before, tc.overlap)
			if got := plan.Before(spec, tc.lifetime); got != tc.wantBefore {
				t.Errorf("%s: Before is %s, want %s", tc.reason, got, tc.wantBefore)
			}
			if got := plan.Overlap(spec, tc.lifetime); got != tc.wantAfter {
				t.Errorf("%s: Overlap is %s, want %s", tc.reason, got, tc.wantAfter)
			}
		})
	}
}

func TestRotationDueStaysInItsWindow(t *testing.T) {
	for _, lifetime := range []time.Duration{time.Minute, time.Hour, day, 90 * day, 3650 * day} {
		for _, share := range []time.Duration{0, 2, 3, 10, 1000} {
			spec := &v1alpha1.ApiTokenSpec{}
			if share > 0 {
				spec.Rotation.Before = lasting(lifetime / share)
			}
			before := plan.Before(spec, lifetime)
			latest, half := now.Add(lifetime-before), now.Add(lifetime/2)
			earliest := latest.Add(-before / 10)
			if earliest.Before(half) {
				earliest = half
			}
			for i := range 200 {
				due := plan.RotationDue(fmt.Sprintf("uid-%d", i), spec, lived(lifetime))
				if due.Before(earliest) || due.After(latest) {
					t.Fatalf("lifetime %s, before %s: due %s after issue, want %s to %s: jitter moves it earlier by a tenth of before, not into the first half",
						lifetime, before, due.Sub(now), earliest.Sub(now), latest.Sub(now))
				}
			}
		}
	}
}

func TestRotationDueIsStable(t *testing.T) {
	spec, e := rotating(0, 0), lived(90*day)
	first := plan.RotationDue("uid", spec, e)
	if again := plan.RotationDue("uid", spec.DeepCopy(), e.DeepCopy()); !again.Equal(first) {
		t.Errorf("due %s, then %s: the jitter must not change between looks", first, again)
	}
	if want := time.Date(2026, time.April, 29, 19, 19, 25, 0, time.UTC); !first.Truncate(time.Second).Equal(want) {
		t.Errorf("due %s, want %s as ever: another version of the operator must not move rotations", first, want)
	}
}

func TestRotationDueSpreads(t *testing.T) {
	const tokens, buckets = 2000, 10
	spec := rotating(0, 0)
	latest, window := now.Add(60*day), 3*day
	var counts [buckets]int
	for i := range tokens {
		early := latest.Sub(plan.RotationDue(fmt.Sprintf("uid-%d", i), spec, lived(90*day)))
		counts[early*buckets/(window+1)]++
	}
	for i, n := range counts {
		if n < tokens/buckets*7/10 || n > tokens/buckets*13/10 {
			t.Errorf("tenth %d of the window has %d of %d rotations: they do not spread; all: %v", i, n, tokens, counts)
		}
	}
	e := lived(90 * day)
	one := plan.RotationDue("uid", spec, e)
	e.Name = "own-next"
	if plan.RotationDue("uid", spec, e).Equal(one) {
		t.Error("the next credential of an ApiToken has the same jitter: the name must count")
	}
}

func TestRotationDueIsBetweenHalfLifeAndExpiry(t *testing.T) {
	end := func(in time.Duration) *v1alpha1.ApiTokenSpec {
		return &v1alpha1.ApiTokenSpec{ExpiresAt: written(now.Add(in))}
	}
	unissued := lived(90 * day)
	unissued.IssuedAt = nil
	cases := map[string]struct {
		reason string
		spec   *v1alpha1.ApiTokenSpec
		entry  *v1alpha1.LedgerEntry
		// from and to bound the wanted time; both zero: never.
		from, to time.Duration
	}{
		"no expiry":                {"what does not end is not rotated", &v1alpha1.ApiTokenSpec{}, &v1alpha1.LedgerEntry{IssuedAt: at(now)}, 0, 0},
		"ends at the hard end":     {"nothing is rotated past the hard end", end(day), lived(day), 0, 0},
		"ends after the hard end":  {"nothing is rotated past the hard end", end(day), lived(2 * day), 0, 0},
		"ends before the hard end": {"a provider that issues for less needs several credentials", end(10 * day), lived(3 * day), 3 * day / 2, 2 * day},
		"issue time not known":     {"the declared lifetime stands in for it", &v1alpha1.ApiTokenSpec{}, unissued, 57 * day, 60 * day},
		"lifetime not known":       {"then it is due at its expiry", end(10 * day), &v1alpha1.LedgerEntry{ExpiresAt: at(now.Add(day))}, day, day},
		"before of half the lifetime": {"jitter never reaches into the first half",
			rotating(45*day, 0), lived(90 * day), 45 * day, 45 * day},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			due := plan.RotationDue("uid", tc.spec, tc.entry)
			if tc.to == 0 {
				if !due.IsZero() {
					t.Errorf("%s: due %s, want never", tc.reason, due)
				}
				return
			}
			if due.Before(now.Add(tc.from)) || due.After(now.Add(tc.to)) {
				t.Errorf("%s: due in %s, want in %s to %s", tc.reason, due.Sub(now), tc.from, tc.to)
			}
		})
	}
}

func TestExpiryEndsAtTheEarliestLimit(t *testing.T) {
	hardEnd := written(now.Add(10 * day))
	cases := map[string]struct {
		reason  string
		spec    v1alpha1.ApiTokenSpec
		longest time.Duration
		want    time.Duration
	}{
		"default":                      {"90 days", v1alpha1.ApiTokenSpec{}, 0, 90 * day},
		"declared lifetime":            {"expiresIn from now", v1alpha1.ApiTokenSpec{ExpiresIn: lasting(time.Hour)}, 0, time.Hour},
		"lifetime over the limit":      {"it is refused, not cut in silence", v1alpha1.ApiTokenSpec{ExpiresIn: lasting(time.Hour)}, time.Minute, time.Hour},
		"hard end":                     {"exactly at it", v1alpha1.ApiTokenSpec{ExpiresAt: hardEnd}, 0, 10 * day},
		"hard end within the limit":    {"exactly at it", v1alpha1.ApiTokenSpec{ExpiresAt: hardEnd}, 11 * day, 10 * day},
		"hard end at the limit":        {"exactly at it", v1alpha1.ApiTokenSpec{ExpiresAt: hardEnd}, 10 * day, 10 * day},
		"hard end beyond the limit":    {"as far as the provider goes", v1alpha1.ApiTokenSpec{ExpiresAt: hardEnd}, day, day},
		"hard end within a second":     {"whole seconds, never later", v1alpha1.ApiTokenSpec{ExpiresAt: text("2026-03-11T12:00:00.9Z")}, 0, 10 * day},
		"hard end that is unreadable":  {"at once: nothing may be issued", v1alpha1.ApiTokenSpec{ExpiresAt: text("2026-03-11T12:00:00z")}, 0, 0},
		"lifetime with part of second": {"whole seconds, never later", v1alpha1.ApiTokenSpec{ExpiresIn: lasting(time.Minute + 999*time.Millisecond)}, 0, time.Minute},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := plan.ExpiryFor(&tc.spec, now, tc.longest)
			if !got.Equal(now.Add(tc.want)) || got.Location() != time.UTC {
				t.Errorf("%s: %s, want %s", tc.reason, got, now.Add(tc.want))
			}
		})
	}
}

func TestLifetimeIsDeclaredOrTheDefault(t *testing.T) {
	cases := map[string]struct {
		reason string
		spec   v1alpha1.ApiTokenSpec
		want   time.Duration
	}{
		"default":  {"90 days", v1alpha1.ApiTokenSpec{}, 90 * day},
		"declared": {"as declared", v1alpha1.ApiTokenSpec{ExpiresIn: lasting(time.Hour)}, time.Hour},
		"hard end": {"it depends on when the credential is issued", v1alpha1.ApiTokenSpec{ExpiresAt: written(now)}, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := plan.Lifetime(&tc.spec); got != tc.want {
				t.Errorf("%s: %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

// TestHardEndWithinASecond: with any part of a second in a hard end, one credential
// lasts until it, and access has ended when that credential has.
func TestHardEndWithinASecond(t *testing.T) {
	for _, fraction := range []string{"", ".000000001", ".5", ".999999999"} {
		spec := &v1alpha1.ApiTokenSpec{ExpiresAt: text("2026-03-11T12:00:42" + fraction + "Z")}
		end := now.Add(10*day + 42*time.Second)
		e := &v1alpha1.LedgerEntry{Name: "own-active", IssuedAt: at(now), ExpiresAt: at(plan.ExpiryFor(spec, now, 0))}
		if due := plan.RotationDue("uid", spec, e); !e.ExpiresAt.Time.Equal(end) || !due.IsZero() {
			t.Errorf("%q: the credential ends %s and is rotated %s, want %s and never", fraction, e.ExpiresAt, due, end)
		}
		o := observe(live, declared(func(s *v1alpha1.ApiTokenSpec) { s.ExpiresAt = spec.ExpiresAt }))
		o.Now = end
		if d := plan.Next(o); d.Reason != v1alpha1.ReasonExpired {
			t.Errorf("%q: when the credential ends, the reason is %s: %s", fraction, d.Reason, d.Message)
		}
	}
}

// TestHardEndIsReached walks along the rotations of a provider that issues for
// less than the hard end: the last credential ends there, and none after it.
func TestHardEndIsReached(t *testing.T) {
	end := now.Add(10 * day)
	spec := &v1alpha1.ApiTokenSpec{ExpiresAt: written(end)}
	issued, credentials := now, 0
	for due := now; !due.IsZero(); credentials++ {
		issued = due
		e := &v1alpha1.LedgerEntry{Name: fmt.Sprintf("own-%d", credentials), IssuedAt: at(issued), ExpiresAt: at(plan.ExpiryFor(spec, issued, 3*day))}
		if e.ExpiresAt.After(end) {
			t.Fatalf("credential %d ends at %s, after the hard end %s", credentials, e.ExpiresAt, end)
		}
		if due = plan.RotationDue("uid", spec, e); !due.IsZero() && !due.After(issued) {
			t.Fatalf("credential %d is due the moment it is issued", credentials)
		}
	}
	if last := plan.ExpiryFor(spec, issued, 3*day); !last.Equal(end) {
		t.Errorf("the last credential ends at %s, want the hard end %s", last, end)
	}
	if credentials < 4 || credentials > 6 {
		t.Errorf("%d credentials of 3 days reach 10 days, want about 5", credentials)
	}
}

// TestTimesAreWholeSeconds: the second that an attempt or a clock took is not shown, and a
// third of a lifetime is whole seconds.
func TestTimesAreWholeSeconds(t *testing.T) {
	cases := map[string]struct {
		asked, granted time.Duration
		want           [3]string
	}{
		"exact":                        {2 * time.Hour, 2 * time.Hour, [3]string{"2h", "40m", "20m"}},
		"a second more":                {2 * time.Hour, 2*time.Hour + time.Second, [3]string{"2h", "40m", "20m"}},
		"a slow attempt":               {2 * time.Hour, 2*time.Hour - 70*time.Second, [3]string{"2h", "40m", "20m"}},
		"the provider gives less":      {2 * time.Hour, 100 * time.Minute, [3]string{"1h40m", "33m20s", "16m40s"}},
		"no thirds":                    {100 * time.Minute, 100 * time.Minute, [3]string{"1h40m", "33m20s", "16m40s"}},
		"odd seconds":                  {7201 * time.Second, 7201 * time.Second, [3]string{"2h0m1s", "40m", "20m"}},
		"a minute, and a second less":  {time.Minute, 59 * time.Second, [3]string{"59s", "19s", "9s"}},
		"not known what was asked for": {0, 7201 * time.Second, [3]string{"2h0m1s", "40m", "20m"}},
	}
	for name, c := range cases {
		spec := &v1alpha1.ApiTokenSpec{}
		e := &v1alpha1.LedgerEntry{IssuedAt: at(now), ExpiresAt: at(now.Add(c.granted)), LifetimeSeconds: int64(c.asked / time.Second)}
		lifetime := plan.LifetimeOf(spec, e)
		got := [3]string{plan.Short(lifetime), plan.Short(plan.Before(spec, lifetime)), plan.Short(plan.OverlapOf(spec, e))}
		if got != c.want {
			t.Errorf("%s: lifetime, before and overlap %v, want %v", name, got, c.want)
		}
	}
}
