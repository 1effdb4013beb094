package transport

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
)

func endpoints(t *testing.T, list string) Endpoints {
	t.Helper()
	var out Endpoints
	if list == "" {
		return out
	}
	if err := out.Set(list); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTenantAddressesAreLimited(t *testing.T) {
	never := []string{
		"169.254.169.254", "169.254.170.2", "127.0.0.1", "127.8.8.8", "0.0.0.0", "100.64.0.1", "100.100.100.200", "100.127.255.255",
		"168.63.129.16", "192.0.0.192", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fd20:ce::254",
		"::ffff:169.254.169.254", "::ffff:127.0.0.1", "::127.0.0.1", "::169.254.169.254", "::ffff:0:127.0.0.1",
		"64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::1", "2002:a9fe:a9fe::", "2002:6440:1::1",
	}
	inside := []string{
		"10.0.0.1", "172.16.5.4", "192.168.1.1", "240.0.0.1", "247.255.255.254", "255.255.255.254", "198.18.0.1", "198.19.255.254",
		"fd00::1", "fc00::1", "fec0::1", "2002:a00:1::1", "64:ff9b::a00:1", "64:ff9b::f000:1", "::10.0.0.1", "::ffff:198.18.0.1",
	}
	outside := []string{"203.0.113.7", "100.128.0.1", "172.32.0.1", "198.17.255.255", "198.20.0.1", "223.255.255.254", "2001:db8::1", "64:ff9b::cb00:7107", "2002:cb00:7107::1"}
	cases := map[string]struct {
		list                   string
		never, inside, outside bool
	}{
		"default":             {"", false, true, true},
		"private":             {"private", false, true, true},
		"public":              {"public", false, false, true},
		"a network elsewhere": {"10.20.0.0/16", false, false, true},
		"everything":          {"0.0.0.0/0, ::/0", false, false, true},
	}
	for name, c := range cases {
		e := endpoints(t, c.list)
		for _, group := range []struct {
			list []string
			want bool
		}{{never, c.never}, {inside, c.inside}, {outside, c.outside}} {
			for _, address := range group.list {
				if got := e.Allows(netip.MustParseAddr(address)); got != group.want {
					t.Errorf("%s: %s is allowed: %t", name, address, got)
				}
			}
		}
	}
}

// TestSmallestRangeDecides among all ranges that contain an address.
func TestSmallestRangeDecides(t *testing.T) {
	cases := []struct {
		list, address string
		want          bool
	}{
		{"10.20.0.0/16", "10.20.1.1", true},
		{"10.20.0.0/16", "10.21.1.1", false},
		{"private,127.0.0.0/8,::1/128", "127.0.0.1", true},
		{"private,127.0.0.0/8,::1/128", "::1", true},
		{"private,127.0.0.0/8,::1/128", "10.0.0.1", true},
		{"127.0.0.0/8", "10.0.0.1", false},
		{"127.0.0.0/8", "64:ff9b::7f00:1", true},
		{"169.254.0.0/16", "169.254.1.1", true},
		{"169.254.0.0/16", "169.254.169.254", false},
		{"169.254.169.254/32", "169.254.169.254", true},
		{"100.64.0.0/10", "100.64.0.1", true},
		{"100.64.0.0/10", "100.100.100.200", false},
		{"fc00::/7", "fd00:ec2::254", false},
		{"0.0.0.0/0,::/0", "127.0.0.1", false},
	}
	for _, c := range cases {
		e := endpoints(t, c.list)
		if got := e.Allows(netip.MustParseAddr(c.address)); got != c.want {
			t.Errorf("%s: %s is allowed: %t", c.list, c.address, got)
		}
	}
}

func TestEndpointsFlagIsParsed(t *testing.T) {
	var e Endpoints
	if e.String() != "private" {
		t.Errorf("the default is %q", e.String())
	}
	for _, bad := range []string{"", "internal", "10.0.0.1", "10.0.0.0/33", "public,", "::ffff:10.0.0.0/104"} {
		if err := e.Set(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	if err := e.Set("public, 10.1.2.3/16"); err != nil || e.String() != "public,10.1.2.3/16" || !e.Allows(netip.MustParseAddr("10.1.9.9")) {
		t.Errorf("%v: %q", err, e.String())
	}
}

// serve serves "ok" and says how many requests it got.
func serve(t *testing.T) (*httptest.Server, *int) {
	t.Helper()
	n := new(int)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		*n++
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(s.Close)
	return s, n
}

func client(t *testing.T, o Options, p Provider) *http.Client {
	t.Helper()
	c, err := New(o).Client(p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(t *testing.T, c *http.Client, address string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	return err
}

// TestTenantsReachNoNode: by address and by a name that resolves to it, before
// anything is sent. Those of the cluster may.
func TestTenantsReachNoNode(t *testing.T) {
	server, requests := serve(t)
	named := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	for _, address := range []string{server.URL, named} {
		*requests = 0
		if err := get(t, client(t, Options{}, Provider{Tenant: true}), address); !errors.Is(err, bounded.ErrAddress) || *requests != 0 {
			t.Errorf("%s: %v, %d requests", address, err, *requests)
		}
		if err := get(t, client(t, Options{}, Provider{}), address); err != nil || *requests != 1 {
			t.Errorf("%s of the cluster: %v, %d requests", address, err, *requests)
		}
		o := Options{Endpoints: endpoints(t, "127.0.0.0/8,::1/128")}
		if err := get(t, client(t, o, Provider{Tenant: true}), address); err != nil || *requests != 2 {
			t.Errorf("%s where it is allowed: %v, %d requests", address, err, *requests)
		}
	}
}

// TestTenantsUseTheirOwnProxy, whose address is not limited. ClusterTokenProviders use the
// proxy of the environment.
func TestTenantsUseTheirOwnProxy(t *testing.T) {
	proxy, requests := serve(t)
	u, err := ParseProxy(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	tenant := client(t, Options{TenantProxy: u}, Provider{Tenant: true})
	if err := get(t, tenant, "http://vendor.example/keys"); err != nil || *requests != 1 {
		t.Errorf("through the proxy: %v, %d requests", err, *requests)
	}
	for _, address := range []string{"http://127.0.0.1:8080/", "http://[::1]/", "http://169.254.169.254/latest", "http://localhost/", "http://a.localhost./"} {
		if err := get(t, tenant, address); !errors.Is(err, bounded.ErrAddress) || *requests != 1 {
			t.Errorf("%s through the proxy: %v, %d requests", address, err, *requests)
		}
	}
	req := httptest.NewRequest(http.MethodGet, "http://vendor.example/", http.NoBody)
	direct := New(Options{})
	if direct.tenant.(*http.Transport).Proxy != nil {
		t.Error("a tenant uses the proxy of the environment")
	}
	_, wantErr := http.ProxyFromEnvironment(req)
	if _, err := direct.cluster.(*http.Transport).Proxy(req); (err == nil) != (wantErr == nil) {
		t.Errorf("the proxy of the environment: %v, want %v", err, wantErr)
	}
	for _, bad := range []string{"proxy.example.com:3128", "ftp://proxy.example.com", "://", "http://user:CANARY@", "http://:3128", "http://user:CANARY@proxy:70000"} {
		if _, err := ParseProxy(bad); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestRedirectsAndOldTLSAreRefused(t *testing.T) {
	c := client(t, Options{}, Provider{})
	if err := c.CheckRedirect(nil, nil); !errors.Is(err, http.ErrUseLastResponse) {
		t.Errorf("a redirect: %v", err)
	}
	f := New(Options{})
	for _, rt := range []http.RoundTripper{f.cluster, f.tenant} {
		tr := rt.(*http.Transport)
		if tr.TLSClientConfig.MinVersion != tls.VersionTLS12 || tr.MaxResponseHeaderBytes != bounded.MaxHeader || !tr.DisableCompression {
			t.Errorf("got %+v", tr)
		}
	}
}

func bundle(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestCABundleIsTrusted for a server whose certificate only the bundle covers.
func TestCABundleIsTrusted(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // a client that does not trust it is expected
	server.StartTLS()
	t.Cleanup(server.Close)
	good := bundle(server.Certificate().Raw)
	if err := get(t, client(t, Options{}, Provider{}), server.URL); err == nil {
		t.Error("a certificate of an unknown CA is accepted")
	}
	for _, text := range []string{good, "# our CA\n" + good + "\n# and again\n" + good} {
		if err := get(t, client(t, Options{}, Provider{Field: "spec.x.caBundle", CABundle: text}), server.URL); err != nil {
			t.Errorf("with the bundle: %v", err)
		}
	}
	tenant := client(t, Options{}, Provider{Tenant: true, Field: "spec.x.caBundle", CABundle: good})
	if err := get(t, tenant, server.URL); !errors.Is(err, bounded.ErrAddress) {
		t.Errorf("a tenant with a bundle: %v", err)
	}
	broken := strings.Replace(good, "MII", "M!I", 1)
	for name, text := range map[string]string{
		"no certificate":            "MIIB",
		"a broken block":            broken,
		"a broken block at the end": good + broken,
		"a broken block before":     broken + good,
		"cut off":                   good + good[:len(good)-10],
		"not DER":                   good + bundle([]byte("CANARY")),
		"a private key":             good + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("CANARY")})),
	} {
		_, err := New(Options{}).Client(Provider{Field: "spec.x.caBundle", CABundle: text})
		if e := provider.AsError(err); e == nil || e.Code != provider.CodeInvalid || !e.NotExecuted ||
			!strings.HasPrefix(e.Message, "spec.x.caBundle") || strings.Contains(e.Message, "CANARY") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
