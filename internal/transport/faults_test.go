package transport

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
	"apitoken.dev/operator/test/support/badserver"
)

// failing returns the Fault of a request that gets no answer.
func failing(t *testing.T, c *http.Client, address string) *provider.Fault {
	t.Helper()
	err := get(t, c, address)
	f := provider.FaultIn(err)
	if f == nil {
		t.Fatalf("%s: got %v, want a fault", address, err)
	}
	if text := f.Sentence("spec.x.endpoint"); strings.Contains(text, badserver.Canary) || strings.Contains(text, "%!") || strings.Contains(text, "%[") {
		t.Errorf("the sentence is %q", text)
	}
	return f
}

// TestTimeoutsAreDistinguished by real servers that never answer, with limits that are much
// shorter.
func TestTimeoutsAreDistinguished(t *testing.T) {
	silent := badserver.Silent(t).URL
	for want, test := range map[provider.FaultClass]struct {
		url       string
		transport *http.Transport
	}{
		provider.FaultConnectTimeout:   {silent, &http.Transport{DialContext: (&net.Dialer{Timeout: time.Nanosecond}).DialContext}},
		provider.FaultHandshakeTimeout: {strings.Replace(silent, "http:", "https:", 1), &http.Transport{TLSHandshakeTimeout: time.Nanosecond}},
		provider.FaultAnswerTimeout:    {silent, &http.Transport{ResponseHeaderTimeout: time.Nanosecond}},
	} {
		f := failing(t, bounded.HTTP(&http.Client{Transport: test.transport}), test.url)
		test.transport.CloseIdleConnections()
		if f.Class != want || !f.Timeout() || !strings.Contains(f.Sentence(""), strings.TrimPrefix(silent, "http://")) {
			t.Errorf("got %s (%s), want %s", f.Class, f.Sentence(""), want)
		}
	}
}

// TestCancellationIsNotAFault of the server.
func TestCancellationIsNotAFault(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := bounded.HTTP(&http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}}})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://api.example.com", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	if err == nil || provider.FaultIn(err) != nil {
		t.Errorf("got %v", err)
	}
}

// TestProxyFaultsNameTheServer: the message blames the proxy, names the requested server,
// and does not repeat the answer of the proxy.
func TestProxyFaultsNameTheServer(t *testing.T) {
	answering := func(status int) string {
		s := badserver.Other(t, status, "text/plain", badserver.Canary)
		return s.URL
	}
	for name, test := range map[string]struct {
		proxy, says string
	}{
		"refuses the connection": {strings.Replace(badserver.Refusing(t).URL, "https:", "http:", 1), "because the proxy refused the connection"},
		"an unknown CA":          {badserver.UntrustedCA(t).URL, "proxy's certificate comes from a CA that is not trusted"},
		"speaks plain HTTP":      {badserver.Plain(t).URL, "the proxy speaks plain HTTP"},
		"wants a password":       {answering(http.StatusProxyAuthRequired), "requires a user and a password (status 407)"},
		"refuses the host":       {answering(http.StatusForbidden), "(status 403)"},
		"is no SOCKS proxy":      {strings.Replace(badserver.Greeting(t).URL, "http:", "socks5:", 1), "the operator's proxy did not connect to"},
	} {
		t.Run(name, func(t *testing.T) {
			proxy, err := ParseProxy(test.proxy)
			if err != nil {
				t.Fatal(err)
			}
			f := failing(t, client(t, Options{TenantProxy: proxy}, Provider{Tenant: true}), "https://vendor.example.com/keys")
			text := f.Sentence("spec.x.endpoint")
			if f.Class != provider.FaultProxy || !strings.Contains(text, test.says) || !strings.Contains(text, "vendor.example.com:443") ||
				!strings.Contains(text, "--tenant-proxy") || strings.Contains(text, proxy.Host) {
				t.Errorf("got %s: %s", f.Class, text)
			}
		})
	}
}

// TestProxyIsUsedForConnect if it answers 200.
func TestProxyIsUsedForConnect(t *testing.T) {
	server := badserver.UntrustedCA(t) // an error about its certificate proves that the request reached it
	proxied := ""
	proxy := badserver.Connecting(t, func(host string) { proxied = host })
	u, err := ParseProxy(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{TenantProxy: u, Endpoints: endpoints(t, "127.0.0.0/8")}
	if f := failing(t, client(t, o, Provider{Tenant: true}), server.URL); f.Class != provider.FaultCA || "https://"+proxied != server.URL {
		t.Errorf("got %s through %q", f.Class, proxied)
	}
}

// TestAnswersOfOtherServersAreFaults: redirects and web pages. The error page of a gateway
// stays an error of the server.
func TestAnswersOfOtherServersAreFaults(t *testing.T) {
	for name, test := range map[string]struct {
		server badserver.Server
		want   provider.FaultClass
	}{
		"redirect":        {badserver.Redirecting(t), provider.FaultRedirect},
		"page":            {badserver.Page(t, 200), provider.FaultPage},
		"page by content": {badserver.Other(t, 403, "text/plain", "\n<HTML>"), provider.FaultPage},
		"nginx":           {badserver.Other(t, 400, "text/html", "<html>The plain HTTP request was sent to HTTPS port"), provider.FaultTLS},
		"gateway":         {badserver.Page(t, 502), ""},
		"too many":        {badserver.Page(t, 429), ""},
		"JSON":            {badserver.Other(t, 200, "application/json", `{"page":"<html>"}`), ""},
		"nothing":         {badserver.Other(t, 204, "", ""), ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, test.server.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client(t, Options{}, Provider{}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		f := bounded.FaultOf(resp)
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Error(err)
		}
		_ = resp.Body.Close()
		if f == nil && test.want != "" || f != nil && f.Class != test.want {
			t.Errorf("%s: got %+v, want %q", name, f, test.want)
		}
		if f != nil && strings.Contains(f.Sentence("spec.x"), badserver.Canary) {
			t.Errorf("%s: the sentence repeats the server: %s", name, f.Sentence("spec.x"))
		}
	}
}

// TestServersAreNamedInASCII: a host of a declaration commands no terminal.
func TestServersAreNamedInASCII(t *testing.T) {
	for address, want := range map[string]string{
		"https://api.example.com": "api.example.com:443", "http://[2001:db8::7]/": "[2001:db8::7]:80", "https://b\u00fccher.example:1": `b\u00fccher.example:1`,
		"https://\u202eevil.example": `\u202eevil.example:443`, "https://" + strings.Repeat("a", 900): strings.Repeat("a", 255) + ":443",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := provider.ServerName(u); got != want {
			t.Errorf("%q is named %q, want %q", address, got, want)
		}
	}
}
