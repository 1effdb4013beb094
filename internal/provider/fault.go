package provider

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// FaultClass is the reason why an exchange with a server failed.
type FaultClass string

// The classes of a Fault.
const (
	FaultName             FaultClass = "NameNotResolved"
	FaultDNS              FaultClass = "DNSFailed"
	FaultRefused          FaultClass = "ConnectionRefused"
	FaultRoute            FaultClass = "NoRoute"
	FaultConnectTimeout   FaultClass = "ConnectTimedOut"
	FaultHandshakeTimeout FaultClass = "HandshakeTimedOut"
	FaultAnswerTimeout    FaultClass = "AnswerTimedOut"
	FaultClosed           FaultClass = "ConnectionClosed"
	FaultCA               FaultClass = "CertificateUnknown"
	FaultExpired          FaultClass = "CertificateExpired"
	FaultOtherHost        FaultClass = "CertificateForAnotherHost"
	FaultCertificate      FaultClass = "CertificateUnusable"
	FaultHandshake        FaultClass = "HandshakeFailed"
	FaultPlain            FaultClass = "PlainHTTPWhereTLSWasExpected"
	FaultTLS              FaultClass = "TLSWherePlainHTTPWasExpected"
	FaultNoHTTP           FaultClass = "NotHTTP"
	FaultProxy            FaultClass = "ProxyFailed"
	FaultRedirect         FaultClass = "Redirect"
	FaultPage             FaultClass = "WebPage"
	FaultOther            FaultClass = "ConnectionFailed"
)

// sentences of the classes: what happened, and what to do. %[1]s is the server with its
// port, %[2]s the field that names it, %[3]s the detail.
var sentences = map[FaultClass]string{
	FaultName:             "the name of %[1]s is not in DNS: correct the host in %[2]s, or the DNS that the operator's pod uses",
	FaultDNS:              "DNS did not answer for the name of %[1]s: check the DNS of the cluster, and that no NetworkPolicy blocks the operator",
	FaultRefused:          "%[1]s refused the connection, as no server listens there: check the host and the port in %[2]s, and that the server runs",
	FaultRoute:            "there is no route to %[1]s: check the host in %[2]s, the network, and the NetworkPolicies of the operator",
	FaultConnectTimeout:   "%[1]s did not accept a connection in time: check the host and the port in %[2]s, and whether a firewall or a NetworkPolicy drops it",
	FaultHandshakeTimeout: "%[1]s accepted the connection and did not answer the TLS handshake in time: check that the port in %[2]s serves https",
	FaultAnswerTimeout:    "%[1]s accepted the request and did not answer in time: check that %[2]s names the API, and whether the server is overloaded",
	FaultClosed:           "%[1]s closed the connection without a complete answer: check that %[2]s names the API%[3]s, and any proxy in front of it",
	FaultCA:               "the certificate of %[1]s comes from a CA that the operator does not trust: put that CA into caBundle of the provider, or correct %[2]s",
	FaultExpired:          "the certificate of %[1]s is not valid now, but from %[3]s: renew it, or correct the clock of the operator's node",
	FaultOtherHost:        "the certificate of %[1]s is for another host: write a host that it names into %[2]s, or give the server a certificate for this one",
	FaultCertificate:      "the certificate of %[1]s cannot be used%[3]s: give the server another certificate",
	FaultHandshake:        "%[1]s and the operator did not agree on TLS: the server must offer TLS 1.2 or 1.3, and must not ask for a client certificate",
	FaultPlain: "%[1]s speaks plain HTTP, and %[2]s begins with https: write the port that serves https; begin it with http only " +
		"in a network that you trust, because secrets are then sent in clear text",
	FaultTLS:      "%[1]s speaks TLS, and %[2]s begins with http: begin it with https",
	FaultNoHTTP:   "the server at %[1]s does not speak HTTP: check the port in %[2]s",
	FaultProxy:    "the operator's proxy did not connect to %[1]s%[3]s: check --tenant-proxy for a TokenProvider, and HTTPS_PROXY and NO_PROXY of the operator for a ClusterTokenProvider",
	FaultRedirect: "%[1]s redirects requests%[3]s, and redirects are not followed: write the address of the API itself into %[2]s",
	FaultPage:     "%[1]s answered with a web page%[3]s and not as an API: correct %[2]s if it names a website, and look for a proxy, a firewall or a login page in front of the API",
	FaultOther:    "the connection to %[1]s failed: check the host and the port in %[2]s, and any proxy in front of the server",
}

// Fault is a failed exchange with a server: no connection, no answer, or an answer that
// does not come from an API. It names the server and the reason in the operator's words,
// and never repeats text of the server, of its certificate or of a library. It does not
// tell whether a request that was sent was carried out: an error with a Fault is in doubt
// unless its NotExecuted is set.
type Fault struct {
	Class FaultClass
	// Server is the host and the port, as ServerName returns them.
	Server string
	// Detail of some classes, in the operator's words.
	Detail string
	// Err is the cause, for errors.Is, errors.As, and for clients that use it to decide
	// whether to retry; nil for an answer.
	Err error
}

// Sentence says what happened and what to do. Field is the field that names the server,
// such as spec.aws.iamEndpoint; empty: not known.
func (f *Fault) Sentence(field string) string {
	if field == "" {
		field = "the endpoint of the provider"
	}
	format, ok := sentences[f.Class]
	if !ok {
		format = sentences[FaultOther]
	}
	// A format may leave out an argument.
	return strings.NewReplacer("%[1]s", f.Server, "%[2]s", field, "%[3]s", f.Detail).Replace(format)
}

// Error returns the text of the cause, because SDKs search it for words. It is never
// shown: AsError and drivers use Sentence.
func (f *Fault) Error() string {
	if f.Err != nil {
		return f.Err.Error()
	}
	return string(f.Class)
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Timeout is that of the cause, as net.Error has it.
func (f *Fault) Timeout() bool {
	var e interface{ Timeout() bool }
	return errors.As(f.Err, &e) && e.Timeout()
}

// Temporary is that of the cause, as net.Error has it.
func (f *Fault) Temporary() bool {
	var e interface{ Temporary() bool }
	return errors.As(f.Err, &e) && e.Temporary()
}

// FaultIn returns the Fault among the causes of an error, or nil.
func FaultIn(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return nil
}

// Unreached returns the error of a request that ended in a Fault: CodeUnavailable, in
// doubt. It begins with what the request was for, such as "could not list the keys".
func Unreached(what, field string, f *Fault) *Error {
	return &Error{Code: CodeUnavailable, Err: f, Message: what + ": " + f.Sentence(field)}
}

// maxServer is the longest host that a message names (RFC 1035, section 2.3.4).
const maxServer = 255

// ServerName is the host and the port of a URL as messages name them: printable ASCII
// only, for any declaration.
func ServerName(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	host := u.Hostname()
	if len(host) > maxServer {
		host = host[:maxServer]
	}
	host = strings.Trim(strconv.QuoteToASCII(host), `"`)
	return fmt.Sprintf("%.300s", net.JoinHostPort(host, port))
}
