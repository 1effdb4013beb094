package operator

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/util/cert"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
)

// certificateIn writes a certificate for a name as the kubelet mounts it from a Secret, and
// returns the pool of its CA.
func certificateIn(t *testing.T, dir, name string) *x509.CertPool {
	t.Helper()
	chain, key, err := cert.GenerateSelfSignedCertKey(name, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{"tls.crt": chain, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(chain) {
		t.Fatal("no CA was made")
	}
	return pool
}

// A scrape can verify the configured certificate, and a renewed one is served without a
// restart.
func TestMetricsCertificateIsServedAndReloaded(t *testing.T) {
	const service = "apitoken-operator-metrics.apitoken-system.svc"
	k := kit.New(t, env)
	own := k.Namespace("operator", nil)
	metrics, dir := address(t), t.TempDir()
	first := certificateIn(t, dir, service)
	run(k, env.Config, Options{Registry: kit.Drivers(t, fake.New(fake.NewBackend(clock.NewReal()))), Namespace: own, ClusterIdentity: own,
		MetricsAddress: metrics, MetricsSecure: true, MetricsCertDir: dir})
	scrape := func(roots *x509.CertPool, name string) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+metrics+"/metrics", nil)
		if err != nil {
			return err
		}
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12}}
		defer transport.CloseIdleConnections()
		res, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("a scrape is answered with %s", res.Status)
		}
		return nil
	}
	k.Eventually(func() error { return scrape(first, service) })
	if err := scrape(first, "other.apitoken-system.svc"); err == nil {
		t.Error("the certificate is for every name")
	}
	renewed := certificateIn(t, dir, service)
	k.Eventually(func() error { return scrape(renewed, service) })
}
