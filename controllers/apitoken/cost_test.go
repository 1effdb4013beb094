package apitoken_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/testutil"
)

// These tests count the requests for an ApiToken.
var (
	patchToken   = testutil.Request{Verb: "patch", Resource: "apitokens"}
	createSecret = testutil.Request{Verb: "create", Resource: "secrets"}
	updateSecret = testutil.Request{Verb: "update", Resource: "secrets"}
	readSecret   = testutil.Request{Verb: "get", Resource: "secrets"}
	readMinter   = testutil.Request{Verb: "get", Resource: "secrets:minter"}
)

// expectRequests compares the requests since the last call. It ignores list and watch.
func (w *world) expectRequests(what string, want testutil.Counts, resources ...string) {
	w.Helper()
	got := w.requests.Take().Of(append(resources, "apitokens", "secrets")...)
	for _, waiting := range []string{"watch", "list"} {
		for _, resource := range []string{"apitokens", "secrets"} {
			delete(got, testutil.Request{Verb: waiting, Resource: resource})
		}
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		w.Errorf("%s: requests (-want +got):\n%s", what, diff)
	}
}

// The test counts requests to the API server for an ApiToken. Those for a provider do not depend on
// the number of its ApiTokens.
func TestOperationsSendAFixedNumberOfRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issue("first") // makes the provider Ready and its connection cached
	w.edit("first", func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true })
	w.waitIdle("first")

	w.requests.Take()
	token := w.issue("training")
	w.waitIdle("training")
	w.expectRequests("first issue", testutil.Counts{patchToken: 1, statusUpdate: 2, createSecret: 1, readSecret: 1})

	before := activeOf(token).Name
	w.clock.AdvanceTo(token.Status.RotatesAt.Add(2 * time.Second))
	w.triggerReconciles()
	w.waitReplaced("training", before)
	w.waitIdle("training")
	w.expectRequests("rotation", testutil.Counts{statusUpdate: 2, updateSecret: 1, readSecret: 1})

	w.advance(2 * time.Hour)
	w.Until(func() string {
		if len(w.token("training").Status.Credentials) > 1 {
			return "the previous credential is not retired"
		}
		return ""
	})
	w.waitIdle("training")
	w.expectRequests("retiring the previous one", testutil.Counts{statusUpdate: 1, readSecret: 1})

	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Secret.Labels = map[string]string{"team": "ml"} })
	w.expectMetadata(map[string]string{"team": "ml"}, nil)
	w.waitReady("training")
	w.waitIdle("training")
	w.expectRequests("a label of the Secret", testutil.Counts{statusUpdate: 1, updateSecret: 1, readSecret: 1})

	w.waitIdle("training")
	w.expectRequests("nothing to do", nil)

	calls := w.tokenCalls()
	w.delete("training")
	w.expectGone("training")
	w.expectRequests("deletion", testutil.Counts{statusUpdate: 1, patchToken: 1})
	if diff := cmp.Diff(map[fake.Verb]int{fake.Revoke: 1, fake.List: 1}, minus(w.tokenCalls(), calls)); diff != "" {
		t.Errorf("calls of the provider for a deletion (-want +got):\n%s", diff)
	}
}

// calls counts the calls of the provider.
func (w *world) calls() map[fake.Verb]int {
	out := map[fake.Verb]int{}
	for _, verb := range []fake.Verb{fake.Connect, fake.Mint, fake.Find, fake.List, fake.Revoke} {
		if n := w.backend.Count(verb); n > 0 {
			out[verb] = n
		}
	}
	return out
}

// tokenCalls counts the calls for ApiTokens, without health checks and sweeps, which become due when
// the clock advances.
func (w *world) tokenCalls() map[fake.Verb]int {
	out := map[fake.Verb]int{}
	for _, c := range w.backend.Calls() {
		sweep := c.Verb == fake.List && c.Owner.Token == ""
		if c.Phase == fake.Before && c.Verb != fake.Connect && !sweep {
			out[c.Verb]++
		}
	}
	return out
}

func minus(now, before map[fake.Verb]int) map[fake.Verb]int {
	out := map[fake.Verb]int{}
	for verb, n := range now {
		if n -= before[verb]; n > 0 {
			out[verb] = n
		}
	}
	return out
}

// A new process sends no requests for ApiTokens with nothing to do.
func TestRestartWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprintf("token-%d", i))
		w.declare(names[i])
	}
	for _, name := range names {
		w.waitReady(name)
	}
	first := activeOf(w.token(names[0])).Name
	w.edit(names[0], func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	w.waitReplaced(names[0], first) // one of them in its overlap
	for _, name := range names {
		w.waitIdle(name)
	}
	w.operator.stop(w)
	calls, log := w.calls(), w.log
	w.log = &testutil.Log{}
	w.requests.Take()
	w.start()
	for _, name := range names {
		w.Until(func() string {
			if w.reconcileCount(name) == 0 {
				return "the new process has not reconciled " + name
			}
			return ""
		})
		w.waitIdle(name)
	}
	// One read of the provider's credentials and one call to check them.
	w.expectRequests("restart", testutil.Counts{readMinter: 1}, "secrets:minter")
	if diff := cmp.Diff(map[fake.Verb]int{fake.Connect: 1}, minus(w.calls(), calls)); diff != "" {
		t.Errorf("calls of the provider (-want +got):\n%s\n%s", diff, log.Tail(5))
	}
}
