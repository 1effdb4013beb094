package explore

import (
	"testing"

	ctrl "sigs.k8s.io/controller-runtime"

	"apitoken.dev/operator/controllers/apitoken"
	"apitoken.dev/operator/test/support/fake"
)

// The namespace controller has deleted the Secret, and the cache does not show yet that
// the namespace is terminating. The operator must not issue a credential for the lost
// Secret.
func TestTerminatingNamespaceGetsNoCredential(t *testing.T) {
	w := newWorld(Scenario{Name: "issue", patience: soon}, variant{}, &schedule{})
	w.run()
	if w.violation != "" {
		t.Fatal(w.violation)
	}
	p := w.current
	rec := apitoken.New(apitoken.Options{
		Client: w.server.Client(p).ReadingFrom(p.cache), Live: w.server.Client(p), Providers: p, Clock: processClock{p}, Cluster: cluster, Random: p,
	})
	p.cache.Refresh()
	timeToRotate(w) // makes the operator read the Secret live
	mints := w.backend.Count(fake.Mint)
	w.server.TerminateNamespace(tokenKey.Namespace)
	w.server.Delete(apifakeSecret)
	w.quiet(func() {
		for range 3 {
			if _, err := rec.Reconcile(t.Context(), ctrl.Request{NamespacedName: tokenKey}); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n := w.backend.Count(fake.Mint); n != mints || n == 0 {
		t.Errorf("%d credentials were minted, want %d", n, mints)
	}
}
