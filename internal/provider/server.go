package provider

import (
	"context"
	"net"
	"net/url"
	"strings"
)

// Located is an optional power of a Driver: it tells which server names its
// accounts. Together with the driver's type and Account.ID that identifies an
// account among all providers of a cluster. It does no I/O.
//
// For a driver without it, Account.ID counts as declared; see Server.
type Located interface {
	Server(ctx context.Context, cfg Config) Server
}

// Server is the server that tells whose credentials a Client mints.
type Server struct {
	// Host and port that requests are sent to, as HostPort returns them, also where
	// the settings leave the endpoint to its default; empty when not known.
	Host string
	// Declared: the settings can choose Account.ID, so that it proves nothing about
	// who the credentials belong to.
	Declared bool
}

// HostPort returns the host and port that requests to a URL are sent to, in one
// spelling: lower case, no final dot, and the scheme's port where none is given. It
// returns the empty string for what is not the URL of a server.
func HostPort(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), port)
}
