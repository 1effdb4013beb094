// Package badserver has servers that fail in the ways in which real servers fail, to test
// the messages of the operator. Each one is a real socket on the loopback interface, with
// certificates that are generated for the test.
package badserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Canary is part of every text, name and address that a server of this package sends. No
// message of the operator may contain it.
const Canary = "CANARY-raw-text"

// Server is a server that fails.
type Server struct {
	// URL of the server.
	URL string
	// CABundle is the CA to trust, in PEM; empty: none.
	CABundle string
}

// Refusing refuses connections: its port is bound, without a listener.
func Refusing(t testing.TB) Server {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	fatal(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	fatal(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	name, err := syscall.Getsockname(fd)
	fatal(t, err)
	inet, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		t.Fatalf("the socket has the address %T", name)
	}
	return Server{URL: "https://127.0.0.1:" + strconv.Itoa(inet.Port)}
}

// Unnamed has a name that is not in DNS. It replaces the resolver of this process until
// the test ends, so the test must not be parallel.
func Unnamed(t testing.TB) Server {
	t.Helper()
	dns, err := (&net.ListenConfig{}).ListenPacket(context.WithoutCancel(t.Context()), "udp", "127.0.0.1:0")
	fatal(t, err)
	go func() {
		for {
			buf := make([]byte, 4096)
			n, from, err := dns.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = dns.WriteTo(notFound(buf[:n]), from)
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", dns.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		_ = dns.Close()
	})
	return Server{URL: "https://nowhere.example.com:8443"}
}

// notFound answers a DNS query with NXDOMAIN (RFC 1035, section 4.1.1): the header and
// the question of the query, and nothing else.
func notFound(query []byte) []byte {
	const header = 12
	end := header
	for end < len(query) && query[end] != 0 {
		end += int(query[end]) + 1
	}
	end = min(end+5, len(query)) // the root label, type and class
	out := append([]byte(nil), query[:end]...)
	out[2], out[3] = 0x81, 0x83
	copy(out[6:header], make([]byte, header-6)) // no answer, authority or additional records
	return out
}

// Plain serves plain HTTP at a URL that begins with https.
func Plain(t testing.TB) Server {
	t.Helper()
	s := httptest.NewServer(answering(http.StatusOK, "application/json", "{}"))
	t.Cleanup(s.Close)
	return Server{URL: strings.Replace(s.URL, "http:", "https:", 1)}
}

// TLS serves TLS at a URL that begins with http, and answers as Go's servers do.
func TLS(t testing.TB) Server {
	t.Helper()
	return Server{URL: strings.Replace(serveTLS(t, nil), "https:", "http:", 1)}
}

// Alerting answers a plain HTTP request with a TLS alert and nothing else, at a URL that
// begins with http.
func Alerting(t testing.TB) Server {
	t.Helper()
	// An alert, version 3.1, two bytes: fatal, unexpected message (RFC 8446, section 6).
	return Server{URL: "http://" + listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "\x15\x03\x01\x00\x02\x02\x0a") })}
}

// Mumbling answers with a line that is not HTTP.
func Mumbling(t testing.TB) Server {
	t.Helper()
	return Server{URL: "http://" + listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 "+Canary+" ESMTP\r\n") })}
}

// Greeting sends a line before it reads a request. The line is neither HTTP nor SOCKS.
func Greeting(t testing.TB) Server {
	t.Helper()
	return Server{URL: "http://" + accept(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "220 "+Canary+" ESMTP\r\n")
		_, _ = io.Copy(io.Discard, c)
	})}
}

// Silent accepts connections and never answers.
func Silent(t testing.TB) Server {
	t.Helper()
	return Server{URL: "http://" + listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })}
}

// Closing closes the connection without an answer.
func Closing(t testing.TB) Server {
	t.Helper()
	return serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
}

// Redirecting redirects every request.
func Redirecting(t testing.TB) Server {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "https://elsewhere.example.com/?token="+Canary)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
}

// Page answers every request with a web page and this status.
func Page(t testing.TB, status int) Server {
	t.Helper()
	return serve(t, answering(status, "text/html; charset=utf-8", "<!doctype html><title>"+Canary+"</title>"))
}

// Other answers every request with this status, type and body, which hold the canary.
func Other(t testing.TB, status int, kind, body string) Server {
	t.Helper()
	return serve(t, answering(status, kind, body))
}

// UntrustedCA has a certificate of a CA that is not trusted.
func UntrustedCA(t testing.TB) Server {
	t.Helper()
	_, config := certificates(t, "127.0.0.1", now, later)
	return Server{URL: serveTLS(t, config)}
}

// Expired has a certificate that was valid in 2001.
func Expired(t testing.TB) Server {
	t.Helper()
	bundle, config := certificates(t, "127.0.0.1", now, now.AddDate(1, 0, 0))
	return Server{URL: serveTLS(t, config), CABundle: bundle}
}

// OtherHost has a certificate for another host.
func OtherHost(t testing.TB) Server {
	t.Helper()
	bundle, config := certificates(t, strings.ToLower(Canary)+".example.com", now, later)
	return Server{URL: serveTLS(t, config), CABundle: bundle}
}

func serveTLS(t testing.TB, config *tls.Config) (address string) {
	t.Helper()
	s := httptest.NewUnstartedServer(answering(http.StatusOK, "application/json", "{}"))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	s.TLS = config
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func serve(t testing.TB, h http.HandlerFunc) Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return Server{URL: s.URL}
}

func answering(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// listen reads a request from each connection and then calls do.
func listen(t testing.TB, do func(net.Conn)) (address string) {
	t.Helper()
	return accept(t, func(c net.Conn) {
		// The whole request is read first: a client that is still writing can miss the answer.
		if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		do(c)
		// The server reads until the client closes: closing with unread data resets the
		// connection, and the client can lose the answer.
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		_, _ = io.Copy(io.Discard, c)
	})
}

// accept calls do with each connection and closes it.
func accept(t testing.TB, do func(net.Conn)) (address string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(t.Context()), "tcp", "127.0.0.1:0")
	fatal(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				do(c)
			}()
		}
	}()
	return l.Addr().String()
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Connecting is a working HTTP proxy. It calls asked with the host of each CONNECT request.
func Connecting(t testing.TB, asked func(host string)) Server {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked(r.Host)
		to, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer func() { _ = to.Close() }()
		from, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = from.Close() }()
		// The answer is written after Hijack, and the tunnel reads through the server's buffer:
		// net/http reads ahead, so bytes that the client sends early can be in the buffer.
		if _, err := io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
			return
		}
		go func() { _, _ = io.Copy(to, buffered) }()
		_, _ = io.Copy(from, to)
	})
}
