// Package credname builds and parses the names of credentials at a provider. A name
// identifies the cluster and the ApiToken that it belongs to, and is never used twice:
//
//	at1-<cluster>-<owner>-<revision>-<nonce>
//
// at1 is the version of the format. cluster and owner are hashes, so the provider learns no
// names from the cluster. revision counts the reservations of the ApiToken, in base 36.
// nonce makes names unique even if a status was lost or a revision was forged. A name has
// 42 to 48 characters of [a-z0-9-].
//
// The hash of the owner has 80 bits, so a user cannot find a name for an ApiToken whose
// hash is that of another one, to claim its credentials.
package credname

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Prefix is the prefix of every name in this version of the format.
const Prefix = "at1"

// MaxLength is the length that every driver must accept, in characters.
const MaxLength = 60

// MinLength is the minimum length that a provider must accept: that of the name with the
// largest revision.
const MinLength = 48

// MaxRevision is the largest revision in a name: 7 digits in base 36. A name with a larger
// one is foreign.
const MaxRevision = 78_364_164_095

// The characters of each hash and of the nonce: 5 bits each.
const (
	clusterLength = 8
	ownerLength   = 16
	nonceLength   = 10
)

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Name is the parsed form of a credential's name.
type Name struct {
	Cluster  string
	Owner    string
	Revision int64
	Nonce    string
}

// String returns the name at the provider.
func (n Name) String() string {
	return strings.Join([]string{Prefix, n.Cluster, n.Owner, strconv.FormatInt(n.Revision, 36), n.Nonce}, "-")
}

// Cluster hashes a cluster's identity: the UID of its kube-system namespace, or the
// configured one.
func Cluster(identity string) string { return hash("cluster", identity)[:clusterLength] }

// Owner hashes the namespace and name of an ApiToken. The UID is not included, because a
// restored ApiToken has another UID and is still the owner.
func Owner(namespace, name string) string { return hash("owner", namespace, name)[:ownerLength] }

// NextRevision is the revision of the next name, after the highest one so far. It stays at
// MaxRevision, where only the nonce makes names unique.
func NextRevision(seen int64) int64 { return min(max(seen, 0), MaxRevision-1) + 1 }

// New builds a name of at most limit characters (0: MaxLength) from the hashes
// that Cluster and Owner return, with a nonce read from random. It returns an
// error if the limit is below MinLength, or the revision is not from 0 to
// MaxRevision.
func New(cluster, owner string, revision int64, limit int, random io.Reader) (Name, error) {
	raw := make([]byte, 8)
	if _, err := io.ReadFull(random, raw); err != nil {
		return Name{}, fmt.Errorf("reading randomness for a credential name: %w", err)
	}
	if limit > 0 && limit < MinLength {
		return Name{}, fmt.Errorf("a credential name does not fit %d characters: %d are needed", limit, MinLength)
	}
	if revision < 0 || revision > MaxRevision {
		return Name{}, fmt.Errorf("%d is not a revision of a credential name: it is from 0 to %d", revision, int64(MaxRevision))
	}
	return Name{Cluster: cluster[:clusterLength], Owner: owner[:ownerLength], Revision: revision, Nonce: encoding.EncodeToString(raw)[:nonceLength]}, nil
}

// InCluster reports whether the name was made in the cluster with this hash.
func (n Name) InCluster(cluster string) bool {
	return n.Cluster != "" && n.Cluster == cluster
}

// OwnedBy reports whether the name was made in that cluster for that ApiToken.
func (n Name) OwnedBy(cluster, namespace, token string) bool {
	return n.InCluster(cluster) && n.Owner == Owner(namespace, token)
}

// ErrForeign is returned for a string that is not a name of this format.
var ErrForeign = errors.New("not a credential name made by this operator")

// Parse parses a name. It returns ErrForeign for anything that New cannot return.
func Parse(s string) (Name, error) {
	parts := strings.Split(s, "-")
	if len(parts) != 5 || parts[0] != Prefix || len(s) > MaxLength {
		return Name{}, ErrForeign
	}
	revision, err := strconv.ParseInt(parts[3], 36, 64)
	if err != nil || revision < 0 || revision > MaxRevision || strconv.FormatInt(revision, 36) != parts[3] {
		return Name{}, ErrForeign
	}
	n := Name{Cluster: parts[1], Owner: parts[2], Revision: revision, Nonce: parts[4]}
	if !hashed(n.Cluster, clusterLength) || !hashed(n.Owner, ownerLength) || !hashed(n.Nonce, nonceLength) {
		return Name{}, ErrForeign
	}
	return n, nil
}

func hashed(s string, length int) bool {
	return len(s) == length && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return encoding.EncodeToString(h.Sum(nil))
}
