package apifake_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/apifake"
)

// newFake is a fake server with a namespace and a client without a hook.
func newFake(t *testing.T) (*apifake.Server, *world) {
	t.Helper()
	s := newServer()
	return s, newWorld(t, s.Client(nil))
}

func key(kind, ns, name string) apifake.Key {
	return apifake.Key{Kind: kind, Namespace: ns, Name: name}
}

func TestSameRequestsGiveTheSameServer(t *testing.T) {
	run := func() *v1alpha1.ApiToken {
		_, w := newFake(t)
		w.secret("a")
		return w.token("a")
	}
	_, w := newFake(t)
	first := run()
	w.equal("second run", run(), first)
	w.equal("created", first.CreationTimestamp.UTC(), start)
}

func TestChangedNamesEachObjectOnce(t *testing.T) {
	s, w := newFake(t)
	before := s.Revision()
	w.equal("changes", len(s.Changed(before)), 0)
	secret, token := w.secret("a"), w.token("a")
	w.equal("version", token.ResourceVersion, fmt.Sprint(s.Revision()))
	token.Spec.Suspend = true
	w.ok(w.Update(w.ctx, token))
	w.ok(w.Delete(w.ctx, secret))
	w.ok(w.Update(w.ctx, token))
	secretKey, tokenKey := key("Secret", w.ns, "a"), key("ApiToken", w.ns, "a")
	w.equal("changes", s.Changed(before), []apifake.Key{secretKey, tokenKey})
	w.equal("changes since", s.Changed(before+3), []apifake.Key{secretKey})
	w.equal("changes in all", len(s.Changed(0)), 3)
	w.equal("revision", s.Revision(), before+4)
	w.equal("keys", s.Keys(""), []apifake.Key{tokenKey, key("Namespace", "", w.ns)})
	w.equal("tokens", s.Keys("ApiToken"), []apifake.Key{tokenKey})
	w.equal("key", apifake.KeyOf(token), tokenKey)
	w.equal("text", tokenKey.String()+", "+key("Namespace", "", "x").String(), "ApiToken "+w.ns+"/a, Namespace x")
}

func TestPeekSeesWhatIsStored(t *testing.T) {
	s, w := newFake(t)
	token := w.token("a")
	w.equal("stored", s.Peek(apifake.KeyOf(token)), client.Object(token))
	w.equal("missing", s.Peek(key("Secret", w.ns, "a")) == nil, true)
	token.Spec.Scopes[0] = "changed:here"
	token.Annotations = map[string]string{"changed": "here"}
	w.equal("shared with a client", s.Peek(apifake.KeyOf(token)).(*v1alpha1.ApiToken).Spec.Scopes[0] == "changed:here", false)
}

func TestCloneIsIndependent(t *testing.T) {
	s, w := newFake(t)
	token := w.token("a")
	later := start.Add(time.Hour)
	clone := s.Clone(func() time.Time { return later })
	other := &world{T: t, Client: clone.Client(nil), ctx: w.ctx, ns: w.ns}
	token.Spec.Suspend = true
	w.ok(w.Update(w.ctx, token))
	w.equal("in the clone", reread(other, token).Spec.Suspend, false)
	other.secret("a")
	w.gone(w.newSecret("a"))
	w.equal("changes", []any{len(s.Changed(0)), len(clone.Changed(0))}, []any{2, 3})
	second, third := w.token("b"), other.token("c")
	w.equal("same revision", second.ResourceVersion == third.ResourceVersion, true)
	w.equal("clock", third.CreationTimestamp.UTC(), later)
	w.equal("changes", s.Changed(s.Revision()-1), []apifake.Key{apifake.KeyOf(second)})
	w.equal("changes in the clone", clone.Changed(clone.Revision()-1), []apifake.Key{apifake.KeyOf(third)})
}

func TestNamespaceIsDeletedStepByStep(t *testing.T) {
	s, w := newFake(t)
	token, secret := w.token("a", finalizer), w.secret("a")
	w.equal("removed while active", s.RemoveNamespace(w.ns), false)
	left := s.TerminateNamespace(w.ns)
	w.equal("left", left, []apifake.Key{key("ApiToken", w.ns, "a"), key("Secret", w.ns, "a")})
	w.equal("same answer again", s.TerminateNamespace(w.ns), left)
	w.equal("cause", apierrors.HasStatusCause(w.Create(w.ctx, w.newSecret("b")), corev1.NamespaceTerminatingCause), true)
	slices.Reverse(left)
	for _, k := range left {
		s.Delete(k)
		s.Delete(k)
	}
	w.gone(secret)
	w.equal("removed while an object is left", s.RemoveNamespace(w.ns), false)
	token = reread(w, token)
	w.equal("marked", token.DeletionTimestamp.UTC(), start)
	token.Finalizers = nil
	w.ok(w.Update(w.ctx, token))
	w.equal("removed", s.RemoveNamespace(w.ns), true)
	w.equal("removed twice", s.RemoveNamespace(w.ns), false)
	w.fails(w.Create(w.ctx, w.newSecret("b")), metav1.StatusReasonNotFound)
	w.equal("left over", []any{len(s.Keys("")), len(s.TerminateNamespace(w.ns))}, []any{0, 0})
}

func TestGarbageCollectionDeletesObjectsWithoutOwners(t *testing.T) {
	s, w := newFake(t)
	token, other := w.token("a"), w.token("b")
	owner := func(t *v1alpha1.ApiToken) metav1.OwnerReference {
		return *metav1.NewControllerRef(t, v1alpha1.GroupVersion.WithKind("ApiToken"))
	}
	ownedBy := func(refs ...metav1.OwnerReference) func(*corev1.Secret) {
		return func(s *corev1.Secret) { s.OwnerReferences = refs }
	}
	second := owner(other)
	second.Controller = nil
	strange := metav1.OwnerReference{APIVersion: "example.com/v1", Kind: "ApiToken", Name: "a", UID: "x"}
	w.secret("free")
	only := w.secret("only", ownedBy(owner(token)))
	both := w.secret("both", ownedBy(owner(token), second))
	w.secret("strange", ownedBy(strange))
	held := w.secret("held", ownedBy(owner(token)), func(s *corev1.Secret) { s.Finalizers = []string{"example.com/hold"} })
	w.equal("while the owner lives", len(s.CollectGarbage()), 0)

	w.ok(w.Delete(w.ctx, token))
	w.token("a") // another one of the same name does not own them
	w.equal("of this one", len(s.CollectGarbage(key("Secret", w.ns, "free"))), 0)
	w.equal("picked", s.CollectGarbage(apifake.KeyOf(only)), []apifake.Key{apifake.KeyOf(only)})
	w.gone(only)
	w.equal("the rest", s.CollectGarbage(), []apifake.Key{apifake.KeyOf(both), apifake.KeyOf(held)})
	w.equal("owners", reread(w, both).OwnerReferences, []metav1.OwnerReference{second})
	w.equal("marked", reread(w, held).DeletionTimestamp != nil, true)
	w.equal("nothing more", len(s.CollectGarbage()), 0)
	w.equal("Secrets", len(s.Keys("Secret")), 4)
}

func TestConcurrentClientsLoseNoUpdate(t *testing.T) {
	s, w := newFake(t)
	token := w.token("a")
	const clients, each = 4, 25
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			c := s.Client(nil)
			for done := 0; done < each; {
				var mine v1alpha1.ApiToken
				if err := c.Get(w.ctx, client.ObjectKeyFromObject(token), &mine); err != nil {
					t.Error(err)
					return
				}
				mine.Status.Revision++
				err := c.Status().Update(w.ctx, &mine)
				if err != nil && !apierrors.IsConflict(err) {
					t.Error(err)
					return
				}
				if err == nil {
					done++
				}
			}
		})
	}
	wg.Wait()
	w.equal("revision", reread(w, token).Status.Revision, int64(clients*each))
}

func TestUnsupportedRequestsFail(t *testing.T) {
	s, w := newFake(t)
	token, secret := w.token("a"), w.secret("a")
	w.token("b")
	list := &v1alpha1.ApiTokenList{}
	generated := w.newToken("")
	generated.GenerateName = "a-"
	for name, err := range map[string]error{
		"another kind":      w.Get(w.ctx, types.NamespacedName{Name: "a"}, &corev1.Pod{}),
		"its metadata":      w.Get(w.ctx, types.NamespacedName{Name: "a"}, partial("v1", "Pod")),
		"its status":        w.Status().Update(w.ctx, &corev1.Pod{}),
		"a Secret's status": w.Status().Update(w.ctx, secret),
		"scale":             w.SubResource("scale").Update(w.ctx, token),
		"subresource get":   w.SubResource("status").Get(w.ctx, token, token),
		"subresource new":   w.SubResource("status").Create(w.ctx, token, token),
		"subresource apply": w.Status().Apply(w.ctx, nil),
		"apply":             w.Apply(w.ctx, nil),
		"delete all":        w.DeleteAllOf(w.ctx, token),
		"foreground":        w.Delete(w.ctx, token, client.PropagationPolicy(metav1.DeletePropagationForeground)),
		"strategic merge":   w.Patch(w.ctx, secret, client.StrategicMergeFrom(secret)),
		"generated name":    w.Create(w.ctx, generated),
		"fields":            w.List(w.ctx, list, client.MatchingFields{"metadata.name": "a"}),
		"paging":            w.List(w.ctx, list, client.Limit(1)),
		"next page":         w.List(w.ctx, list, client.Continue("x")),
		"a Secret's data in a cache": s.StaleReader(nil, nil).
			Get(w.ctx, client.ObjectKeyFromObject(secret), &corev1.Secret{}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	w.ok(w.List(w.ctx, list, client.Limit(2)))
	unchanged(w, token)
	unchanged(w, secret)
}
