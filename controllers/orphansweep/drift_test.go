package orphansweep

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// doubts returns a sweeper and what it doubts, sorted, since the last call.
func (w *world) doubts() (*Sweeper, func() []string) {
	var doubted []string
	w.options.Doubt = func(token types.NamespacedName, credential string) {
		if token.Namespace != w.namespace {
			w.t.Errorf("%s is doubted in another namespace", credential)
		}
		doubted = append(doubted, credential)
	}
	return New(w.options), func() []string {
		out := doubted
		doubted = nil
		slices.Sort(out)
		return out
	}
}

// inUse creates an ApiToken with a live credential, and edits its entry.
func (w *world) inUse(name string, edits ...func(*v1alpha1.LedgerEntry)) string {
	w.t.Helper()
	credential := w.mint(w.cluster, name, 1)
	token := w.token(name, 1)
	e := v1alpha1.LedgerEntry{Name: credential, State: v1alpha1.StateActive, ID: w.backend.IDOf(credential)}
	for _, edit := range edits {
		edit(&e)
	}
	token.Status.Credentials = []v1alpha1.LedgerEntry{e}
	if err := w.c.Status().Update(w.t.Context(), token); err != nil {
		w.t.Fatal(err)
	}
	return credential
}

// doubted sweeps once and compares what is doubted.
func (w *world) doubted(s *Sweeper, got func() []string, want ...string) {
	w.t.Helper()
	w.clock.at += time.Hour
	w.sweep(s)
	slices.Sort(want)
	if found := got(); !slices.Equal(found, want) {
		w.t.Errorf("doubted are %v, want %v", found, want)
	}
}

func (w *world) drifted(drift v1alpha1.CredentialDrift) float64 {
	w.t.Helper()
	var m dto.Metric
	if err := driftGauge.WithLabelValues("TokenProvider", w.namespace, "p", string(drift)).Write(&m); err != nil {
		w.t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}

// TestMissingNeedsTwoLists: what two complete lists in a row do not show is doubted, and
// again at each sweep until its ledger says so. A credential that lives is not.
func TestMissingNeedsTwoLists(t *testing.T) {
	w := newWorld(t, Report)
	gone, lives := w.inUse("gone"), w.inUse("lives")
	s, got := w.doubts()
	w.doubted(s, got)
	w.backend.Delete(gone)
	w.doubted(s, got)
	w.doubted(s, got, gone)
	w.doubted(s, got, gone)
	if n := w.drifted(v1alpha1.DriftMissing); n != 1 {
		t.Errorf("the metric is %v, want 1", n)
	}
	if !w.backend.Live(lives) {
		t.Error("the sweep revoked a credential in use")
	}
}

// TestDisabledAndRecoveredAreDoubtedAtOnce: a list that shows a state is enough to ask.
func TestDisabledAndRecoveredAreDoubtedAtOnce(t *testing.T) {
	w := newWorld(t, Report)
	off := w.inUse("off")
	back := w.inUse("back", func(e *v1alpha1.LedgerEntry) { e.Drift = v1alpha1.DriftMissing })
	known := w.inUse("known", func(e *v1alpha1.LedgerEntry) { e.Drift = v1alpha1.DriftDisabled })
	w.backend.Disable(off)
	w.backend.Disable(known)
	s, got := w.doubts()
	w.doubted(s, got, off, back)
	if n := w.drifted(v1alpha1.DriftDisabled); n != 2 {
		t.Errorf("the metric is %v, want 2", n)
	}
}

// TestWidenedIsDoubted: the provider shows more access than is declared.
func TestWidenedIsDoubted(t *testing.T) {
	w := newWorld(t, Report)
	w.backend.ShowsGrants = true
	declared := plan.Fingerprint(&v1alpha1.ApiTokenSpec{Scopes: []v1alpha1.Scope{"billing:read-only"}})
	wide := w.inUse("wide", func(e *v1alpha1.LedgerEntry) { e.Fingerprint = declared })
	w.inUse("as-declared", func(e *v1alpha1.LedgerEntry) { e.Fingerprint = declared })
	w.backend.Grants(wide, provider.Grant{Scopes: []string{"billing:read-only", "billing:write"}})
	s, got := w.doubts()
	w.doubted(s, got, wide)
	if n := w.drifted(v1alpha1.DriftChanged); n != 1 {
		t.Errorf("the metric is %v, want 1", n)
	}
}

// TestAnotherCredentialOfTheNameIsNotTheOneInUse: only the id that was issued counts.
func TestAnotherCredentialOfTheNameIsNotTheOneInUse(t *testing.T) {
	w := newWorld(t, Report)
	replaced := w.inUse("replaced", func(e *v1alpha1.LedgerEntry) { e.ID = "FAKE-another" })
	s, got := w.doubts()
	w.doubted(s, got)
	w.doubted(s, got, replaced)
}

// TestWhatNoListShowsIsLeftOut: what has expired, is not in use, belongs to another
// account or goes is not missed.
func TestWhatNoListShowsIsLeftOut(t *testing.T) {
	w := newWorld(t, Report)
	ended := metav1.NewTime(w.clock.Now().Add(time.Hour + nearEnd))
	for name, edit := range map[string]func(*v1alpha1.LedgerEntry){
		"expired":  func(e *v1alpha1.LedgerEntry) { e.ExpiresAt = &ended },
		"minting":  func(e *v1alpha1.LedgerEntry) { e.State = v1alpha1.StateMinting },
		"retiring": func(e *v1alpha1.LedgerEntry) { e.State = v1alpha1.StateRetiring },
		"account":  func(e *v1alpha1.LedgerEntry) { e.Account = "another" },
	} {
		w.backend.Delete(w.inUse(name, edit))
	}
	s, got := w.doubts()
	w.doubted(s, got)
	w.doubted(s, got)
	w.doubted(s, got)
}

// TestManyAtOnceAreOnlyReported: more than 5 and more than a tenth at once change no
// ApiToken. A recovery among them is asked about all the same.
func TestManyAtOnceAreOnlyReported(t *testing.T) {
	w := newWorld(t, Report)
	back := w.inUse("back", func(e *v1alpha1.LedgerEntry) { e.Drift = v1alpha1.DriftMissing })
	var gone []string
	for i := range 6 {
		gone = append(gone, w.inUse(fmt.Sprintf("gone-%d", i)))
		w.backend.Delete(gone[i])
	}
	s, got := w.doubts()
	w.doubted(s, got, back)
	w.doubted(s, got, back)
	told := w.events()
	if !strings.Contains(told, "6 of 7 credentials in use") || !strings.Contains(told, reasonDrifted) || !strings.Contains(told, "and 1 more") {
		t.Errorf("the events are %q", told)
	}
	if n := w.drifted(v1alpha1.DriftMissing); n != 6 {
		t.Errorf("the metric is %v, want 6", n)
	}
	var more []string
	for i := range 54 { // now they are no more than a tenth
		more = append(more, w.inUse(fmt.Sprintf("lives-%d", i)))
	}
	w.doubted(s, got, append(gone, back)...)
	if told := w.events(); told != "" {
		t.Errorf("with %d more the events are %q", len(more), told)
	}
}

// TestListThatHidesOneOnceChangesNothing: a list that leaves a credential out once, and
// shows it in the next one, leads to no question.
func TestListThatHidesOneOnceChangesNothing(t *testing.T) {
	w := newWorld(t, Report)
	hidden := w.inUse("hidden")
	hiding := &hidingPool{Connector: w.options.Pool}
	w.options.Pool = hiding
	s, got := w.doubts()
	for range 3 {
		hiding.name = hidden
		w.doubted(s, got)
		hiding.name = ""
		w.doubted(s, got)
	}
}

// TestListThatIsCutShowsNothingMissing: only complete lists count.
func TestListThatIsCutShowsNothingMissing(t *testing.T) {
	w := newWorld(t, Report)
	w.inUse("hidden")
	hiding := &hidingPool{Connector: w.options.Pool, fails: true}
	w.options.Pool = hiding
	s, got := w.doubts()
	for range 3 {
		w.clock.at += time.Minute
		if err := s.Sweep(t.Context()); err == nil {
			t.Error("the list did not fail")
		}
	}
	if found := got(); len(found) > 1 { // its daily time may have come once
		t.Errorf("doubted are %v", found)
	}
}

// TestUnlistedCredentialsAreAskedAboutOnceADay: where a list never shows all, and for
// what a person made, each credential is asked about once a day.
func TestUnlistedCredentialsAreAskedAboutOnceADay(t *testing.T) {
	for name, newest := range map[string]bool{"the newest only": true, "by hand": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Report)
			var all []string
			for i := range 3 {
				all = append(all, w.inUse(fmt.Sprintf("u-%d", i), func(e *v1alpha1.LedgerEntry) { e.ByHand = !newest }))
			}
			drifting := w.inUse("drifts", func(e *v1alpha1.LedgerEntry) { e.ByHand, e.Drift = !newest, v1alpha1.DriftMissing })
			w.options.Pool = &hidingPool{Connector: w.options.Pool, newest: newest}
			s, got := w.doubts()
			for day := range 2 {
				asked := map[string]int{}
				for range 24 {
					w.clock.at += time.Hour
					w.sweep(s)
					for _, name := range got() {
						asked[name]++
					}
				}
				for _, name := range all {
					if asked[name] != 1 {
						t.Errorf("day %d: %s was asked about %d times", day, name, asked[name])
					}
				}
				if asked[drifting] != 24 {
					t.Errorf("day %d: the one that drifts was asked about %d times", day, asked[drifting])
				}
			}
		})
	}
}

// TestQuestionsStopWhenManyDrift: where no list shows all, so many that drift stop the
// questions about others.
func TestQuestionsStopWhenManyDrift(t *testing.T) {
	w := newWorld(t, Report)
	for i := range 6 {
		w.inUse(fmt.Sprintf("drifts-%d", i), func(e *v1alpha1.LedgerEntry) { e.Drift = v1alpha1.DriftMissing })
	}
	lives := w.inUse("lives")
	w.options.Pool = &hidingPool{Connector: w.options.Pool, newest: true}
	s, got := w.doubts()
	for range 24 {
		w.clock.at += time.Hour
		w.sweep(s)
		if slices.Contains(got(), lives) {
			t.Fatal("another credential is asked about")
		}
	}
}

// hidingPool is a Connector to a provider whose list leaves something out.
type hidingPool struct {
	Connector
	// name is what List leaves out; it ends with an error with fails.
	name  string
	fails bool
	// newest: the provider lists its newest credentials only.
	newest bool
}

func (p *hidingPool) Connect(ctx context.Context, key connections.Key, place *places.Place) (connections.Connection, error) {
	c, err := p.Connector.Connect(ctx, key, place)
	if c.Client = (hidingClient{c.Client, p}); p.newest {
		c.Capabilities.Listed = 1
	}
	return c, err
}

type hidingClient struct {
	provider.Client
	p *hidingPool
}

func (c hidingClient) List(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		if c.p.fails {
			yield(provider.Credential{}, &provider.Error{Code: provider.CodeUnavailable, Message: "down"})
			return
		}
		for one, err := range c.Client.List(ctx, owner) {
			if err == nil && one.Name == c.p.name {
				continue
			}
			if !yield(one, err) {
				return
			}
		}
	}
}
