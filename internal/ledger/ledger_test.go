package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
)

const day = 24 * time.Hour

var now = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

func at(after time.Duration) *metav1.Time {
	t := metav1.NewTime(now.Add(after))
	return &t
}

// minting, active and retiring are entries as the operator makes them.
func minting(name string) v1alpha1.LedgerEntry {
	return v1alpha1.LedgerEntry{
		Name: name, State: v1alpha1.StateMinting, Account: "acme", Reason: "Scheduled", ReservedAt: at(0), ExpiresAt: at(90 * day),
		LifetimeSeconds: int64(90 * day / time.Second), Fingerprint: "f1", Fixed: "x1", RotationGeneration: 2,
	}
}

func active(name string) v1alpha1.LedgerEntry {
	e := minting(name)
	e.State, e.ID, e.IssuedAt = v1alpha1.StateActive, "AKID-"+name, at(0)
	return e
}

func edited(e v1alpha1.LedgerEntry, edit func(*v1alpha1.LedgerEntry)) v1alpha1.LedgerEntry {
	edit(&e)
	return e
}

func status(entries ...v1alpha1.LedgerEntry) v1alpha1.ApiTokenStatus {
	return v1alpha1.ApiTokenStatus{Credentials: entries, Revision: 7}
}

func with(s v1alpha1.ApiTokenStatus, edit func(*v1alpha1.ApiTokenStatus)) v1alpha1.ApiTokenStatus {
	edit(&s)
	return s
}

func hour(*v1alpha1.LedgerEntry) time.Duration { return time.Hour }

// change is one call of the package under test.
type change func(*v1alpha1.ApiTokenStatus)

// changes are the changes of state, one case each.
func changes() map[string]struct {
	before v1alpha1.ApiTokenStatus
	change change
	after  v1alpha1.ApiTokenStatus
} {
	retry := &v1alpha1.Retry{Failures: 3, NotBefore: *at(time.Minute)}
	reservation := ledger.Reservation{
		Name: "b", Revision: 8, Account: "acme", Reason: "Scheduled", At: now.Add(300 * time.Millisecond), ExpiresAt: now.Add(90 * day),
		Fingerprint: "f1", Fixed: "x1", RotationGeneration: 2,
	}
	terms := ledger.Terms{
		ID: "AKID-b", Account: "acme", IssuedAt: now, ExpiresAt: now.Add(90 * day), Lifetime: 90 * day,
		Fingerprint: "f1", RotationGeneration: 2, Revision: 9,
	}
	type c = struct {
		before v1alpha1.ApiTokenStatus
		change change
		after  v1alpha1.ApiTokenStatus
	}
	return map[string]c{
		"reserve": {status(), func(s *v1alpha1.ApiTokenStatus) { ledger.Reserve(s, reservation) },
			with(status(minting("b")), func(s *v1alpha1.ApiTokenStatus) { s.Revision = 8 })},
		"reserve keeps the highest rotation generation": {
			status(edited(active("a"), func(e *v1alpha1.LedgerEntry) { e.RotationGeneration = 5 })),
			func(s *v1alpha1.ApiTokenStatus) { ledger.Reserve(s, reservation) },
			with(status(edited(active("a"), func(e *v1alpha1.LedgerEntry) { e.RotationGeneration = 5 }),
				edited(minting("b"), func(e *v1alpha1.LedgerEntry) { e.RotationGeneration = 5 })),
				func(s *v1alpha1.ApiTokenStatus) { s.Revision = 8 })},
		"issue": {status(minting("b")), func(s *v1alpha1.ApiTokenStatus) { ledger.Issue(s, "b", now, "AKID-b", now.Add(100*day)) },
			status(edited(active("b"), func(e *v1alpha1.LedgerEntry) { e.State = v1alpha1.StateMinting }))},
		"issue takes an earlier expiry": {status(minting("b")), func(s *v1alpha1.ApiTokenStatus) { ledger.Issue(s, "b", now, "AKID-b", now.Add(day)) },
			status(edited(active("b"), func(e *v1alpha1.LedgerEntry) { e.State, e.ExpiresAt = v1alpha1.StateMinting, at(day) }))},
		"identify without an expiry takes none away": {
			status(edited(active("b"), func(e *v1alpha1.LedgerEntry) { e.ID = "" })),
			func(s *v1alpha1.ApiTokenStatus) { ledger.Identify(s, "b", "AKID-b", time.Time{}) }, status(active("b"))},
		"adopt": {status(minting("b")), func(s *v1alpha1.ApiTokenStatus) { ledger.Adopt(s, "b", terms) },
			status(edited(active("b"), func(e *v1alpha1.LedgerEntry) { e.State = v1alpha1.StateMinting }))},
		"restore": {status(), func(s *v1alpha1.ApiTokenStatus) { ledger.Restore(s, "b", "Restored", "x1", true, terms) },
			with(status(edited(active("b"), func(e *v1alpha1.LedgerEntry) {
				e.State, e.Reason, e.ReservedAt, e.ByHand = v1alpha1.StateMinting, "Restored", nil, true
			})), func(s *v1alpha1.ApiTokenStatus) { s.Revision = 9 })},
		"adopt a newer one": {
			status(), func(s *v1alpha1.ApiTokenStatus) {
				ledger.AdoptRetiring(s, "b", "Restored", false, now.Add(time.Hour), terms)
			},
			with(status(edited(active("b"), func(e *v1alpha1.LedgerEntry) {
				e.State, e.Reason, e.ReservedAt, e.Fixed, e.RetireAt = v1alpha1.StateRetiring, "Restored", nil, "", at(time.Hour)
			})), func(s *v1alpha1.ApiTokenStatus) { s.Revision = 9 })},
		"activate": {
			with(status(active("a"), minting("b")), func(s *v1alpha1.ApiTokenStatus) { s.Retry = retry }),
			func(s *v1alpha1.ApiTokenStatus) { ledger.Activate(s, "b", now, hour) },
			status(edited(active("a"), func(e *v1alpha1.LedgerEntry) { e.State, e.RetireAt = v1alpha1.StateRetiring, at(time.Hour+time.Second) }),
				edited(minting("b"), func(e *v1alpha1.LedgerEntry) { e.State = v1alpha1.StateActive }))},
		"activate ends the overlap at the expiry": {
			status(edited(active("a"), func(e *v1alpha1.LedgerEntry) { e.ExpiresAt = at(time.Minute) }), minting("b")),
			func(s *v1alpha1.ApiTokenStatus) { ledger.Activate(s, "b", now, hour) },
			status(edited(active("a"), func(e *v1alpha1.LedgerEntry) {
				e.State, e.ExpiresAt, e.RetireAt = v1alpha1.StateRetiring, at(time.Minute), at(time.Minute)
			}), edited(minting("b"), func(e *v1alpha1.LedgerEntry) { e.State = v1alpha1.StateActive }))},
		"abandon": {status(minting("b")), func(s *v1alpha1.ApiTokenStatus) { ledger.Abandon(s, "b") },
			status(edited(minting("b"), func(e *v1alpha1.LedgerEntry) { e.State = v1alpha1.StateAbandoned }))},
		"retire": {status(active("a"), active("b")), func(s *v1alpha1.ApiTokenStatus) { ledger.Retire(s, now.Add(time.Millisecond), "a", "c") },
			status(edited(active("a"), func(e *v1alpha1.LedgerEntry) { e.State, e.RetireAt = v1alpha1.StateRetiring, at(0) }), active("b"))},
		"drop": {status(active("a"), minting("b")), func(s *v1alpha1.ApiTokenStatus) { ledger.Drop(s, "a") }, status(minting("b"))},
		"reject": {
			with(status(active("a"), minting("b")), func(s *v1alpha1.ApiTokenStatus) { s.Revision = 8 }),
			func(s *v1alpha1.ApiTokenStatus) { ledger.Reject(s, "b", 7) },
			with(status(active("a")), func(s *v1alpha1.ApiTokenStatus) { s.Revision = 7 })},
		"mark the drift of the Active entry only": {status(active("a"), minting("b")), func(s *v1alpha1.ApiTokenStatus) {
			ledger.MarkDrift(s, "a", v1alpha1.DriftMissing)
			ledger.MarkDrift(s, "b", v1alpha1.DriftMissing)
		}, status(edited(active("a"), func(e *v1alpha1.LedgerEntry) { e.Drift = v1alpha1.DriftMissing }), minting("b"))},
		"the drift is over": {
			status(edited(active("a"), func(e *v1alpha1.LedgerEntry) { e.Drift = v1alpha1.DriftDisabled })),
			func(s *v1alpha1.ApiTokenStatus) { ledger.MarkDrift(s, "a", "") }, status(active("a"))},
		"mark as gone": {status(active("a")), func(s *v1alpha1.ApiTokenStatus) { ledger.MarkGone(s, "a") },
			status(edited(active("a"), func(e *v1alpha1.LedgerEntry) { e.Gone = true }))},
		"mark an update": {status(active("a")), func(s *v1alpha1.ApiTokenStatus) { ledger.MarkUpdate(s, "a", "f2") },
			status(edited(active("a"), func(e *v1alpha1.LedgerEntry) { e.Updating = "f2" }))},
		"take the mark of an update back": {status(edited(active("a"), func(e *v1alpha1.LedgerEntry) { e.Updating = "f2" })),
			func(s *v1alpha1.ApiTokenStatus) { ledger.UnmarkUpdate(s, "a") }, status(active("a"))},
		"updated": {
			with(status(edited(active("a"), func(e *v1alpha1.LedgerEntry) { e.Updating = "f2" })), func(s *v1alpha1.ApiTokenStatus) { s.Retry = retry }),
			func(s *v1alpha1.ApiTokenStatus) { ledger.Updated(s, "a", "f2", "x2") },
			status(edited(active("a"), func(e *v1alpha1.LedgerEntry) { e.Fingerprint, e.Fixed = "f2", "x2" }))},
		"extend": {status(active("a")), func(s *v1alpha1.ApiTokenStatus) { ledger.Extend(s, "a", now.Add(10*day), time.Time{}) },
			status(edited(active("a"), func(e *v1alpha1.LedgerEntry) { e.ExpiresAt, e.LifetimeSeconds = at(10*day), int64(10*day/time.Second) }))},
		"extend takes the provider's earlier expiry": {status(active("a")),
			func(s *v1alpha1.ApiTokenStatus) { ledger.Extend(s, "a", now.Add(10*day), now.Add(day)) },
			status(edited(active("a"), func(e *v1alpha1.LedgerEntry) { e.ExpiresAt, e.LifetimeSeconds = at(day), int64(10*day/time.Second) }))},
		"begin a gap": {status(active("a")), func(s *v1alpha1.ApiTokenStatus) { ledger.BeginGap(s, "a", "Scheduled", now) },
			with(status(edited(active("a"), func(e *v1alpha1.LedgerEntry) { e.State, e.RetireAt = v1alpha1.StateRetiring, at(0) })),
				func(s *v1alpha1.ApiTokenStatus) { s.GapSince, s.GapReason = at(0), "Scheduled" })},
		"end a gap": {with(status(), func(s *v1alpha1.ApiTokenStatus) { s.GapSince, s.GapReason = at(-3*time.Second), "Scheduled" }),
			func(s *v1alpha1.ApiTokenStatus) { ledger.EndGap(s, now) },
			with(status(), func(s *v1alpha1.ApiTokenStatus) { s.LastGap = "3s" })},
		"end no gap": {status(active("a")), func(s *v1alpha1.ApiTokenStatus) { ledger.EndGap(s, now) }, status(active("a"))},
		"pause": {with(status(), func(s *v1alpha1.ApiTokenStatus) { s.Retry = retry.DeepCopy() }),
			func(s *v1alpha1.ApiTokenStatus) { ledger.Pause(s, now, 5*time.Minute) },
			with(status(), func(s *v1alpha1.ApiTokenStatus) {
				s.Retry = &v1alpha1.Retry{Failures: 3, NotBefore: *at(5 * time.Minute)}
			})},
		"pause no longer than an hour": {with(status(), func(s *v1alpha1.ApiTokenStatus) { s.Retry = retry.DeepCopy() }),
			func(s *v1alpha1.ApiTokenStatus) { ledger.Pause(s, now, 100*day) },
			with(status(), func(s *v1alpha1.ApiTokenStatus) { s.Retry = &v1alpha1.Retry{Failures: 3, NotBefore: *at(time.Hour)} })},
		"replace": {with(status(active("a"), minting("b")), func(s *v1alpha1.ApiTokenStatus) { s.Revision, s.Retry = 9, retry.DeepCopy() }),
			func(s *v1alpha1.ApiTokenStatus) {
				stored := status(active("a"))
				ledger.Replace(s, &stored)
				stored.Credentials[0].State = v1alpha1.StateRetiring // Replace made a copy
			}, status(active("a"))},
		"end the backoff": {with(status(), func(s *v1alpha1.ApiTokenStatus) { s.Retry = retry }), ledger.EndBackoff, status()},
	}
}

func TestEachTransitionChangesOnlyItsFields(t *testing.T) {
	for name, tc := range changes() {
		t.Run(name, func(t *testing.T) {
			got := tc.before.DeepCopy()
			tc.change(got)
			if diff := cmp.Diff(&tc.after, got); diff != "" {
				t.Errorf("the status after it, -want +got:\n%s", diff)
			}
		})
	}
}

// TestUnknownNameChangesNothing calls every change of one entry with a name that the
// ledger does not have.
func TestUnknownNameChangesNothing(t *testing.T) {
	for name, change := range map[string]change{
		"issue":         func(s *v1alpha1.ApiTokenStatus) { ledger.Issue(s, "c", now, "AKID-c", now) },
		"identify":      func(s *v1alpha1.ApiTokenStatus) { ledger.Identify(s, "c", "AKID-c", now) },
		"adopt":         func(s *v1alpha1.ApiTokenStatus) { ledger.Adopt(s, "c", ledger.Terms{ID: "AKID-c"}) },
		"abandon":       func(s *v1alpha1.ApiTokenStatus) { ledger.Abandon(s, "c") },
		"retire":        func(s *v1alpha1.ApiTokenStatus) { ledger.Retire(s, now, "c") },
		"drop":          func(s *v1alpha1.ApiTokenStatus) { ledger.Drop(s, "c") },
		"mark as gone":  func(s *v1alpha1.ApiTokenStatus) { ledger.MarkGone(s, "c") },
		"mark update":   func(s *v1alpha1.ApiTokenStatus) { ledger.MarkUpdate(s, "c", "f2") },
		"unmark update": func(s *v1alpha1.ApiTokenStatus) { ledger.UnmarkUpdate(s, "c") },
		"updated":       func(s *v1alpha1.ApiTokenStatus) { ledger.Updated(s, "c", "f2", "x2") },
		"extend":        func(s *v1alpha1.ApiTokenStatus) { ledger.Extend(s, "c", now, now) },
	} {
		t.Run(name, func(t *testing.T) {
			got := status(active("a"), minting("b"))
			change(&got)
			if diff := cmp.Diff(status(active("a"), minting("b")), got); diff != "" {
				t.Errorf("the status after it, -want +got:\n%s", diff)
			}
		})
	}
}

func TestIssuedLeavesTheEntryAlone(t *testing.T) {
	before := minting("b")
	got := ledger.Issued(&before, now, "AKID-b", now.Add(day))
	if diff := cmp.Diff(minting("b"), before); diff != "" {
		t.Errorf("the entry that was passed in, -want +got:\n%s", diff)
	}
	if got.ID != "AKID-b" || !got.ExpiresAt.Equal(at(day)) {
		t.Errorf("the entry issued has id %q and ends at %s", got.ID, got.ExpiresAt)
	}
}

func TestIdentifyKeepsTheEarlierExpiry(t *testing.T) {
	cases := map[string]struct{ ledger, shown, want time.Time }{
		"the provider's is earlier":  {now.Add(2 * day), now.Add(day), now.Add(day)},
		"the ledger's is earlier":    {now.Add(day), now.Add(2 * day), now.Add(day)},
		"the provider tells nothing": {now.Add(day), time.Time{}, now.Add(day)},
		"the ledger has none":        {time.Time{}, now.Add(day), now.Add(day)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := status(v1alpha1.LedgerEntry{Name: "a"})
			if !tc.ledger.IsZero() {
				s.Credentials[0].ExpiresAt = at(tc.ledger.Sub(now))
			}
			ledger.Identify(&s, "a", "AKID-a", tc.shown)
			if diff := cmp.Diff(status(v1alpha1.LedgerEntry{Name: "a", ID: "AKID-a", ExpiresAt: at(tc.want.Sub(now))}), s); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestActiveIsTheEntryThatTheSecretNames has ledgers with two Active entries, as only an
// edited or restored status has them.
func TestActiveIsTheEntryThatTheSecretNames(t *testing.T) {
	retiring := edited(active("r"), func(e *v1alpha1.LedgerEntry) { e.State = v1alpha1.StateRetiring })
	older, newer := active("older"), edited(active("newer"), func(e *v1alpha1.LedgerEntry) { e.IssuedAt = at(time.Hour) })
	for name, c := range map[string]struct {
		entries []v1alpha1.LedgerEntry
		held    string
		want    string
	}{
		"an empty ledger":                      {},
		"only entries that are not Active":     {entries: []v1alpha1.LedgerEntry{minting("m"), retiring}, held: "m"},
		"the only Active one":                  {entries: []v1alpha1.LedgerEntry{retiring, newer}, held: "r", want: "newer"},
		"two, and the Secret names the first":  {entries: []v1alpha1.LedgerEntry{older, newer}, held: "older", want: "older"},
		"two, and the Secret names the second": {entries: []v1alpha1.LedgerEntry{older, newer}, held: "newer", want: "newer"},
		"two, and the Secret names neither":    {entries: []v1alpha1.LedgerEntry{older, newer}, held: "other", want: "older"},
		"two, and the Secret was not read":     {entries: []v1alpha1.LedgerEntry{newer, older}, want: "newer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := status(c.entries...)
			got := ledger.Active(&s, c.held)
			switch {
			case c.want == "" && got != nil:
				t.Errorf("in use is %s, want none", got.Name)
			case c.want != "" && (got == nil || got.Name != c.want):
				t.Errorf("in use is %v, want %s", got, c.want)
			}
		})
	}
}

// An event names each replaced credential.
func TestActivateReturnsTheRetiringEntry(t *testing.T) {
	s := status(active("a"), minting("b"))
	if diff := cmp.Diff([]string{"a"}, ledger.Activate(&s, "b", now, hour)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := ledger.Activate(&s, "b", now, hour); got != nil {
		t.Errorf("%v retire again", got)
	}
}
