package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

func TestTableShowsWhatEachDriverCan(t *testing.T) {
	limited := fake.New(fake.NewBackend(clock.NewReal()))
	limited.Caps = provider.Capabilities{
		Scopes:      []string{"objectstorage:object-read-only", "billing:read-only", "objectstorage:object-read-write"},
		MaxLifetime: 48 * time.Hour, MaxLive: 2, Listed: 100, Settle: 90 * time.Second,
		ExpiryEnforcedBy: provider.EnforcedByOperator,
		Narrows:          []provider.Field{provider.FieldBuckets, provider.FieldAllowedIPs},
	}
	limited.CapsFor = func(g provider.Grant) provider.Capabilities {
		out := limited.Caps
		if slices.Contains(g.Scopes, "billing:read-only") {
			out.MaxLifetime, out.ExpiryEnforcedBy = 24*time.Hour, provider.EnforcedByUser
		}
		return out
	}
	all := fake.New(fake.NewBackend(clock.NewReal()))
	all.Caps = provider.Capabilities{Scopes: []string{"a:b"}, Settle: 2 * time.Hour, ExpiryEnforcedBy: provider.EnforcedByUser}
	want := []string{
		"| [`fake`](fake.md) | `billing:` read-only; `objectstorage:` object-read-only, object-read-write | `billing:read-only` | buckets, allowedIPs | nothing | operator; user for `billing:read-only` | 2 d; 1 d for `billing:read-only` | 2 | 100 | 90 s |",
		"| [`fake`](fake.md) | `a:` b | all | nothing | nothing | user | unlimited | any number | all | 2 h |",
		"| [`fake`](fake.md) | as declared | as declared | as declared | as declared | as declared | as declared | as declared | as declared | as declared |",
	}
	got := strings.Split(strings.TrimSpace(table([]entry{{driver: limited}, {driver: all}, {driver: all, declared: true}})), "\n")
	if diff := cmp.Diff(want, got[2:]); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if strings.Count(got[0], "|") != strings.Count(got[2], "|") || strings.Count(got[1], "|") != strings.Count(got[0], "|") {
		t.Errorf("head and rows have different numbers of cells:\n%s\n%s", got[0], got[1])
	}
}

func TestCheckFindsAnOldTable(t *testing.T) {
	rows, err := entries()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "README.md")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("before\n" + begin + "\nold\n" + end + "\nafter\n")
	if err := run(file, true); !errors.Is(err, errNotCurrent) {
		t.Errorf("an old table: got %v", err)
	}
	if err := run(file, false); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if want := "before\n" + begin + "\n" + table(rows) + end + "\nafter\n"; err != nil || string(got) != want {
		t.Errorf("error %v, written (-want +got):\n%s", err, cmp.Diff(want, string(got)))
	}
	if err := run(file, true); err != nil {
		t.Errorf("a table just written: %v", err)
	}
	for _, broken := range []string{"no markers", begin + "\nno end", end + "\n" + begin + "\n"} {
		write(broken)
		if err := run(file, false); err == nil {
			t.Errorf("%q: no error", broken)
		}
	}
}
