// Package kloudbeansim simulates KloudBean's object storage for tests: the part
// of its panel that manages keys, as functions that do what a user does in the panel, and
// the S3 server that accepts the keys, as an HTTP handler.
//
// It does what
// support.kloudbean.com/docs/s3-object-storage/generating-access-api-keys says;
// where that is silent, it does what S3 does.
package kloudbeansim

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/simulate"
)

// The permissions that the panel offers.
const (
	ReadOnly  = "Read only"
	WriteOnly = "Write only"
	ReadWrite = "Read & Write"
)

// Form is what a user fills in to add a token to a bucket.
type Form struct {
	TokenName, Permission     string
	AllowedIPs, DisallowedIPs []string
	Bucket                    string
}

// Details are what the panel shows of a token, when it is added and later.
type Details struct {
	EndpointURL, BucketName, AccessKeyID string
	SecretAccessKey                      provider.Value
}

// Token is a token as the list of the panel shows it.
type Token struct {
	AccessKeyID string
	Form        Form
}

// Key is the part of a token that a real S3 server behind the simulator gets.
type Key struct {
	AccessKeyID string
	Secret      provider.Value
	Form        Form
}

// Keys is a real S3 server whose keys the panel manages instead of the simulated one's.
type Keys interface {
	Create(ctx context.Context, key Key) error
	Delete(ctx context.Context, accessKeyID string) error
}

// Simulator is one account. Its zero value is not usable, see New.
type Simulator struct {
	simulate.Switches
	// EndpointURL that the details of a token show.
	EndpointURL string
	// Keys, if set, gets every token that is added or deleted.
	Keys Keys

	clock func() time.Time

	mu       sync.Mutex
	made     int
	tokens   []*token
	buckets  map[string]map[string][]byte
	requests []Request
}

type token struct {
	id, secret      string
	form            Form
	allowed, denied []netip.Prefix
}

// New returns an account with these buckets, which reads the time from a clock.
func New(clock func() time.Time, buckets ...string) *Simulator {
	s := &Simulator{clock: clock, buckets: map[string]map[string][]byte{}}
	s.Rejection, s.TooMany = rejection, tooMany
	for _, name := range buckets {
		s.buckets[name] = map[string][]byte{}
	}
	return s
}

// ReadForm reads the fields of a form as a user does: by their labels, and
// with what is in parentheses as an instruction.
func ReadForm(fields []provider.FormField) (Form, error) {
	var form Form
	for _, f := range fields {
		value := f.Value
		if strings.HasPrefix(value, "(") {
			value = ""
		}
		switch f.Label {
		case "Token Name":
			form.TokenName = value
		case "Permission":
			form.Permission = value
		case "Allowed IP Addresses":
			form.AllowedIPs = list(value)
		case "Disallowed IP Addresses":
			form.DisallowedIPs = list(value)
		case "Bucket":
			form.Bucket = value
		default:
			return Form{}, fmt.Errorf("the panel has no field %q", f.Label)
		}
	}
	return form, nil
}

func list(value string) []string {
	if value == "" {
		return nil
	}
	out := strings.Split(value, ",")
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

// AddToken does what "Add token" does: it creates a key, and shows it.
func (s *Simulator) AddToken(ctx context.Context, form Form) (Details, error) {
	if !slices.Contains([]string{ReadOnly, WriteOnly, ReadWrite}, form.Permission) {
		return Details{}, fmt.Errorf("the panel has no permission %q", form.Permission)
	}
	t := &token{secret: rand.Text() + rand.Text()}
	if err := t.fill(form); err != nil {
		return Details{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.buckets[form.Bucket]; !ok {
		return Details{}, fmt.Errorf("there is no bucket %q", form.Bucket)
	}
	s.made++
	t.id = fmt.Sprintf("KB%018d", s.made)
	if s.Keys != nil {
		if err := s.Keys.Create(ctx, Key{AccessKeyID: t.id, Secret: provider.NewValue(t.secret), Form: form}); err != nil {
			return Details{}, fmt.Errorf("making key %s at the server behind: %w", t.id, err)
		}
	}
	s.tokens = append(s.tokens, t)
	return s.details(t), nil
}

// Edit changes what a user can edit in the panel: the name and the addresses. It ignores the
// permission and the bucket of the form.
func (s *Simulator) Edit(accessKeyID string, form Form) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.token(accessKeyID)
	if t == nil {
		return errNoToken
	}
	form.Permission, form.Bucket = t.form.Permission, t.form.Bucket
	return t.fill(form)
}

// Copy shows the details of a token again.
func (s *Simulator) Copy(accessKeyID string) (Details, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.token(accessKeyID)
	if t == nil {
		return Details{}, errNoToken
	}
	return s.details(t), nil
}

// Delete deletes a token; its key is rejected from then on.
func (s *Simulator) Delete(ctx context.Context, accessKeyID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token(accessKeyID) == nil {
		return errNoToken
	}
	if s.Keys != nil {
		if err := s.Keys.Delete(ctx, accessKeyID); err != nil {
			return fmt.Errorf("deleting key %s at the server behind: %w", accessKeyID, err)
		}
	}
	s.tokens = slices.DeleteFunc(s.tokens, func(t *token) bool { return t.id == accessKeyID })
	return nil
}

// Tokens lists the tokens, the oldest first.
func (s *Simulator) Tokens() []Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Token, 0, len(s.tokens))
	for _, t := range s.tokens {
		out = append(out, Token{AccessKeyID: t.id, Form: t.form})
	}
	return out
}

// Accepts reports whether a key exists and has this secret.
func (s *Simulator) Accepts(accessKeyID, secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.token(accessKeyID)
	return t != nil && t.secret == secret
}

var errNoToken = errors.New("the panel shows no such token")

// token finds a token. The lock is held.
func (s *Simulator) token(id string) *token {
	for _, t := range s.tokens {
		if t.id == id {
			return t
		}
	}
	return nil
}

func (s *Simulator) details(t *token) Details {
	return Details{EndpointURL: s.EndpointURL, BucketName: t.form.Bucket, AccessKeyID: t.id, SecretAccessKey: provider.NewValue(t.secret)}
}

// fill sets the fields of a token from a form.
func (t *token) fill(form Form) error {
	if form.TokenName == "" {
		return errors.New("the panel wants a token name")
	}
	allowed, err := prefixes(form.AllowedIPs)
	if err != nil {
		return err
	}
	denied, err := prefixes(form.DisallowedIPs)
	if err != nil {
		return err
	}
	t.form, t.allowed, t.denied = form, allowed, denied
	return nil
}

func prefixes(list []string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		if addr, err := netip.ParseAddr(s); err == nil {
			out = append(out, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("the panel takes no address %q", s)
		}
		out = append(out, prefix)
	}
	return out, nil
}

// admits reports whether a token may be used from an address. A denial wins.
func (t *token) admits(from netip.Addr) bool {
	contains := func(p netip.Prefix) bool { return p.Contains(from) }
	if slices.ContainsFunc(t.denied, contains) {
		return false
	}
	return len(t.allowed) == 0 || slices.ContainsFunc(t.allowed, contains)
}
