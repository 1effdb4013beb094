package provider

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
)

const redacted = "[redacted]"

// Value is a secret value. It prints as [redacted] under every verb, in JSON,
// in text encodings and in slog; only Reveal returns the secret. Equal
// compares two; == does not.
type Value struct {
	// secret is behind a pointer, because fmt calls no method of an unexported field and
	// would print its content. Of a pointer it prints only the address.
	secret *string
}

// NewValue wraps a secret.
func NewValue(secret string) Value { return Value{secret: &secret} }

// Reveal returns the secret. Only internal/secretstore may call it, and drivers
// for the minting credentials that sign their requests.
func (v Value) Reveal() string {
	if v.secret == nil {
		return ""
	}
	return *v.secret
}

// Equal reports whether two values hold the same secret.
func (v Value) Equal(other Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.Reveal()), []byte(other.Reveal())) == 1
}

// MAC returns the HMAC-SHA-256 of a set of values. Two sets have the same MAC only if
// they hold the same secrets, in any order. It reveals nothing about them to anyone without
// the key, which must be random and must not leave the process.
func MAC(key []byte, values ...Value) [sha256.Size]byte {
	secrets := make([]string, 0, len(values))
	for _, v := range values {
		secrets = append(secrets, v.Reveal())
	}
	slices.Sort(secrets)
	mac := hmac.New(sha256.New, key)
	for _, secret := range secrets {
		fmt.Fprintf(mac, "%d:%s", len(secret), secret)
	}
	return [sha256.Size]byte(mac.Sum(nil))
}

// Empty reports whether there is no secret.
func (v Value) Empty() bool { return v.Reveal() == "" }

// String implements fmt.Stringer.
func (Value) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Value) GoString() string { return redacted }

// Format implements fmt.Formatter; without it %d and %x would print the bytes.
func (Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalJSON implements json.Marshaler.
func (Value) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText implements encoding.TextMarshaler.
func (Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (Value) LogValue() slog.Value { return slog.StringValue(redacted) }
