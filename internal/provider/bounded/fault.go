package bounded

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"apitoken.dev/operator/internal/provider"
)

// ProxyStatusError is the error of a proxy that answered CONNECT with a status other
// than 200.
type ProxyStatusError struct{ Status int }

// Error implements error.
func (e *ProxyStatusError) Error() string {
	return "the proxy answered with status " + strconv.Itoa(e.Status)
}

// fault returns why a request got no answer. The error stays among the causes, because
// clients use it to decide whether to retry.
func fault(u *url.URL, err error) *provider.Fault {
	out := &provider.Fault{Server: provider.ServerName(u), Err: err}
	if detail, ok := ofProxy(err); ok {
		out.Class, out.Detail = provider.FaultProxy, detail
		return out
	}
	for _, judge := range []func(error) (provider.FaultClass, string){ofDNS, ofCertificate, ofHandshake, ofTimeout, ofConnection, ofProtocol} {
		if out.Class, out.Detail = judge(err); out.Class == "" {
			continue
		}
		if out.Class == provider.FaultClosed && u.Scheme == "http" {
			// The answer of a TLS server to plain HTTP is often lost, because it closes with unread data.
			out.Detail = ", and whether it must begin with https"
		}
		return out
	}
	out.Class = provider.FaultOther
	return out
}

// The operations that net/http gives to errors between it and a proxy (net/http,
// Transport.dialConn and socks_bundle.go).
const (
	opProxy = "proxyconnect"
	opSocks = "socks connect"
)

// ofProxy returns what failed between the operator and its proxy. It does not name the
// proxy, because tenants can read the message.
func ofProxy(err error) (detail string, failed bool) {
	var status *ProxyStatusError
	var op *net.OpError
	switch {
	case errors.As(err, &status) && status.Status == http.StatusProxyAuthRequired:
		return ", because it requires a user and a password (status 407)", true
	case errors.As(err, &status):
		return " (status " + strconv.Itoa(status.Status) + ")", true
	case !errors.As(err, &op) || op.Op != opProxy && op.Op != opSocks:
		return "", false
	case op.Op == opSocks:
		return "", true
	}
	class := provider.FaultOther
	for _, judge := range []func(error) (provider.FaultClass, string){ofDNS, ofCertificate, ofHandshake, ofTimeout, ofConnection} {
		if found, _ := judge(op.Err); found != "" {
			class = found
			break
		}
	}
	return map[provider.FaultClass]string{
		provider.FaultName:             ", because the proxy's name is not in DNS",
		provider.FaultDNS:              ", because DNS did not answer for the proxy's name",
		provider.FaultRefused:          ", because the proxy refused the connection",
		provider.FaultRoute:            ", because there is no route to the proxy",
		provider.FaultConnectTimeout:   ", because the proxy did not accept the connection in time",
		provider.FaultHandshakeTimeout: ", because the proxy did not answer the TLS handshake in time",
		provider.FaultCA:               ", because the proxy's certificate comes from a CA that is not trusted",
		provider.FaultExpired:          ", because the proxy's certificate is not valid now",
		provider.FaultOtherHost:        ", because the proxy's certificate is for another host",
		provider.FaultPlain:            ", because the proxy speaks plain HTTP and its URL begins with https",
	}[class], true
}

func ofDNS(err error) (class provider.FaultClass, detail string) {
	var dns *net.DNSError
	switch {
	case !errors.As(err, &dns):
		return "", ""
	case dns.IsNotFound:
		return provider.FaultName, ""
	default:
		return provider.FaultDNS, ""
	}
}

// ofCertificate classifies the error of crypto/x509 for a server's certificate. It repeats
// no names of the certificate, only times.
func ofCertificate(err error) (class provider.FaultClass, detail string) {
	var (
		unknown x509.UnknownAuthorityError
		roots   x509.SystemRootsError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		other   *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &host):
		return provider.FaultOtherHost, ""
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		return provider.FaultExpired, invalid.Cert.NotBefore.UTC().Format(time.RFC3339) + " to " + invalid.Cert.NotAfter.UTC().Format(time.RFC3339)
	case errors.As(err, &invalid):
		return provider.FaultCertificate, map[x509.InvalidReason]string{
			x509.NotAuthorizedToSign:  ", because its issuer is not a CA",
			x509.IncompatibleUsage:    ", because it is not a server certificate",
			x509.TooManyIntermediates: ", because too many CAs are between it and the trusted CA",
		}[invalid.Reason]
	case errors.As(err, &unknown), errors.As(err, &roots):
		return provider.FaultCA, ""
	case errors.As(err, &other):
		return provider.FaultCertificate, ""
	}
	return "", ""
}

// textHandshakeTimeout is the error of a handshake that took too long (net/http,
// tlsHandshakeTimeoutError, which is not exported).
const textHandshakeTimeout = "net/http: TLS handshake timeout"

func ofHandshake(err error) (class provider.FaultClass, detail string) {
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		return provider.FaultPlain, ""
	case errors.As(err, &record), errors.As(err, &alert), strings.HasPrefix(err.Error(), "tls: "):
		return provider.FaultHandshake, ""
	case err.Error() == textHandshakeTimeout:
		return provider.FaultHandshakeTimeout, ""
	}
	return "", ""
}

func ofTimeout(err error) (class provider.FaultClass, detail string) {
	var op *net.OpError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &op) && op.Op == "dial" && op.Timeout():
		return provider.FaultConnectTimeout, ""
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return provider.FaultAnswerTimeout, ""
	}
	return "", ""
}

// textClosed is the error of a connection that the server closed before it answered
// (net/http, errServerClosedIdle, which is not exported).
const textClosed = "server closed idle connection"

func ofConnection(err error) (class provider.FaultClass, detail string) {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return provider.FaultRefused, ""
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return provider.FaultRoute, ""
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, net.ErrClosed), strings.Contains(err.Error(), textClosed):
		return provider.FaultClosed, ""
	}
	return "", ""
}

// ofProtocol classifies an answer that is not HTTP. net/http quotes its first line; a line
// that begins with a TLS record of version 3 is an alert (RFC 8446, section 5.1).
func ofProtocol(err error) (class provider.FaultClass, detail string) {
	text := err.Error()
	switch {
	case strings.Contains(text, `malformed HTTP response "\x15\x03`):
		return provider.FaultTLS, ""
	case strings.Contains(text, "malformed HTTP"):
		return provider.FaultNoHTTP, ""
	}
	return "", ""
}

// plainToTLS are the answers of servers, with status 400, to plain HTTP at a port for TLS:
// Go's net/http, nginx and Apache.
var plainToTLS = [][]byte{
	[]byte("HTTP request to an HTTPS server"), []byte("plain HTTP request was sent to HTTPS port"), []byte("speaking plain HTTP to an SSL-enabled server port"),
}

// answerFault returns why an answer does not come from an API; nil if it may.
func answerFault(req *http.Request, resp *http.Response, content []byte) *provider.Fault {
	out := &provider.Fault{Server: provider.ServerName(req.URL)}
	switch status := resp.StatusCode; {
	case status >= 300 && status < 400 && status != http.StatusNotModified:
		out.Class, out.Detail = provider.FaultRedirect, redirectDetail(req.URL, resp)
	case status == http.StatusBadRequest && req.URL.Scheme == "http" && containsAny(content, plainToTLS):
		out.Class = provider.FaultTLS
	case status >= 500 || status == http.StatusUnauthorized || status == http.StatusTooManyRequests ||
		status == http.StatusRequestTimeout || !page(resp.Header, content):
		// A gateway can answer with a page too, but these statuses are more precise.
		return nil
	default:
		out.Class, out.Detail = provider.FaultPage, " (status "+strconv.Itoa(status)+")"
	}
	return out
}

// redirectDetail describes a redirect without repeating its Location, which is text of the server.
func redirectDetail(from *url.URL, resp *http.Response) string {
	detail := " (status " + strconv.Itoa(resp.StatusCode)
	to, err := url.Parse(resp.Header.Get("Location"))
	if err == nil && from.Scheme == "http" && to.Scheme == "https" && strings.EqualFold(to.Hostname(), from.Hostname()) {
		detail += ", to https"
	}
	return detail + ")"
}

func containsAny(content []byte, list [][]byte) bool {
	for _, part := range list {
		if bytes.Contains(content, part) {
			return true
		}
	}
	return false
}

// page reports whether an answer is an HTML page.
func page(header http.Header, content []byte) bool {
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	if kind == "text/html" || kind == "application/xhtml+xml" {
		return true
	}
	const most = len("<!doctype html")
	begin := bytes.TrimLeft(content, "\ufeff \t\r\n")
	begin = bytes.ToLower(begin[:min(len(begin), most)])
	return bytes.HasPrefix(begin, []byte("<!doctype html")) || bytes.HasPrefix(begin, []byte("<html"))
}

// FaultOf returns why the answer that a client of HTTP returned does not come from an API;
// nil if it may. It does not read the body.
func FaultOf(resp *http.Response) *provider.Fault {
	if resp == nil {
		return nil
	}
	if b, ok := resp.Body.(*body); ok {
		return b.fault
	}
	return nil
}
