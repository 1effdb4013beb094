// Package ibeesim simulates the parts of the IBEE Cloud API that the ibee driver
// uses, as strictly as the vendor documents them and its clients show them
// (devs-ibee/ibee-typescript, devs-ibee/terraform-provider-ibee).
package ibeesim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/simulate"
)

// Window is how many credentials the list shows.
const Window = 100

// The permissions of platform API tokens. Those of object storage are inferred
// from billing.read, vm.read and block-storage.read, which the vendor's clients name.
const (
	BillingRead  = "billing.read"
	StorageRead  = "object-storage.read"
	StorageWrite = "object-storage.write"
)

// Key is an S3 credential as the data plane needs it.
type Key struct {
	AccessKeyID, Secret string
	// Permission is one of object_ro, object_rw, admin_ro and admin_rw.
	Permission string
	// Buckets that it grants access to; nil: all of them.
	Buckets []string
}

// Keys is a data plane that receives every created and ended credential.
type Keys interface {
	Create(ctx context.Context, key Key) error
	Delete(ctx context.Context, accessKeyID string) error
}

// Request is a request that arrived.
type Request struct {
	Method, Path, Query, Body string
	Header                    http.Header
}

// Simulator is one workspace of one organization. Its exported fields may be
// changed while no request is in progress.
type Simulator struct {
	simulate.Switches

	// Workspace is its number.
	Workspace string
	// Clock is the time of the computer; the simulator's own may be off by Skew.
	Clock func() time.Time
	// Keys is the data plane; nil: in memory only, see Accepts.
	Keys Keys
	// Envelope is the form of errors, 1 to 4, in the order of the vendor's documentation.
	Envelope int
	// RevokeRoute: POST …/revoke exists and keeps a revoked credential. Without it
	// only DELETE is offered, which erases; then NoRoute is answered.
	RevokeRoute bool
	// NoRoute is the status for a POST …/revoke that is not offered: 404, 405, or
	// 403 with the gateway's unknown_route.
	NoRoute int
	// BillingDenied is the reason why the organization cannot buy anything; empty: it can.
	BillingDenied string
	// Suspended: the organization is suspended.
	Suspended bool
	// Distort changes a new credential, so that it differs from the request.
	Distort func(*Credential)

	mu          sync.Mutex
	tokens      map[string]*token
	credentials []*Credential // the oldest first
	told        []string      // the ids in Keys
	made        int
	requests    []Request
}

// Credential is an S3 credential.
type Credential struct {
	AccessKeyID, Secret                       string
	Name, Status, PermissionType, BucketScope string
	AllowedBuckets                            []string
	CreatedAt                                 time.Time
}

// token is a platform API token.
type token struct {
	permissions []string
	// state is one of the codes key_revoked, key_expired, key_disabled and key_inactive; empty for a valid token.
	state string
}

// New returns a simulator of a workspace.
func New(workspace string, clock func() time.Time) *Simulator {
	s := &Simulator{
		Workspace: workspace, Clock: clock, Envelope: 1, RevokeRoute: true, NoRoute: http.StatusNotFound,
		tokens: map[string]*token{},
	}
	s.Rejection = conformance.Answer{
		Status: http.StatusForbidden, Header: http.Header{"Content-Type": {jsonType}},
		Body: `{"error":"insufficient_scope","required_scope":"` + StorageWrite + `","message":"` + conformance.RawText + `"}`,
	}
	s.TooMany = conformance.Answer{
		Status: http.StatusTooManyRequests, Header: http.Header{"Content-Type": {jsonType}, "Retry-After": {"1"}},
		Body: `{"error":"rate_limited","message":"` + conformance.RawText + `"}`,
	}
	return s
}

// Handler returns the API, with the switches in front of it. Bodies are read
// before that, because a server sees only then that its client has gone.
func (s *Simulator) Handler() http.Handler {
	behind := s.Wrap(http.HandlerFunc(s.serve))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		behind.ServeHTTP(w, r)
	})
}

// AddToken creates a platform API token, as a user does in the portal.
func (s *Simulator) AddToken(secret string, permissions ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[secret] = &token{permissions: permissions}
}

// EndToken ends a platform API token; state is one of the vendor's codes, such as key_revoked.
func (s *Simulator) EndToken(secret, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[secret].state = state
}

// Accepts reports whether the data plane accepts an S3 credential.
func (s *Simulator) Accepts(accessKeyID, secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byID(accessKeyID)
	return c != nil && c.Status == active && c.Secret == secret
}

// Sweep deletes from Keys every credential that another client has ended. Every
// request does the same.
func (s *Simulator) Sweep(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sweep(ctx)
}

// sweep keeps in told the ids that Keys failed to delete. The lock is held.
func (s *Simulator) sweep(ctx context.Context) error {
	for _, id := range slices.Clone(s.told) {
		if c := s.byID(id); c != nil && c.Status == active {
			continue
		}
		if err := s.Keys.Delete(ctx, id); err != nil {
			return fmt.Errorf("the data plane did not give up %s: %w", id, err)
		}
		s.told = slices.DeleteFunc(s.told, func(other string) bool { return other == id })
	}
	return nil
}

// Delete erases the credentials of a name, as another client does. The next
// request, or Sweep, updates Keys; so it is with Revoke, Disable and SetStatus.
func (s *Simulator) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credentials = slices.DeleteFunc(s.credentials, func(c *Credential) bool { return c.Name == name })
}

// Revoke revokes the credentials of a name, as a user does in the portal.
func (s *Simulator) Revoke(name string) { s.SetStatus(name, revoked) }

// Disable gives the credentials of a name a status that no client of the vendor
// knows. They grant no access.
func (s *Simulator) Disable(name string) { s.SetStatus(name, "disabled") }

// SetStatus changes the status of the credentials of a name.
func (s *Simulator) SetStatus(name, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.credentials {
		if c.Name == name {
			c.Status = status
		}
	}
}

// Rename gives the credentials of a name another name.
func (s *Simulator) Rename(from, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.credentials {
		if c.Name == from {
			c.Name = to
		}
	}
}

// Add creates a credential, as another client does, and returns its id.
func (s *Simulator) Add(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(Credential{Name: name, PermissionType: "object_ro", BucketScope: all, AllowedBuckets: []string{}}).AccessKeyID
}

// Crowd creates n credentials of another client, and returns a function that removes them.
func (s *Simulator) Crowd(n int) (remove func()) {
	var ids []string
	for range n {
		ids = append(ids, s.Add("another client's"))
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.credentials = slices.DeleteFunc(s.credentials, func(c *Credential) bool { return slices.Contains(ids, c.AccessKeyID) })
	}
}

// Credentials returns all credentials, including revoked ones, the oldest first.
func (s *Simulator) Credentials() []Credential {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Credential
	for _, c := range s.credentials {
		out = append(out, *c)
	}
	return out
}

// Requests returns the requests since the last call.
func (s *Simulator) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.requests
	s.requests = nil
	return out
}

// add creates a credential. The lock is held.
func (s *Simulator) add(c Credential) *Credential {
	s.made++
	c.AccessKeyID, c.Secret = keyFor(s.made)
	c.Status, c.CreatedAt = active, s.now()
	if s.Distort != nil {
		s.Distort(&c)
	}
	s.credentials = append(s.credentials, &c)
	return &c
}

func (s *Simulator) now() time.Time { return s.Clock().Add(s.Skew()).UTC().Truncate(time.Second) }

// byID returns a credential, revoked or not. The lock is held.
func (s *Simulator) byID(id string) *Credential {
	for _, c := range s.credentials {
		if c.AccessKeyID == id {
			return c
		}
	}
	return nil
}
