// Package credname builds and parses the names that credentials have at a
// provider. A name says which cluster and which ApiToken it belongs to, and is
// never used twice:
//
//	at1-<cluster>-<owner>-<revision>-<nonce>
//
// at1 is the version of this format; cluster and owner are hashes, so that
// nothing of a cluster's inside is shown to the provider; revision counts the
// reservations of the ApiToken, in base 36; nonce keeps names apart when a
// status was lost. A name is at most 60 characters of [a-z0-9-]; where a
// provider allows fewer, the hashes and the nonce are cut short.
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

// Prefix begins every name of this version of the format.
const Prefix = "at1"

// MaxLength is the longest name made, in characters.
const MaxLength = 60

// MinLength is the shortest limit of a provider that names can be made for.
const MinLength = 32

// layout says how many characters of each hash a name carries.
type layout struct{ cluster, owner, nonce int }

var (
	full    = layout{cluster: 8, owner: 16, nonce: 10} // 41 characters and the revision
	compact = layout{cluster: 5, owner: 8, nonce: 6}   // 26 characters and the revision
)

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Name is the parsed form of a credential's name.
type Name struct {
	Cluster  string
	Owner    string
	Revision int64
	Nonce    string
}

// String returns the name as the provider sees it.
func (n Name) String() string {
	return strings.Join([]string{Prefix, n.Cluster, n.Owner, strconv.FormatInt(n.Revision, 36), n.Nonce}, "-")
}

// Cluster hashes a cluster's identity (the UID of its kube-system namespace, or
// what the operator was told instead).
func Cluster(identity string) string { return hash("cluster", identity)[:full.cluster] }

// Owner hashes the namespace and name of an ApiToken. The UID is not part of
// it: a restored ApiToken has another one and is still the owner.
func Owner(namespace, name string) string { return hash("owner", namespace, name)[:full.owner] }

// New builds a name of at most limit characters (0: MaxLength) from the hashes
// that Cluster and Owner return, with a nonce read from random.
func New(cluster, owner string, revision int64, limit int, random io.Reader) (Name, error) {
	raw := make([]byte, 8)
	if _, err := io.ReadFull(random, raw); err != nil {
		return Name{}, fmt.Errorf("reading randomness for a credential name: %w", err)
	}
	if limit <= 0 || limit > MaxLength {
		limit = MaxLength
	}
	nonce := encoding.EncodeToString(raw)
	for _, l := range []layout{full, compact} {
		n := Name{Cluster: cluster[:l.cluster], Owner: owner[:l.owner], Revision: revision, Nonce: nonce[:l.nonce]}
		if len(n.String()) <= limit {
			return n, nil
		}
	}
	return Name{}, fmt.Errorf("a credential name of revision %d does not fit %d characters: %d are needed", revision, limit, MinLength)
}

// InCluster reports whether the name was made in the cluster with this hash.
func (n Name) InCluster(cluster string) bool {
	return n.Cluster != "" && strings.HasPrefix(cluster, n.Cluster)
}

// OwnedBy reports whether the name was made in that cluster for that ApiToken.
func (n Name) OwnedBy(cluster, namespace, token string) bool {
	return n.InCluster(cluster) && strings.HasPrefix(Owner(namespace, token), n.Owner)
}

// ErrForeign says that a string is not a name of this format.
var ErrForeign = errors.New("not a credential name made by this operator")

// Parse reads a name. It returns ErrForeign for anything that New cannot have made.
func Parse(s string) (Name, error) {
	parts := strings.Split(s, "-")
	if len(parts) != 5 || parts[0] != Prefix || len(s) > MaxLength {
		return Name{}, ErrForeign
	}
	revision, err := strconv.ParseInt(parts[3], 36, 64)
	if err != nil || revision < 0 || strconv.FormatInt(revision, 36) != parts[3] {
		return Name{}, ErrForeign
	}
	n := Name{Cluster: parts[1], Owner: parts[2], Revision: revision, Nonce: parts[4]}
	for _, l := range []layout{full, compact} {
		if hashed(n.Cluster, l.cluster) && hashed(n.Owner, l.owner) && hashed(n.Nonce, l.nonce) {
			return n, nil
		}
	}
	return Name{}, ErrForeign
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
