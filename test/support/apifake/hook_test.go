package apifake_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/apifake"
)

// hook is a Hook made of two functions, either of which may be nil.
type hook struct {
	before func(apifake.Call) error
	after  func(apifake.Call, error) error
}

func (h hook) Before(_ context.Context, call apifake.Call) error {
	if h.before == nil {
		return nil
	}
	return h.before(call)
}

func (h hook) After(_ context.Context, call apifake.Call, err error) error {
	if h.after == nil {
		return err
	}
	return h.after(call, err)
}

var errLost = errors.New("lost")

func TestHookSeesEveryCall(t *testing.T) {
	s, w := newFake(t)
	var calls []apifake.Call
	var results []error
	c := s.Client(hook{
		before: func(call apifake.Call) error { calls = append(calls, call); return nil },
		after:  func(_ apifake.Call, err error) error { results = append(results, err); return err },
	})
	token := w.newToken("a")
	ref := client.ObjectKeyFromObject(token)
	w.ok(c.Create(w.ctx, token, client.DryRunAll))
	w.ok(c.Create(w.ctx, token))
	w.ok(c.Get(w.ctx, ref, token))
	w.ok(c.Status().Update(w.ctx, token))
	w.ok(c.Status().Patch(w.ctx, token, client.MergeFrom(token)))
	w.ok(c.Patch(w.ctx, token, client.MergeFrom(token)))
	w.ok(c.Update(w.ctx, token))
	w.ok(c.List(w.ctx, &v1alpha1.ApiTokenList{}, client.InNamespace(w.ns)))
	w.ok(c.Delete(w.ctx, token))
	w.fails(c.Get(w.ctx, ref, token), metav1.StatusReasonNotFound)
	call := func(verb, subresource, name string, dryRun bool) apifake.Call {
		return apifake.Call{Verb: verb, Subresource: subresource, Kind: "ApiToken", Namespace: w.ns, Name: name, DryRun: dryRun}
	}
	w.equal("calls", calls, []apifake.Call{
		call("create", "", "a", true), call("create", "", "a", false), call("get", "", "a", false),
		call("update", "status", "a", false), call("patch", "status", "a", false), call("patch", "", "a", false),
		call("update", "", "a", false), call("list", "", "", false), call("delete", "", "a", false), call("get", "", "a", false),
	})
	w.equal("results", len(results), len(calls))
	w.fails(results[len(results)-1], metav1.StatusReasonNotFound)
}

func TestHookLosesRequestsAndAnswers(t *testing.T) {
	s, w := newFake(t)
	token := w.token("a")
	lostRequest := s.Client(hook{before: func(apifake.Call) error { return errLost }})
	lostAnswer := s.Client(hook{after: func(apifake.Call, error) error { return errLost }})

	sent := token.DeepCopy()
	sent.Spec.Suspend = true
	w.is(lostRequest.Update(w.ctx, sent), errLost)
	unchanged(w, token)
	w.is(lostAnswer.Update(w.ctx, sent), errLost)
	w.equal("version the sender sees", sent.ResourceVersion, token.ResourceVersion)
	w.equal("suspended", reread(w, token).Spec.Suspend, true)
	w.fails(w.Update(w.ctx, sent), metav1.StatusReasonConflict)
	w.is(lostAnswer.Delete(w.ctx, token), errLost)
	w.gone(token)

	hidden := s.Client(hook{after: func(apifake.Call, error) error { return nil }})
	w.ok(hidden.Update(w.ctx, sent)) // the error is hidden
	ended, cancel := context.WithCancel(w.ctx)
	cancel()
	w.is(w.Create(ended, w.newToken("b")), context.Canceled)
	w.gone(w.newToken("b"))
}

func TestHookCanPanicOrEndTheGoroutine(t *testing.T) {
	s, w := newFake(t)
	end := func(apifake.Call) error { runtime.Goexit(); return nil }
	for name, h := range map[string]hook{
		"a": {before: end},
		"b": {after: func(call apifake.Call, _ error) error { return end(call) }},
		"c": {before: func(apifake.Call) error { panic("stop") }},
		"d": {after: func(apifake.Call, error) error { panic("stop") }},
	} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { _ = recover() }()
			t.Error(s.Client(h).Create(w.ctx, w.newToken(name)))
		}()
		<-done
	}
	w.gone(w.newToken("a"))
	w.gone(w.newToken("c"))
	reread(w, w.newToken("b"))
	reread(w, w.newToken("d"))
}

func TestHookCanUseTheServer(t *testing.T) {
	s, w := newFake(t)
	token := w.token("a")
	c := s.Client(hook{before: func(apifake.Call) error {
		other := token.DeepCopy()
		other.Spec.Suspend = true
		return w.Update(w.ctx, other)
	}})
	w.fails(c.Update(w.ctx, token), metav1.StatusReasonConflict)
}

func TestStaleReaderReturnsOldObjectsUntilRefresh(t *testing.T) {
	s, w := newFake(t)
	selector, err := labels.Parse(v1alpha1.LabelManaged)
	w.ok(err)
	var calls []apifake.Call
	cache := s.StaleReader(hook{before: func(call apifake.Call) error { calls = append(calls, call); return nil }}, selector)
	c := &world{T: t, Client: s.Client(nil).ReadingFrom(cache), ctx: w.ctx, ns: w.ns}
	token, secret := w.token("a"), w.secret("a")
	managed := w.secret("b")
	c.gone(token)
	cache.Refresh("ApiToken")
	seen := reread(c, token)
	w.equal("kind from a cache", seen.Kind, "ApiToken")
	meta := partial("v1", "Secret")
	w.fails(cache.Get(w.ctx, client.ObjectKeyFromObject(secret), meta), metav1.StatusReasonNotFound)

	managed.Labels = map[string]string{v1alpha1.LabelManaged: ""}
	w.ok(w.Update(w.ctx, managed))
	cache.Refresh()
	w.fails(cache.Get(w.ctx, client.ObjectKeyFromObject(secret), meta), metav1.StatusReasonNotFound)
	w.ok(cache.Get(w.ctx, client.ObjectKeyFromObject(managed), meta))
	w.equal("version", meta.ResourceVersion, managed.ResourceVersion)
	w.equal("in general", meta.Kind, "Secret")

	seen.Spec.Suspend = true
	w.ok(c.Update(w.ctx, seen))
	w.equal("still", reread(c, token).Spec.Suspend, false)
	w.ok(w.Delete(w.ctx, managed))
	metas := &metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "SecretList"}}
	w.ok(c.List(w.ctx, metas))
	w.equal("Secrets", len(metas.Items), 1)
	cache.Refresh("Secret")
	w.ok(c.List(w.ctx, metas, client.InNamespace(w.ns)))
	w.equal("Secrets", len(metas.Items), 0)
	var tokens v1alpha1.ApiTokenList
	w.ok(c.List(w.ctx, &tokens, client.Limit(1)))
	w.equal("items", []any{len(tokens.Items), tokens.Items[0].Kind}, []any{1, "ApiToken"})
	w.equal("cached", len(calls) > 0 && calls[0].Cached && calls[0].Verb == "get", true)
}
