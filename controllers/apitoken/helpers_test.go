package apitoken_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
)

// rejecting rejects every call of a verb.
func rejecting(verb fake.Verb, code provider.Code) func(context.Context, fake.Call) fake.Fault {
	return func(_ context.Context, call fake.Call) fake.Fault {
		if call.Verb == verb && call.Phase == fake.Before {
			return fake.Fault{Kind: fake.Reject, Code: code}
		}
		return fake.Fault{}
	}
}

// expectEvent waits for an event with this reason whose note contains part.
func (w *world) expectEvent(reason, part string) {
	w.Helper()
	w.Until(func() string {
		var events eventsv1.EventList
		w.OK(w.List(w.Context(), &events, client.InNamespace(w.ns)))
		for i := range events.Items {
			if e := &events.Items[i]; e.Reason == reason && strings.Contains(e.Note, part) {
				return ""
			}
		}
		return fmt.Sprintf("no event %s says %q", reason, part)
	})
}

// countExpired counts how often the event Expired was emitted.
func (w *world) countExpired() int {
	w.Helper()
	var events eventsv1.EventList
	w.OK(w.List(w.Context(), &events, client.InNamespace(w.ns)))
	n := 0
	for i := range events.Items {
		if e := &events.Items[i]; e.Reason == "Expired" {
			n++
			if e.Series != nil {
				n += int(e.Series.Count)
			}
		}
	}
	return n
}

// minted returns the names of the minted credentials.
func (w *world) minted() []string {
	var out []string
	for _, call := range w.backend.Calls() {
		if call.Verb == fake.Mint && call.Phase == fake.Before {
			out = append(out, call.Name)
		}
	}
	return out
}

// expectData checks the data of a Secret.
func (w *world) expectData(name string, want map[string][]byte) {
	w.Helper()
	if diff := cmp.Diff(want, w.secret(name).Data); diff != "" {
		w.Errorf("the data of Secret %s changed (-want +got):\n%s", name, diff)
	}
}

// keyOf is the key of an object without a namespace.
func keyOf(name string) client.ObjectKey { return client.ObjectKey{Name: name} }

// passTime moves the clock step by step. After each step it waits until the operator has
// nothing to do for the ApiToken training.
func (w *world) passTime(step time.Duration, times int) {
	w.Helper()
	for range times {
		w.clock.Advance(step)
		w.waitIdle("training")
	}
}

// waitHealed advances the clock until an ApiToken is Ready and only its credential is live.
func (w *world) waitHealed(name string) string {
	w.Helper()
	for range 12 {
		w.clock.Advance(time.Minute)
		token := w.waitIdle(name)
		if len(token.Status.Credentials) == 1 && meta.IsStatusConditionTrue(token.Status.Conditions, v1alpha1.ConditionReady) {
			active := activeOf(token).Name
			if held := w.usableCredential(name); held != active {
				w.Fatalf("the Secret holds %s, the ledger %s", held, active)
			}
			if live := w.backend.LiveOf(w.owner(name)); len(live) != 1 || live[0] != active {
				w.Fatalf("live are %v, want %s", live, active)
			}
			return active
		}
	}
	w.Fatalf("%s does not heal\n%s", name, w.dump())
	return ""
}

// watch calls f for every version of an ApiToken, until the returned function is called.
func (w *world) watch(name string, f func(*v1alpha1.ApiToken)) func() {
	w.Helper()
	c, err := client.NewWithWatch(env.Config, client.Options{Scheme: kit.Scheme()})
	w.OK(err)
	watcher, err := c.Watch(w.Context(), &v1alpha1.ApiTokenList{}, client.InNamespace(w.ns))
	w.OK(err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range watcher.ResultChan() {
			if t, ok := event.Object.(*v1alpha1.ApiToken); ok && t.Name == name {
				f(t)
			}
		}
	}()
	return func() {
		watcher.Stop()
		<-done
	}
}

// metaOf names an object.
func metaOf(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

// activeOf is the Active entry of an ApiToken's ledger, or nil.
func activeOf(t *v1alpha1.ApiToken) *v1alpha1.LedgerEntry { return inState(t, v1alpha1.StateActive) }

func inState(t *v1alpha1.ApiToken, state v1alpha1.CredentialState) *v1alpha1.LedgerEntry {
	if t == nil {
		return nil
	}
	for i := range t.Status.Credentials {
		if t.Status.Credentials[i].State == state {
			return &t.Status.Credentials[i]
		}
	}
	return nil
}

// usableCredential returns the name of the credential in a Secret. The data plane must accept it.
func (w *world) usableCredential(secretName string) string {
	w.Helper()
	s := w.secret(secretName)
	if s == nil {
		w.Fatalf("Secret %s does not exist\n%s", secretName, w.dump())
	}
	if !w.backend.Accepts(string(s.Data[fake.KeyID]), string(s.Data[fake.KeySecret])) {
		w.Fatalf("the provider does not accept what Secret %s holds\n%s", secretName, w.dump())
	}
	return s.Annotations[v1alpha1.AnnotationCredential]
}

// expectLiveCount checks how many credentials are live.
func (w *world) expectLiveCount(n int) {
	w.Helper()
	if names := w.backend.LiveNames(); len(names) != n {
		w.Fatalf("%d credentials are live, want %d: %v\n%s", len(names), n, names, w.dump())
	}
}

// expectLive waits until exactly these credentials are live.
func (w *world) expectLive(names ...string) {
	w.Helper()
	slices.Sort(names)
	w.Until(func() string {
		if live := w.backend.LiveNames(); !slices.Equal(live, names) {
			return fmt.Sprintf("live are %v, want %v", live, names)
		}
		return ""
	})
}

// expectMints checks how many calls of Mint there were.
func (w *world) expectMints(n int) {
	w.Helper()
	if got := w.backend.Count(fake.Mint); got != n {
		w.Fatalf("%d credentials were minted, want %d\n%s", got, n, w.dump())
	}
}
