package orphansweep

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/provider"
)

// book is a client whose list has one credential per page and is cut after one page.
type book struct {
	provider.Client
	pages []string
	// begun are the markers that lists started at.
	begun []string
	// ignores: it uses no cursor, like a driver without pages.
	ignores bool
	// old refuses markers, and uncut shows all remaining pages.
	old, uncut bool
	// cut is the error after a page.
	cut error
}

func (b *book) List(ctx context.Context, _ provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		cursor := provider.CursorOf(ctx)
		if b.ignores {
			cursor = nil
		}
		b.begun = append(b.begun, cursor.Start())
		page, _ := strconv.Atoi(cursor.Start())
		if b.old && page > 0 {
			yield(provider.Credential{}, provider.Invalid("this marker is not known"))
			return
		}
		for {
			if !yield(provider.Credential{Name: b.pages[page], ID: fmt.Sprint(page), State: provider.Live, CreatedAt: time.Unix(1, 0)}, nil) {
				return
			}
			if page++; page == len(b.pages) {
				cursor.Advance("")
				return
			}
			cursor.Advance(strconv.Itoa(page))
			if !b.uncut {
				yield(provider.Credential{}, b.cut)
				return
			}
		}
	}
}

func (b *book) Find(_ context.Context, ref provider.Ref) ([]provider.Credential, error) {
	return []provider.Credential{{Name: ref.Name, ID: ref.ID, State: provider.Live}}, nil
}

// books returns a world whose provider has two known credentials and an orphan, each on its
// own page, and a sweeper.
func books(t *testing.T) (*world, *book, *Sweeper) {
	t.Helper()
	w := newWorld(t, Report)
	known := []string{w.mint(w.cluster, "t", 1), w.mint(w.cluster, "t", 2)}
	w.token("t", 2, known...)
	b := &book{pages: append(known, w.mint(w.cluster, "unknown", 1)),
		cut: &provider.Error{Code: provider.CodeUnknown, Message: "one page is enough", Err: provider.ErrCut}}
	w.clock.at += grace
	w.options.Pool = one{connections.Connection{Client: b}}
	return w, b, New(w.options)
}

// TestCutListContinuesInTheNextSweep: with time for one page per sweep, the third sweep
// finds the orphan on the third page, and the fourth starts at the first page.
func TestCutListContinuesInTheNextSweep(t *testing.T) {
	w, b, s := books(t)
	for i := range 4 {
		err := s.Sweep(t.Context())
		if cut := i != 2; errors.Is(err, provider.ErrCut) != cut {
			t.Errorf("sweep %d: %v", i+1, err)
		}
		if told := w.events(); strings.Contains(told, b.pages[2]) != (i == 2) {
			t.Errorf("the events of sweep %d are %q", i+1, told)
		}
	}
	if want := []string{"", "1", "2", ""}; !slices.Equal(b.begun, want) {
		t.Errorf("the lists started at %q, want %q", b.begun, want)
	}
	if got := w.gauge("p"); got != 1 {
		t.Errorf("a list that was cut lowered the number of orphans: the metric is %v", got)
	}
}

// TestListThatDidNotStartAtTheFirstPageIsIncomplete: even if it ends, it neither lowers the
// number of orphans nor drops sightings.
func TestListThatDidNotStartAtTheFirstPageIsIncomplete(t *testing.T) {
	w, b, s := books(t)
	b.pages[0], b.pages[2] = b.pages[2], b.pages[0]
	m := s.remembered(account.MinterIdentity{})
	m.first[sighting{"old", "1"}] = sighted{}
	_ = s.Sweep(t.Context()) // it is cut
	b.uncut = true
	w.sweep(s)
	if _, kept := m.first[sighting{"old", "1"}]; !kept || w.gauge("p") != 1 || !slices.Equal(b.begun, []string{"", "1"}) {
		t.Errorf("started at %q: kept %t, the metric is %v", b.begun, kept, w.gauge("p"))
	}
	b.pages = b.pages[1:]
	w.sweep(s) // it is complete
	if _, kept := m.first[sighting{"old", "1"}]; kept || w.gauge("p") != 0 {
		t.Errorf("started at %q: kept %t, the metric is %v", b.begun, kept, w.gauge("p"))
	}
}

// TestListStartsOver: the next list starts at the first page after an old marker, after an
// error other than a limit, after a list without progress, and after maxParts lists.
func TestListStartsOver(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*book)
		begun  []string
	}{
		"an old marker":                 {func(b *book) { b.old = true }, []string{"", "1", "", "1"}},
		"another error":                 {func(b *book) { b.cut = provider.Invalid("no") }, []string{"", "", "", ""}},
		"the provider's rate limit":     {func(b *book) { b.cut = &provider.Error{Code: provider.CodeRateLimited} }, []string{"", "1", "2", ""}},
		"a driver that takes no cursor": {func(b *book) { b.ignores = true }, []string{"", "", "", ""}},
	} {
		_, b, s := books(t)
		test.change(b)
		for range test.begun {
			_ = s.Sweep(t.Context()) // most are cut
		}
		if !slices.Equal(b.begun, test.begun) {
			t.Errorf("%s: the lists started at %q, want %q", name, b.begun, test.begun)
		}
	}
	inv, err := inventory{}.cut(t.Context(), provider.NewCursor("2"), provider.ErrCut)
	if inv.next != "" || !errors.Is(err, provider.ErrCut) {
		t.Errorf("without progress it continues at %q after %v", inv.next, err)
	}
	var m memory
	for i := 1; i <= 2*maxParts; i++ {
		if m.continueAt("x"); (m.cursor == "") != (i%maxParts == 0) {
			t.Errorf("after %d parts the next list starts at %q", i, m.cursor)
		}
	}
}

// TestSightingsAreBounded: a provider whose list is never complete cannot fill the memory.
func TestSightingsAreBounded(t *testing.T) {
	m := memory{first: map[sighting]sighted{}}
	for i := range maxSightings + 50 {
		m.first[sighting{"n", fmt.Sprint(i)}] = sighted{round: i}
	}
	m.trim()
	_, oldest := m.first[sighting{"n", "49"}]
	_, next := m.first[sighting{"n", "50"}]
	if len(m.first) != maxSightings || oldest || !next {
		t.Errorf("%d are kept, the oldest %t, the next %t", len(m.first), oldest, next)
	}
}
