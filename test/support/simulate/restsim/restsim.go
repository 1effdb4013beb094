// Package restsim simulates the token APIs that ship as examples of the rest
// driver: keys of DigitalOcean Spaces, and access tokens of Gitea and of GitLab
// projects. Each is as strict as its public documentation allows.
package restsim

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/simulate"
)

// Request is one request as it arrived.
type Request struct {
	Method, URL string
	Header      http.Header
	Body        string
}

// Token is one credential of a simulator.
type Token struct {
	ID, Name, Secret string
	// Permissions, or one permission for each bucket.
	Permissions, Buckets []string
	Created              time.Time
	// Revoked: it grants no access, and is still listed. Only GitLab has such tokens.
	Revoked bool
}

// store is the common part of the simulators: tokens, requests and switches.
type store struct {
	simulate.Switches
	// Clock is its clock; Switches.Skew is added to the time.
	Clock func() time.Time

	// prefix of every ID.
	prefix string

	mu       sync.Mutex
	tokens   []Token
	requests []Request
	made     int
}

func newStore(clock func() time.Time, prefix string, rejection conformance.Answer) store {
	rejection.Header = http.Header{"Content-Type": {"application/json"}}
	return store{Clock: clock, prefix: prefix, Switches: simulate.Switches{
		Rejection: rejection,
		TooMany: conformance.Answer{
			Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}, "Content-Type": {"application/json"}},
			Body: `{"id":"too_many_requests","message":"` + conformance.RawText + `"}`,
		},
	}}
}

// Delete removes the tokens of a name, as a user does in the vendor's own user interface.
func (s *store) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = slices.DeleteFunc(s.tokens, func(t Token) bool { return t.Name == name })
}

// Crowd adds n tokens of another client, and returns a function that removes them.
func (s *store) Crowd(n int) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		s.add(crowd, nil, nil)
	}
	return func() { s.Delete(crowd) }
}

const crowd = "other-client"

// Add creates a token that does not belong to the operator, and returns its ID.
func (s *store) Add() (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(crowd, nil, nil).ID
}

// State describes the token with an ID; empty if no token has the ID.
func (s *store) State(id string) string {
	for _, t := range s.Tokens() {
		if t.ID == id {
			return fmt.Sprintf("%+v", t)
		}
	}
	return ""
}

// Accepts is the data plane: it reports whether a secret is that of the token with this ID.
func (s *store) Accepts(id, secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.tokens, func(t Token) bool { return t.ID == id && t.Secret == secret && !t.Revoked })
}

// Holds is the data plane of bearer tokens.
func (s *store) Holds(secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.tokens, func(t Token) bool { return t.Secret == secret && !t.Revoked })
}

// Tokens returns all tokens.
func (s *store) Tokens() []Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tokens)
}

// Requests returns the requests since the last call.
func (s *store) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.requests
	s.requests = nil
	return out
}

// answer is a status and a body that is sent as JSON; nil: no body.
type answer struct {
	status int
	body   any
}

// serve records a request and carries it out with the lock held.
func (s *store) serve(w http.ResponseWriter, r *http.Request, handle func(r *http.Request, body []byte) answer) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.requests = append(s.requests, Request{Method: r.Method, URL: r.URL.RequestURI(), Header: r.Header.Clone(), Body: string(body)})
	a := handle(r, body)
	s.mu.Unlock()
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body) // the client may be gone
}

// add stores a new token with the next number as its ID.
func (s *store) add(name string, permissions, buckets []string) Token {
	s.made++
	t := Token{
		ID: s.prefix + strconv.Itoa(s.made), Name: name, Secret: "CANARY-" + rand.Text(),
		Permissions: permissions, Buckets: buckets, Created: s.Clock().Add(s.Skew()).Truncate(time.Second),
	}
	s.tokens = append(s.tokens, t)
	return t
}

// remove deletes the token with an ID, and reports whether it existed.
func (s *store) remove(id string) bool {
	before := len(s.tokens)
	s.tokens = slices.DeleteFunc(s.tokens, func(t Token) bool { return t.ID == id })
	return len(s.tokens) < before
}

// paged returns a page of a list, the newest first. more reports whether another page follows.
func paged(all []Token, page, size int) (out []Token, more bool) {
	slices.Reverse(all)
	from := min((page-1)*size, len(all))
	to := min(from+size, len(all))
	return all[from:to], to < len(all)
}

// number reads a parameter. ok is false if the parameter is set and out of range.
func number(r *http.Request, name string, fallback, most int) (n int, ok bool) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return fallback, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 1 && n <= most
}

// known reports whether a request has only these parameters.
func known(r *http.Request, names ...string) bool {
	for name := range r.URL.Query() {
		if !slices.Contains(names, name) {
			return false
		}
	}
	return true
}
