package orphansweep

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

// TestSecretsSpareOnlyTheirOwnCredentials: a Secret that names the credential of another
// ApiToken, in any namespace, neither hides nor spares it.
func TestSecretsSpareOnlyTheirOwnCredentials(t *testing.T) {
	w := newWorld(t, Revoke)
	orphans := []string{w.mint(w.cluster, "unknown", 1), w.mint(w.cluster, "unknown", 2), w.mint(w.cluster, "unknown", 3)}
	w.secret("forged", "another", orphans[0], true)
	w.secret("held", "another", orphans[1], false)
	nameless := &corev1.Secret{ObjectMeta: w.meta("nameless")}
	nameless.Labels = map[string]string{v1alpha1.LabelManaged: "true"}
	nameless.Annotations = map[string]string{v1alpha1.AnnotationCredential: orphans[2], v1alpha1.AnnotationRetained: "true"}
	w.ExpectApplied(nameless)
	token := w.token("another", 1)
	w.record(t.Context(), token, 1, orphans[0]) // nor does a ledger
	w.clock.at += grace
	w.sweep(New(w.options))
	for _, name := range orphans {
		if w.backend.Live(name) {
			t.Errorf("%s is hidden by a Secret of another ApiToken", name)
		}
	}
}

// TestExpiredOrphansAreRevoked: an expired credential is not spared, and many expired ones
// do not count as a mistake. A credential in a ledger, or of another cluster, is left
// alone.
func TestExpiredOrphansAreRevoked(t *testing.T) {
	w := newWorld(t, Revoke)
	soon := w.clock.Now().Add(time.Minute)
	var ended, kept []string
	for range 7 {
		ended = append(ended, w.mintAs(w.cluster, "unknown", 1, soon))
	}
	retained, held := w.mintAs(w.cluster, "gone", 1, soon), w.mintAs(w.cluster, "u", 1, soon)
	ahead := w.mintAs(w.cluster, "t", 9, soon)
	ended = append(ended, retained, held, ahead)
	kept = append(kept, w.mintAs(w.cluster, "t", 1, soon), w.mintAs(credname.Cluster("another"), "t", 1, soon),
		w.mintAs(w.cluster, "gone", 2, soon.Add(100*time.Hour)))
	w.token("t", 1, kept[0])
	w.secret("retained", "gone", retained, true)
	w.secret("held", "u", held, false)
	w.secret("lives", "gone", kept[2], true)
	lives := &corev1.Secret{}
	w.OK(w.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "lives"}, lives))
	lives.Annotations[v1alpha1.AnnotationExpiresAt] = soon.Format(time.RFC3339) // the Secret alone does not prove it
	w.OK(w.Update(t.Context(), lives))
	w.clock.at += grace + time.Minute - time.Second
	w.options.Mode = Report
	w.sweep(New(w.options))
	w.options.Mode = Revoke
	w.sweep(New(w.options))
	if w.backend.Count(fake.Revoke) != 0 {
		t.Error("revoked before it is certain that they have expired")
	}
	w.clock.at += time.Second
	w.sweep(New(w.options))
	revoked := map[string]bool{}
	for _, call := range w.backend.Calls() {
		if call.Verb == fake.Revoke {
			revoked[call.Name] = true
		}
	}
	for _, name := range ended {
		if !revoked[name] {
			t.Errorf("%s has expired and was not revoked", name)
		}
	}
	for _, name := range kept {
		if revoked[name] {
			t.Errorf("%s was revoked", name)
		}
	}
}

// TestClaimedAccountHidesNothing: a provider that claims the account of another, with other
// minting credentials, is listed separately. An orphan that both show is reported once.
func TestClaimedAccountHidesNothing(t *testing.T) {
	w := newWorld(t, Report)
	w.ExpectApplied(&corev1.Secret{ObjectMeta: w.meta("own"), Data: map[string][]byte{"token": []byte("of-the-claimant")}})
	claimant := w.providerIn("a-claimant", "r", "own") // it comes first
	orphan := w.mint(w.cluster, "unknown", 1)
	w.clock.at += grace
	w.sweep(New(w.options))
	if n := w.backend.Count(fake.List); n != 2 {
		t.Errorf("%d lists with two minting credentials", n)
	}
	if got := w.gauge("p") + w.gauge(claimant.Name); got != 1 {
		t.Errorf("%v orphans are counted, want 1", got)
	}
	if told := w.events(); strings.Count(told, orphan) != 1 {
		t.Errorf("the events are %q", told)
	}
}

// TestHangingProviderDelaysNoOther: the others are swept while it hangs.
func TestHangingProviderDelaysNoOther(t *testing.T) {
	w := newWorld(t, Report)
	w.other.OnCall = func(_ context.Context, call fake.Call) fake.Fault {
		if call.Verb == fake.List {
			return fake.Fault{Kind: fake.Hang}
		}
		return fake.Fault{}
	}
	for i := range perNamespace - 1 {
		w.ExpectApplied(&corev1.Secret{ObjectMeta: w.meta(fmt.Sprint("own-", i)), Data: map[string][]byte{"token": fmt.Append(nil, i)}})
		w.providerIn(fmt.Sprint("a-hanging-", i), "other", fmt.Sprint("own-", i))
	}
	orphan := w.mint(w.cluster, "unknown", 1)
	w.clock.at += grace
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	s := New(w.options)
	go func() { ended <- s.Sweep(ctx) }()
	if told := <-w.recorder.Events; !strings.Contains(told, orphan) {
		t.Errorf("the event is %q", told)
	}
	cancel()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "a-hanging-0") {
		t.Errorf("the sweep ended with %v", err)
	}
}

// TestHangingProviderLosesItsTurn: its turn times out.
func TestHangingProviderLosesItsTurn(t *testing.T) {
	w := newWorld(t, Report)
	w.providerIn("hanging", "other", "minter")
	for _, b := range []*fake.Backend{w.backend, w.other} {
		b.OnCall = func(_ context.Context, call fake.Call) fake.Fault {
			if call.Verb == fake.List {
				return fake.Fault{Kind: fake.Hang}
			}
			return fake.Fault{}
		}
	}
	w.options.Turn = time.Millisecond
	if err := New(w.options).Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), w.namespace+"/hanging") {
		t.Errorf("the sweep ended with %v", err)
	}
}

// TestHangingProvidersDoNotDelayTheNextSweep: a namespace gets only the turns that fit into
// a sweep, and each of its providers gets one in a later sweep.
func TestHangingProvidersDoNotDelayTheNextSweep(t *testing.T) {
	w := newWorld(t, Report)
	var lists atomic.Int32
	w.other.OnCall = func(_ context.Context, call fake.Call) fake.Fault {
		if call.Verb == fake.List {
			lists.Add(1)
			return fake.Fault{Kind: fake.Hang}
		}
		return fake.Fault{}
	}
	const hanging = 3 * perNamespace
	for i := range hanging {
		w.ExpectApplied(&corev1.Secret{ObjectMeta: w.meta(fmt.Sprint("own-", i)), Data: map[string][]byte{"token": fmt.Append(nil, i)}})
		w.providerIn(fmt.Sprintf("hanging-%02d", i), "other", fmt.Sprint("own-", i))
	}
	w.options.Interval = 200 * time.Millisecond // as long as a turn
	s := New(w.options)
	told := ""
	for range hanging {
		before := lists.Load()
		if err := s.Sweep(t.Context()); err != nil {
			told += err.Error()
		}
		if n := lists.Load() - before; n > 2*perNamespace {
			t.Errorf("%d turns in one sweep", n)
		}
	}
	for i := range hanging {
		if name := fmt.Sprintf("hanging-%02d", i); !strings.Contains(told, name) {
			t.Errorf("%s had no turn", name)
		}
	}
}

// TestExpiryCanComeFromFind: lists of AWS, for example, have no tags.
func TestExpiryCanComeFromFind(t *testing.T) {
	w := newWorld(t, Revoke)
	w.clock.at += 2 * grace
	s := New(w.options)
	inv := inventory{object: account.Of(w.object), connection: connections.Connection{Client: endless{expires: w.clock.Now().Add(-grace)}}}
	got, err := s.confirm(t.Context(), inv, []orphan{
		{Credential: provider.Credential{Name: "a", ID: "1"}, retained: true}, {Credential: provider.Credential{Name: "b", ID: "2"}, spared: "a Secret holds it"}})
	if err != nil || len(got) != 2 || !got[0].expired || !got[1].expired || got[1].spared != "" {
		t.Errorf("got %+v, %v", got, err)
	}
	inv.connection.Client = endless{}
	got, err = s.confirm(t.Context(), inv, []orphan{{retained: true}, {spared: "a Secret holds it"}})
	if err != nil || len(got) != 1 || got[0].spared == "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// endless is a client whose list shows very many credentials, and some twice.
type endless struct {
	provider.Client
	names func(i int) (name, id string)
	n     int
	err   error
	// expires is the expiry that Find shows.
	expires time.Time
}

func (e endless) List(context.Context, provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		for i := range e.n {
			name, id := e.names(i)
			if !yield(provider.Credential{Name: name, ID: id, State: provider.Live, CreatedAt: time.Unix(1, 0)}, nil) {
				return
			}
		}
		if e.err != nil {
			yield(provider.Credential{}, e.err)
		}
	}
}

func (e endless) Find(_ context.Context, ref provider.Ref) ([]provider.Credential, error) {
	return []provider.Credential{{Name: ref.Name, ID: ref.ID, ExpiresAt: e.expires}}, nil
}

// one is a pool with one connection.
type one struct{ connection connections.Connection }

func (o one) Connect(context.Context, account.Key, *places.Place) (connections.Connection, error) {
	return o.connection, nil
}

func (o one) Minter(account.Key) (account.MinterIdentity, bool) {
	return o.connection.MinterKey, true
}

// TestListsTakeBoundedMemory: duplicates count once, candidates beyond maxCandidates are
// only counted, and those of a list that ended with an error are judged.
func TestListsTakeBoundedMemory(t *testing.T) {
	w := newWorld(t, Report)
	w.clock.at += grace
	name := func(i int) (string, string) {
		n, err := credname.New(w.cluster, credname.Owner(w.namespace, "unknown"), int64(i), 0, strings.NewReader("00000000"))
		if err != nil {
			t.Fatal(err)
		}
		return n.String(), fmt.Sprint(i)
	}
	twice := func(i int) (string, string) { return name(i / 2) }
	broken := &provider.Error{Code: provider.CodeUnknown, Message: "the list did not end"}
	for what, test := range map[string]struct {
		client endless
		want   float64
		kept   int
	}{
		"duplicates": {endless{names: twice, n: 40}, 20, 20},
		"very many":  {endless{names: name, n: 20 * maxCandidates}, 20 * maxCandidates, maxCandidates},
		"broken off": {endless{names: name, n: 30, err: broken}, 30, 30},
	} {
		w.options.Pool = one{connections.Connection{Client: test.client}}
		w.options.Recorder = events.NewFakeRecorder(10)
		s := New(w.options)
		err := s.Sweep(t.Context())
		if (err != nil) != (test.client.err != nil) {
			t.Errorf("%s: %v", what, err)
		}
		if got := w.gauge("p"); got != test.want {
			t.Errorf("%s: %v orphans, want %v", what, got, test.want)
		}
		if lines := strings.Count(w.logs.String(), "orphaned credential: "); lines > namesInLog {
			t.Errorf("%s: %d lines of log", what, lines)
		}
		w.logs.Reset()
		r, err := s.newRound(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if inv, _ := r.list(t.Context(), account.Of(w.object), connections.Connection{Client: test.client}, ""); len(inv.candidates) != test.kept {
			t.Errorf("%s: %d are kept, want %d", what, len(inv.candidates), test.kept)
		}
	}
}
