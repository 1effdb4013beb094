// Package sign creates signatures as cosign stores them: a payload in the format Simple
// Signing, signed with ECDSA P-256 and SHA-256, in a manifest that refers to the signed
// manifest. `cosign verify --key` verifies them.
//
// It does not import cosign, whose packages bring hundreds of modules for keyless signing,
// transparency logs and key services. A signature with a key needs none of them.
//
// The format: https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md.
package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

// Key is a private key.
type Key struct{ private *ecdsa.PrivateKey }

// Errors of ParseKey. They contain no part of the key.
var (
	errKey      = errors.New("the key is not a private key in PEM: make one with cosign generate-key-pair")
	errCurve    = errors.New("the key is not of the curve P-256: make one with cosign generate-key-pair")
	errPassword = errors.New("the key cannot be decrypted: set COSIGN_PASSWORD to its password")
)

// ParseKey reads a private key of cosign, which the password decrypts, or one in
// the formats PKCS #8 or SEC 1, which is not encrypted.
func ParseKey(text, password []byte) (*Key, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errKey
	}
	der := block.Bytes
	switch block.Type {
	case "ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY":
		var err error
		if der, err = encrypted.Decrypt(der, password); err != nil {
			return nil, errPassword
		}
	case "PRIVATE KEY":
	case "EC PRIVATE KEY":
		private, err := x509.ParseECPrivateKey(der)
		if err != nil {
			return nil, errKey
		}
		return newKey(private)
	default:
		return nil, errKey
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errKey
	}
	return newKey(private)
}

func newKey(private any) (*Key, error) {
	key, ok := private.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errCurve
	}
	return &Key{private: key}, nil
}

// sign returns a signature in ASN.1. It is deterministic (RFC 6979): the same message
// has the same signature, so that a repeated push changes nothing.
func (k *Key) sign(message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	return k.private.Sign(nil, digest[:], crypto.SHA256)
}
