// Package crusoesim is Crusoe Cloud's API for S3 keys as far as it is documented:
// swagger/v1/swagger.json and auth/v1/auth.go of github.com/crusoecloud/client-go
// (v1.0.3), https://docs.crusoecloud.com/reference/api and
// https://docs.crusoecloud.com/storage/object-storage/managing-storage-api-keys.
// It is for tests only.
package crusoesim

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/simulate"
)

// MaxKeys is how many keys a user can have.
const MaxKeys = 2

// Keys is a data plane that receives every created key, and every key that no longer
// grants access.
type Keys interface {
	Create(ctx context.Context, key Key) error
	Delete(ctx context.Context, accessKeyID string) error
}

// User is a user of some organizations, with one API key.
type User struct {
	ID            string
	Organizations []string
	// AccessKeyID and SecretKey sign requests; the secret is base64url without padding.
	AccessKeyID, SecretKey string
}

// Key is an S3 key.
type Key struct {
	UUID, UserID, Organization string
	AccessKeyID, SecretKey     string
	Alias                      string
	Disabled                   bool
	CreatedAt                  time.Time
	// ExpireAt is zero for a key without an end.
	ExpireAt time.Time
}

// Request is a request that reached the simulator.
type Request struct {
	Method, Path, Query string
	Header              http.Header
	Body                string
}

// Simulator is the API. Set its fields before the first request.
type Simulator struct {
	simulate.Switches

	// Clock is its clock; Switches.Skew is added to the time.
	Clock func() time.Time
	// Keys is the data plane; nil: in memory only, see Accepts.
	Keys Keys
	// NewErrors answers with the newer error body, which has an id and a reason.
	NewErrors bool
	// WithoutExpiry leaves expire_at out of the answer that creates a key; it is optional there.
	WithoutExpiry bool
	// Grants changes the requested expiry; nil: it is granted unchanged.
	Grants func(asked time.Time) time.Time
	// ListsAll lists the keys of the whole organization, as the swagger's summary
	// says; otherwise those of the caller, as the documentation says.
	ListsAll bool

	mu       sync.Mutex
	users    []User
	keys     []*Key
	told     map[string]bool // access key IDs in Keys
	requests []Request
}

// New returns the API with these users and without keys.
func New(clock func() time.Time, users ...User) *Simulator {
	s := &Simulator{Clock: clock, users: users, told: map[string]bool{}}
	s.Rejection = conformance.Answer{
		Status: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/json"}},
		Body: fmt.Sprintf(`{"code":"400","message":%q}`, "bad_request: "+conformance.RawText),
	}
	s.TooMany = conformance.Answer{
		Status: http.StatusTooManyRequests, Header: http.Header{"Content-Type": {"application/json"}, "Retry-After": {"1"}},
		Body: fmt.Sprintf(`{"code":"429","message":%q}`, conformance.RawText),
	}
	return s
}

func (s *Simulator) now() time.Time { return s.Clock().Add(s.Skew()).UTC() }

// Make creates a key, as its user does in the console. It returns an error if the user has two
// keys.
func (s *Simulator) Make(ctx context.Context, userID, organization, alias string, expireAt time.Time) (Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.make(ctx, userID, organization, alias, expireAt)
	if err != nil {
		return Key{}, err
	}
	return *k, nil
}

// Delete deletes the keys of an alias, as their user does in the console. The next
// request, or Sweep, updates Keys.
func (s *Simulator) Delete(alias string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = slices.DeleteFunc(s.keys, func(k *Key) bool { return k.Alias == alias })
}

// Disable disables the keys of an alias: they are listed and grant no access. The next
// request, or Sweep, updates Keys.
func (s *Simulator) Disable(alias string) { s.switched(alias, true) }

// Enable enables them again. The next request, or Sweep, updates Keys.
func (s *Simulator) Enable(alias string) { s.switched(alias, false) }

func (s *Simulator) switched(alias string, off bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keys {
		if k.Alias == alias {
			k.Disabled = off
		}
	}
}

// Sweep deletes from Keys every key that no longer grants access (expired, or deleted or
// disabled in the console), and adds every key that was enabled again. Every request does
// the same.
func (s *Simulator) Sweep(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sweep(ctx)
}

// Accepts reports whether the data plane accepts a key.
func (s *Simulator) Accepts(accessKeyID, secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	return slices.ContainsFunc(s.keys, func(k *Key) bool {
		return k.AccessKeyID == accessKeyID && k.SecretKey == secret && k.works(now)
	})
}

// All returns every key, in the order of creation.
func (s *Simulator) All() []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Key
	for _, k := range s.keys {
		out = append(out, *k)
	}
	return out
}

// Requests returns every request that reached it.
func (s *Simulator) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// works reports whether a key grants access.
func (k *Key) works(now time.Time) bool {
	return !k.Disabled && (k.ExpireAt.IsZero() || now.Before(k.ExpireAt))
}

// make creates a key. The lock is held.
func (s *Simulator) make(ctx context.Context, userID, organization, alias string, expireAt time.Time) (*Key, error) {
	taken := 0
	for _, k := range s.keys {
		if k.UserID == userID {
			taken++
		}
	}
	if taken >= MaxKeys {
		return nil, errFull
	}
	if s.Grants != nil {
		expireAt = s.Grants(expireAt)
	}
	k := &Key{
		UUID: uuid(), UserID: userID, Organization: organization, Alias: alias,
		AccessKeyID: "CKIA" + rand.Text()[:16], SecretKey: secret(), CreatedAt: s.now().Truncate(time.Second), ExpireAt: expireAt,
	}
	if err := s.tell(ctx, k); err != nil {
		return nil, err
	}
	s.keys = append(s.keys, k)
	return k, nil
}

// tell adds a key to the data plane, once.
func (s *Simulator) tell(ctx context.Context, k *Key) error {
	if s.Keys == nil || s.told[k.AccessKeyID] {
		return nil
	}
	if err := s.Keys.Create(ctx, *k); err != nil {
		return fmt.Errorf("the data plane did not take the key: %w", err)
	}
	s.told[k.AccessKeyID] = true
	return nil
}

// remove deletes a key from the data plane, then from the API. The lock is held.
func (s *Simulator) remove(ctx context.Context, key *Key) error {
	if err := s.tellGone(ctx, key.AccessKeyID); err != nil {
		return err
	}
	s.keys = slices.DeleteFunc(s.keys, func(k *Key) bool { return k == key })
	return nil
}

func (s *Simulator) sweep(ctx context.Context) error {
	now := s.now()
	working := map[string]bool{}
	for _, k := range s.keys {
		if working[k.AccessKeyID] = k.works(now); !working[k.AccessKeyID] {
			continue
		}
		if err := s.tell(ctx, k); err != nil {
			return err
		}
	}
	for id := range s.told {
		if working[id] {
			continue
		}
		if err := s.tellGone(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// tellGone removes a key from the data plane, once.
func (s *Simulator) tellGone(ctx context.Context, accessKeyID string) error {
	if !s.told[accessKeyID] {
		return nil
	}
	if err := s.Keys.Delete(ctx, accessKeyID); err != nil {
		return fmt.Errorf("the data plane did not give the key up: %w", err)
	}
	delete(s.told, accessKeyID)
	return nil
}

func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func secret() string {
	var b [30]byte
	_, _ = rand.Read(b[:]) // it never fails
	return base64.StdEncoding.EncodeToString(b[:])
}
