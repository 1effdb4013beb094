// Package proxyscrapesim is a simulator of the account API of ProxyScrape
// (docs.proxyscrape.com/api-reference, /api/account), limited to API keys. Where the
// documentation says nothing, it is as strict as possible: it rejects an unknown field, a
// wrong method and an excessive permission.
package proxyscrapesim

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/simulate"
)

// Simulator is one account. Its fields are set before the first request.
type Simulator struct {
	simulate.Switches

	// Clock is its clock; Switches.Skew is added to the time.
	Clock func() time.Time
	// Legacy answers in the older of the two documented shapes: without a wrapper,
	// and with RFC 3339 times.
	Legacy bool

	mu       sync.Mutex
	keys     []*Key
	requests []Request
	frozen   bool
}

// Key is one API key of the account.
type Key struct {
	ID, Token, Name               string
	Permissions, Subaccounts, IPs []string
	// Expires is in Unix seconds; nil: never.
	Expires *int64
	Active  bool
	Created time.Time
}

// Request is one request that reached the simulator.
type Request struct {
	Method, Path string
	Header       http.Header
	Body         string
}

// New returns an account with one key, whose token and permissions are given.
func New(clock func() time.Time, token string, permissions ...string) *Simulator {
	s := &Simulator{Clock: clock}
	s.Rejection = conformance.Answer{
		Status: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/json"}},
		Body: `{"success":false,"message":"` + conformance.RawText + `"}`,
	}
	s.TooMany = conformance.Answer{
		Status: http.StatusTooManyRequests, Body: "error code: 1015",
		Header: http.Header{"Content-Type": {"text/plain; charset=UTF-8"}, "Retry-After": {"1"}},
	}
	s.Add(Key{Name: "minter", Token: token, Permissions: permissions})
	return s
}

// ServeHTTP implements http.Handler. It reads the body before the switches: a server does not
// notice that its client is gone before it has read the body.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.Wrap(http.HandlerFunc(s.serve)).ServeHTTP(w, r)
}

// Now is the time by the simulator's clock.
func (s *Simulator) Now() time.Time { return s.Clock().Add(s.Skew()) }

// Add creates a key as a user does in the dashboard, and returns its id.
func (s *Simulator) Add(k Key) (id string) {
	now := s.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	k.ID, k.Active, k.Created = newID(), true, now
	if k.Token == "" {
		k.Token = newToken()
	}
	s.keys = append(s.keys, &k)
	return k.ID
}

// Delete removes every key of a name, as a user does in the dashboard.
func (s *Simulator) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = slices.DeleteFunc(s.keys, func(k *Key) bool { return k.Name == name })
}

// Disable switches every key of a name off, as a user does in the dashboard.
func (s *Simulator) Disable(name string) { s.change(name, func(k *Key) { k.Active = false }) }

// Enable switches every key of a name on again.
func (s *Simulator) Enable(name string) { s.change(name, func(k *Key) { k.Active = true }) }

// Rename gives every key of a name another name, as a user does in the dashboard.
func (s *Simulator) Rename(name, to string) { s.change(name, func(k *Key) { k.Name = to }) }

// Limit restricts every key of a name to subaccounts, as a user does in the dashboard.
func (s *Simulator) Limit(name string, subaccounts ...string) {
	s.change(name, func(k *Key) { k.Subaccounts = subaccounts })
}

func (s *Simulator) change(name string, how func(*Key)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if k.Name == name {
			how(k)
		}
	}
}

// IgnoreUpdates accepts updates and changes nothing until restore is called.
func (s *Simulator) IgnoreUpdates() (restore func()) {
	set := func(frozen bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.frozen = frozen
	}
	set(true)
	return func() { set(false) }
}

// Named returns the keys of a name.
func (s *Simulator) Named(name string) []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Key
	for _, k := range s.keys {
		if k.Name == name {
			out = append(out, *k)
		}
	}
	return out
}

// State describes the key with an id; empty if no key has the id.
func (s *Simulator) State(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if k.ID == id {
			shown := *k
			shown.Expires = nil
			end := int64(0)
			if k.Expires != nil {
				end = *k.Expires
			}
			return fmt.Sprintf("%+v %d", shown, end)
		}
	}
	return ""
}

// Requests returns the requests since the last call.
func (s *Simulator) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.requests
	s.requests = nil
	return out
}

// Accepts is the data plane: it reports whether a token that comes from an
// address grants access at that time.
func (s *Simulator) Accepts(token, ip string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.holder(token)
	return k != nil && k.live(now) && k.admits(ip)
}

// holder returns the key with a token. The lock is held.
func (s *Simulator) holder(token string) *Key {
	for _, k := range s.keys {
		if k.Token == token {
			return k
		}
	}
	return nil
}

func (k *Key) live(now time.Time) bool {
	return k.Active && (k.Expires == nil || now.Before(time.Unix(*k.Expires, 0)))
}

func (k *Key) admits(ip string) bool {
	if len(k.IPs) == 0 {
		return true
	}
	from, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(k.IPs, func(text string) bool {
		if addr, err := netip.ParseAddr(text); err == nil {
			return addr == from
		}
		prefix, err := netip.ParsePrefix(text)
		return err == nil && prefix.Contains(from)
	})
}

// newID returns a random UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// newToken returns a secret of 64 characters.
func newToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
