// Package transport makes the HTTP clients of all drivers. It limits where requests can go:
// the addresses that a TokenProvider can reach, checked when a connection is made, the
// proxy, and the CAs of servers. Package bounded limits the size and time of requests.
package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
)

// The limits of connections. The timeouts are those of net/http's default transport, except
// for the dial, which leaves time for another address within bounded.RequestTime.
const (
	dialTime      = 10 * time.Second
	keepAlive     = 30 * time.Second
	handshakeTime = 10 * time.Second
	idleTime      = 90 * time.Second
	idleConns     = 100
	// streamBuffer is the size of the read buffer of an HTTP/2 stream, in bytes.
	streamBuffer = 1 << 20
)

// Options of a Factory.
type Options struct {
	// Endpoints that TokenProviders can reach; the zero value is "private".
	Endpoints Endpoints
	// TenantProxy is the proxy of TokenProviders, which must then refuse addresses; nil:
	// no proxy. ClusterTokenProviders use the proxy of the environment (HTTPS_PROXY,
	// HTTP_PROXY and NO_PROXY).
	TenantProxy *url.URL
}

// Factory makes HTTP clients. It is safe for concurrent use.
type Factory struct {
	o Options
	// cluster and tenant are shared by all providers without a CA bundle.
	cluster, tenant http.RoundTripper
}

// New returns a Factory.
func New(o Options) *Factory {
	f := &Factory{o: o}
	f.cluster, f.tenant = f.transport(false, nil), f.transport(true, nil)
	return f
}

// Provider has the properties of a provider that its HTTP client depends on.
type Provider struct {
	// Tenant: it is a TokenProvider, whose addresses are limited.
	Tenant bool
	// CABundle has CAs in PEM that are trusted in addition to the system's; empty: none.
	// Field is the name of its field.
	CABundle, Field string
}

// Client returns the HTTP client of a provider. An error is a *provider.Error that names the
// field.
func (f *Factory) Client(p Provider) (*http.Client, error) {
	if p.CABundle == "" {
		if p.Tenant {
			return bounded.HTTP(&http.Client{Transport: f.tenant}), nil
		}
		return bounded.HTTP(&http.Client{Transport: f.cluster}), nil
	}
	roots, err := rootsOf(p.Field, p.CABundle)
	if err != nil {
		return nil, err
	}
	// Not cached: its idle connections time out, and it is collected with its user.
	return bounded.HTTP(&http.Client{Transport: f.transport(p.Tenant, roots)}), nil
}

func (f *Factory) transport(tenant bool, roots *x509.CertPool) http.RoundTripper {
	dialer := &net.Dialer{Timeout: dialTime, KeepAlive: keepAlive}
	out := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: handshakeTime, ForceAttemptHTTP2: true,
		MaxIdleConns: idleConns, IdleConnTimeout: idleTime,
		MaxResponseHeaderBytes: bounded.MaxHeader,
		// Nothing is decompressed, so the limit on a body limits what is decoded.
		DisableCompression: true,
		HTTP2:              &http.HTTP2Config{MaxReceiveBufferPerStream: streamBuffer},
		// net/http would put the proxy's own text into the error.
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
			if answer.StatusCode != http.StatusOK {
				return &bounded.ProxyStatusError{Status: answer.StatusCode}
			}
			return nil
		},
	}
	switch {
	case !tenant:
		return out
	case f.o.TenantProxy != nil:
		out.Proxy = http.ProxyURL(f.o.TenantProxy)
		return &proxied{endpoints: &f.o.Endpoints, next: out}
	default:
		out.Proxy = nil
		dialer.Control = f.guard
		return out
	}
}

// guard is called with the address of a new connection, after name resolution, so a name
// cannot hide an address.
func (f *Factory) guard(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !f.o.Endpoints.Allows(a.Addr()) {
		return bounded.ErrAddress
	}
	return nil
}

// proxied refuses the addresses that are known before a proxy resolves names.
type proxied struct {
	endpoints *Endpoints
	next      http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (p *proxied) RoundTrip(req *http.Request) (*http.Response, error) {
	host := strings.TrimSuffix(strings.ToLower(req.URL.Hostname()), ".")
	a, err := netip.ParseAddr(host)
	if err == nil && !p.endpoints.Allows(a) || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		if req.Body != nil {
			_ = req.Body.Close() // a RoundTripper must close the body
		}
		return nil, bounded.ErrAddress
	}
	return p.next.RoundTrip(req)
}

// ParseProxy parses the URL of a proxy.
func ParseProxy(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Opaque != "" || provider.CheckHost(u) != "" {
		return nil, fmt.Errorf("%q is not the URL of a proxy, such as http://proxy.example.com:3128; its port is from 1 to 65535", redacted(s))
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return u, nil
	}
	return nil, fmt.Errorf("%q: a proxy is reached over http, https, socks5 or socks5h", u.Redacted())
}

// redacted removes what can be a password.
func redacted(s string) string {
	if _, host, ok := strings.Cut(s, "@"); ok {
		return host
	}
	return s
}

// rootsOf returns the system's CAs and those of a bundle. Every block must be a
// certificate; otherwise a broken one would only be noticed when its server fails.
func rootsOf(field, bundle string) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	broken := func(n int, why string) error {
		return provider.Invalid(fmt.Sprintf("%s: block %d %s; every block must be a certificate in PEM form", field, n, why))
	}
	n := 0
	for rest := []byte(bundle); ; {
		before := strings.Count(string(rest), "-----BEGIN")
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if before > 0 {
				return nil, broken(n+1, "is broken")
			}
			break
		}
		n++
		if before-strings.Count(string(rest), "-----BEGIN") != 1 {
			return nil, broken(n, "is broken") // pem.Decode skipped it
		}
		if block.Type != "CERTIFICATE" {
			return nil, broken(n, "is not a certificate")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, broken(n, "cannot be read as a certificate")
		}
		roots.AddCert(cert)
	}
	if n == 0 {
		return nil, provider.Invalid(field + " holds no certificate in PEM form")
	}
	return roots, nil
}
