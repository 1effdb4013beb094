package provider

import (
	"context"
	"net"
	"net/url"
	"strings"
)

// Located is an optional interface of a Driver: it returns the server that names its
// accounts. Together with the driver's type and Account.ID that identifies an
// account among all providers of a cluster. It does no I/O.
//
// For a driver without it, Account.ID counts as declared; see Server.
type Located interface {
	Server(ctx context.Context, cfg Config) Server
}

// Server is the server that identifies the account of a Client.
type Server struct {
	// Host and port that requests are sent to, as HostPort returns them, even if
	// the settings leave the endpoint at its default; empty when not known.
	Host string
	// URL that requests are sent to, as CanonicalURL returns it; empty when not known.
	URL string
	// Field of the provider's object that has the URL, for example spec.aws.iamEndpoint.
	Field string
	// Declared: the settings can choose Account.ID, so that it does not prove who
	// owns the credentials.
	Declared bool
}

// ServerAt returns the server of a URL that a field of the provider's object has, or
// leaves at its default. The server names its accounts itself.
func ServerAt(field, address string) Server {
	return Server{Host: HostPort(address), URL: CanonicalURL(address), Field: field}
}

// CanonicalURL returns one spelling of the URL of a server: lower case where case does
// not matter, no final dot of the host, no port that the scheme implies, no final
// slash. It returns "" if the URL is not that of a server.
func CanonicalURL(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	scheme := strings.ToLower(u.Scheme)
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if strings.Contains(host, ":") {
		host = "[" + host + "]" // an IPv6 address, RFC 3986 section 3.2.2
	}
	if port := u.Port(); port != "" && port != impliedPorts[scheme] {
		host += ":" + port
	}
	return scheme + "://" + host + strings.TrimRight(u.EscapedPath(), "/")
}

var impliedPorts = map[string]string{"http": "80", "https": "443"}

// HostPort returns the host and port that requests to a URL are sent to, in one
// spelling: lower case, no final dot, and the scheme's port by default. It returns
// "" if the URL is not that of a server.
func HostPort(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = impliedPorts[u.Scheme]
	}
	return net.JoinHostPort(strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), port)
}
