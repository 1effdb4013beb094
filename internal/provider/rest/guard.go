package rest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// refusedRanges are addresses that serve the machine a request comes from: its
// loopback, and what clouds tell a machine about itself, with credentials of its
// own. Whoever may write a provider into a namespace must not reach them through
// the operator.
var refusedRanges = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),          // this host (RFC 1122, section 3.2.1.3)
	netip.MustParsePrefix("127.0.0.0/8"),        // loopback
	netip.MustParsePrefix("169.254.0.0/16"),     // link-local (RFC 3927); the metadata service of most clouds
	netip.MustParsePrefix("100.100.100.200/32"), // metadata of Alibaba Cloud
	netip.MustParsePrefix("168.63.129.16/32"),   // WireServer of Azure
	netip.MustParsePrefix("::/128"),             // unspecified
	netip.MustParsePrefix("::1/128"),            // loopback
	netip.MustParsePrefix("fe80::/10"),          // link-local
	netip.MustParsePrefix("fd00:ec2::/32"),      // services of AWS for its machines; metadata is fd00:ec2::254
	netip.MustParsePrefix("fd20:ce::254/128"),   // metadata of Google Cloud
}

// nat64 is the prefix that carries an IPv4 address in its last four bytes (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// forbidden reports whether a namespaced provider may not reach an address.
func forbidden(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	for _, r := range refusedRanges {
		if r.Contains(a) {
			return true
		}
	}
	return false
}

// errForbidden says that nothing was sent, because of where it would have gone.
var errForbidden = errors.New("the address is not allowed")

// refuseAddress is called with the address that a connection is about to be made
// to, after names were resolved: a name cannot hide one.
func refuseAddress(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || forbidden(a.Addr()) {
		return errForbidden
	}
	return nil
}

// notAllowed is the error of a request to an address that is not allowed.
func notAllowed() *provider.Error {
	return provider.Invalid("spec.rest.baseURL leads to a loopback, link-local or metadata address, which a TokenProvider may not reach: " +
		"write the address of the vendor, or let whoever runs the cluster make a ClusterTokenProvider")
}

// The timeouts of connections, as in net/http's own transport.
const (
	dialTimeout = 10 * time.Second
	keepAlive   = 30 * time.Second
)

// httpClient is the client that the requests go through. With a client of the
// caller's the host is resolved and checked before each request instead.
func httpClient(cfg provider.Config, s Settings) (*http.Client, error) {
	if cfg.HTTP != nil {
		return cfg.HTTP, nil
	}
	base, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, fmt.Errorf("the default transport is a %T", http.DefaultTransport)
	}
	transport := base.Clone()
	if s.CABundle != "" {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM([]byte(s.CABundle)) {
			return nil, provider.Invalid("spec.rest.caBundle holds no certificate in PEM form")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	if s.Namespaced {
		// A proxy would resolve the name itself, where nothing could be checked.
		transport.Proxy = nil
		dialer := net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive, Control: refuseAddress}
		transport.DialContext = dialer.DialContext
	}
	return &http.Client{Transport: transport, Timeout: httpapi.Timeout}, nil
}

// checkHost resolves the host of a URL and refuses it when one of its addresses
// is not allowed. A name that does not resolve is left to the request.
func checkHost(ctx context.Context, u *url.URL) error {
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		if forbidden(a) {
			return notAllowed()
		}
		return nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil //nolint:nilerr // the request says so itself, and is in doubt or not as it should be
	}
	for _, a := range found {
		if forbidden(a) {
			return notAllowed()
		}
	}
	return nil
}
