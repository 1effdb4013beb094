package operator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/internal/transport"
	"apitoken.dev/operator/internal/trim"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
)

// TestOperatorWorksWithTheRightsOfItsManifests: it issues, restarts and revokes, and the
// provider waits for the ApiToken.
func TestOperatorWorksWithTheRightsOfItsManifests(t *testing.T) {
	k := kit.New(t, env)
	own := DefaultNamespace
	cfg := asInstalled(k, own)
	backend := fake.NewBackend(clock.NewReal())
	logs := &kit.Output{}
	o := Options{Registry: kit.Drivers(t, fake.New(backend)), LeaderElection: true, ClusterIdentity: own, Version: "test",
		Logger: logr.FromSlogHandler(slog.NewTextHandler(logs, nil))}
	stop := run(k, cfg, o)
	p := clusterProvider(k, own)
	k.ExpectReady(p)
	token := apiToken(k.Namespace("operator", map[string]string{"tokens": own}), own)
	k.ExpectApplied(token)
	k.ExpectReady(token)
	names := backend.LiveNames()
	if len(names) != 1 {
		t.Fatalf("live at the provider: %v", names)
	}
	if n, err := credname.Parse(names[0]); err != nil || !n.InCluster(credname.Cluster(own)) {
		t.Errorf("the name %s does not carry the cluster's identity: %v", names[0], err)
	}
	secret := &corev1.Secret{}
	k.OK(k.Get(t.Context(), client.ObjectKey{Namespace: token.Namespace, Name: token.SecretName()}, secret))

	stop()
	lease := &unstructured.Unstructured{}
	lease.SetGroupVersionKind(coordinationv1.SchemeGroupVersion.WithKind("Lease"))
	k.OK(k.Get(t.Context(), client.ObjectKey{Namespace: own, Name: Name}, lease))
	if holder, _, err := unstructured.NestedString(lease.Object, "spec", "holderIdentity"); err != nil || holder != "" {
		t.Errorf("%s did not release its Lease, so the next operator must wait until it expires: %v", holder, err)
	}
	stop = run(k, cfg, o)
	k.OK(k.Delete(t.Context(), p))
	k.Eventually(func() error {
		if err := k.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		s := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionStalled)
		if s == nil || s.Reason != v1alpha1.ReasonInUse || !strings.Contains(s.Message, token.Namespace+"/t") {
			return fmt.Errorf("Stalled is %+v", s)
		}
		return nil
	})
	k.OK(k.Delete(t.Context(), token))
	k.ExpectGone(token)
	if live := backend.LiveNames(); len(live) != 0 {
		t.Errorf("live after the deletion: %v", live)
	}
	k.ExpectGone(p)
	stop()
	for _, bad := range []string{"forbidden", "Forbidden", fake.Canary} {
		if at := strings.Index(logs.String(), bad); at >= 0 {
			t.Errorf("the log says: %s", logs.String()[max(0, at-300):min(len(logs.String()), at+300)])
		}
	}
}

func TestProbesAndMetricsAreServed(t *testing.T) {
	k := kit.New(t, env)
	own := k.Namespace("operator", nil)
	probes, metrics := address(t), address(t)
	run(k, env.Config, Options{Registry: kit.Drivers(t, fake.New(fake.NewBackend(clock.NewReal()))), Namespace: own, ClusterIdentity: own,
		ProbeAddress: probes, MetricsAddress: metrics})
	get := func(url string) (string, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			return "", err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s answers %s", url, res.Status)
		}
		return string(body), err
	}
	for _, url := range []string{"http://" + probes + "/healthz", "http://" + probes + "/readyz", "http://" + metrics + "/metrics"} {
		k.Eventually(func() error {
			_, err := get(url)
			return err
		})
	}
	if body, err := get("http://" + metrics + "/metrics"); err != nil || !strings.Contains(body, "controller_runtime_reconcile_total") {
		t.Errorf("the metrics are %d bytes: %v", len(body), err)
	}
}

func TestCacheHoldsNoSecretValues(t *testing.T) {
	k := kit.New(t, env)
	own := k.Namespace("operator", nil)
	mgr, err := New(t.Context(), env.Config, Options{Registry: kit.Drivers(t, fake.New(fake.NewBackend(clock.NewReal()))), Namespace: own})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		t.Fatal("the caches are not filled")
	}
	for name, labels := range map[string]map[string]string{"ours": {v1alpha1.LabelManaged: "true"}, "theirs": nil} {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: name, Labels: labels,
			Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "CANARY", "kept": "yes"}}}
		k.ExpectApplied(s)
	}
	found := trim.Metadata("Secret")
	k.Eventually(func() error {
		return mgr.GetClient().Get(t.Context(), client.ObjectKey{Namespace: own, Name: "ours"}, found)
	})
	if len(found.ManagedFields) > 0 || found.Annotations[corev1.LastAppliedConfigAnnotation] != "" || len(found.Annotations) != 1 || trim.Whole(found) {
		t.Errorf("the cache holds %+v", found.ObjectMeta)
	}
	if err := mgr.GetClient().Get(t.Context(), client.ObjectKey{Namespace: own, Name: "theirs"}, found); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("a Secret that is not ours: %v", err)
	}
	var notCached *cache.ErrResourceNotCached
	if err := mgr.GetClient().Get(t.Context(), client.ObjectKey{Namespace: own, Name: "ours"}, &corev1.Secret{}); !errors.As(err, &notCached) {
		t.Errorf("reading a Secret in full through the cache: %v", err)
	}
}

func TestOnlyConfiguredNamespacesAreServed(t *testing.T) {
	k := kit.New(t, env)
	own := k.Namespace("operator", nil)
	labels := map[string]string{"tokens": own}
	mine, other := k.Namespace("operator", labels), k.Namespace("operator", labels)
	backend := fake.NewBackend(clock.NewReal())
	run(k, env.Config, Options{Registry: kit.Drivers(t, fake.New(backend)), Namespace: own, Namespaces: []string{mine}, ClusterIdentity: own})
	p := clusterProvider(k, own)
	tokens := []*v1alpha1.ApiToken{apiToken(other, own), apiToken(mine, own)}
	for _, token := range tokens {
		k.ExpectApplied(token)
	}
	k.ExpectReady(tokens[1])
	if err := k.Get(t.Context(), client.ObjectKeyFromObject(tokens[0]), tokens[0]); err != nil {
		t.Fatal(err)
	}
	if len(tokens[0].Finalizers)+len(tokens[0].Status.Conditions) > 0 {
		t.Errorf("it touched an ApiToken of another namespace: %+v", tokens[0].Status)
	}
	for _, token := range tokens {
		k.OK(k.Delete(t.Context(), token))
		k.ExpectGone(token)
	}
	k.OK(k.Delete(t.Context(), p))
	k.ExpectGone(p)
}

func TestClusterHashIsOfTheUIDOrTheIdentity(t *testing.T) {
	k := kit.New(t, env)
	system := &corev1.Namespace{}
	k.Eventually(func() error { return k.Get(t.Context(), client.ObjectKey{Name: "kube-system"}, system) })
	got, err := clusterHash(t.Context(), k, "")
	if want := credname.Cluster(string(system.UID)); err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if got, err = clusterHash(t.Context(), k, "a-copy"); err != nil || got != credname.Cluster("a-copy") {
		t.Errorf("with an identity of its own: %q, %v", got, err)
	}
}

func TestInvalidOptionsAreRefused(t *testing.T) {
	if _, err := New(t.Context(), env.Config, Options{}); !errors.Is(err, errNoRegistry) {
		t.Errorf("without drivers: %v", err)
	}
	if _, err := New(t.Context(), env.Config, Options{Registry: &registry.Registry{}, SweepMode: "Delete"}); err == nil {
		t.Error("a mode that does not exist is accepted")
	}
}

// TestTenantsUseTheirProxy: the options set the proxy of TokenProviders and the addresses
// that they can reach.
func TestTenantsUseTheirProxy(t *testing.T) {
	requests := 0
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests++ }))
	t.Cleanup(proxy.Close)
	o := Options{TenantProxy: proxy.URL}
	if err := o.TenantEndpoints.Set("public"); err != nil {
		t.Fatal(err)
	}
	c, err := o.http().Client(transport.Provider{Tenant: true})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]int{"http://vendor.example/keys": 1, "http://10.0.0.1/keys": 0} {
		requests = 0
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		if requests != want || (err == nil) != (want == 1) {
			t.Errorf("%s: %v, and %d requests at the proxy", address, err, requests)
		}
	}
}

func TestClientLimitsAreOffByDefault(t *testing.T) {
	if got := restConfig(env.Config, Options{Version: "1"}); got.QPS != -1 || got.UserAgent != "apitoken-operator/1" {
		t.Errorf("without limits: %v as %q", got.QPS, got.UserAgent)
	}
	if got := restConfig(env.Config, Options{QPS: 50}); got.QPS != 50 || got.Burst != 50 {
		t.Errorf("with a limit: %v, %d", got.QPS, got.Burst)
	}
}
