package credname_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/credname"
)

var (
	cluster = credname.Cluster("9f0b6a0e-5d0e-4d3c-8f6a-000000000001")
	owner   = credname.Owner("ml", "training")
	zeros   = strings.Repeat("\x00", 8)
)

func build(t *testing.T, revision int64, limit int, random string) credname.Name {
	t.Helper()
	n, err := credname.New(cluster, owner, revision, limit, strings.NewReader(random))
	if err != nil {
		t.Fatalf("New(revision %d, limit %d): %v", revision, limit, err)
	}
	return n
}

// TestReleasesBuildTheSameNames: credentials are found and revoked by their names, so a release
// must build the same names and read the old ones.
func TestReleasesBuildTheSameNames(t *testing.T) {
	cases := map[string]struct {
		revision int64
		limit    int
		want     string
	}{
		"first":          {1, 0, "at1-rv5zkxlo-wpvwc67y4ghradm7-1-aaaaaaaaaa"},
		"smallest limit": {35, credname.MinLength, "at1-rv5zkxlo-wpvwc67y4ghradm7-z-aaaaaaaaaa"},
		"last":           {credname.MaxRevision, credname.MinLength, "at1-rv5zkxlo-wpvwc67y4ghradm7-zzzzzzz-aaaaaaaaaa"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := build(t, tc.revision, tc.limit, zeros).String(); got != tc.want {
				t.Errorf("name %s, want %s as released", got, tc.want)
			}
		})
	}
}

func TestParseInvertsNew(t *testing.T) {
	allowed := regexp.MustCompile(`^[a-z0-9-]+$`)
	for _, limit := range []int{-1, 0, credname.MinLength, 49, credname.MaxLength, 1000} {
		for _, revision := range []int64{0, 1, 35, 36, 1295, 46655, credname.MaxRevision} {
			n := build(t, revision, limit, "\x00\xff\x10\x01abcd")
			s := n.String()
			most := limit
			if limit <= 0 || limit > credname.MaxLength {
				most = credname.MaxLength
			}
			if len(s) > most || !allowed.MatchString(s) {
				t.Errorf("limit %d, revision %d: %q has %d characters, or others than [a-z0-9-]", limit, revision, s, len(s))
			}
			parsed, err := credname.Parse(s)
			if err != nil {
				t.Fatalf("Parse(%q): %v", s, err)
			}
			if diff := cmp.Diff(n, parsed); diff != "" {
				t.Errorf("%q read back, -built +read:\n%s", s, diff)
			}
			if !parsed.InCluster(cluster) || !parsed.OwnedBy(cluster, "ml", "training") {
				t.Errorf("%q is not recognised as its own cluster's and ApiToken's", s)
			}
		}
	}
}

func TestNameFitsTheLimit(t *testing.T) {
	cases := map[string]struct {
		reason   string
		revision int64
		limit    int
		want     int // length; 0: refused
	}{
		"any limit":                        {"every limit that is not too small is enough", 1, 0, 42},
		"smallest limit":                   {"every provider that allows as much is served", 1, credname.MinLength, 42},
		"smallest limit, largest revision": {"a name fits after any rotation or forgery", credname.MaxRevision, credname.MinLength, credname.MinLength},
		"one character too few":            {"a hash that is cut short can be found again by trying", 1, credname.MinLength - 1, 0},
		"one character":                    {"a limit that nothing fits is an error", 1, 1, 0},
		"a revision too large":             {"what Parse calls foreign is not made", credname.MaxRevision + 1, 0, 0},
		"the largest number":               {"what Parse calls foreign is not made", math.MaxInt64, 0, 0},
		"a negative revision":              {"what Parse calls foreign is not made", -1, 0, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			n, err := credname.New(cluster, owner, tc.revision, tc.limit, strings.NewReader(zeros))
			if tc.want == 0 {
				if err == nil || !strings.Contains(err.Error(), fmt.Sprint(tc.limit)) && !strings.Contains(err.Error(), fmt.Sprint(tc.revision)) {
					t.Errorf("%s: %q and error %v, want an error that names the limit or the revision", tc.reason, n, err)
				}
				return
			}
			if err != nil || len(n.String()) != tc.want {
				t.Errorf("%s: %q of %d characters, error %v; want %d", tc.reason, n, len(n.String()), err, tc.want)
			}
		})
	}
}

func TestNewFailsWithoutRandomness(t *testing.T) {
	for _, short := range []string{"", "1234567"} {
		if n, err := credname.New(cluster, owner, 1, 0, strings.NewReader(short)); err == nil {
			t.Errorf("with %d random bytes the name is %q: without a nonce a name may have been used before", len(short), n)
		}
	}
}

// The revision goes up by one and never past what every name has room for.
func TestNextRevisionStopsAtTheMaximum(t *testing.T) {
	for seen, want := range map[int64]int64{
		0: 1, 7: 8, -1: 1, math.MinInt64: 1, credname.MaxRevision - 1: credname.MaxRevision, credname.MaxRevision: credname.MaxRevision,
		credname.MaxRevision + 1: credname.MaxRevision, math.MaxInt64: credname.MaxRevision,
	} {
		if got := credname.NextRevision(seen); got != want {
			t.Errorf("after %d comes %d, want %d", seen, got, want)
		}
	}
}

func TestNameIdentifiesItsOwner(t *testing.T) {
	n := build(t, 7, 0, zeros)
	elsewhere := credname.Cluster("another")
	cases := map[string]struct {
		reason                    string
		cluster, namespace, token string
		in, owned                 bool
	}{
		"its own":            {"cluster, namespace and name are its own", cluster, "ml", "training", true, true},
		"another cluster":    {"another cluster's keys are never touched", elsewhere, "ml", "training", false, false},
		"another namespace":  {"names are those of one namespace", cluster, "web", "training", true, false},
		"another ApiToken":   {"names are those of one ApiToken", cluster, "ml", "serving", true, false},
		"split elsewhere":    {"namespace and name do not run into each other", cluster, "mlt", "raining", true, false},
		"no cluster":         {"an empty cluster owns no name", "", "ml", "training", false, false},
		"part of a cluster":  {"a shorter hash says too little", cluster[:4], "ml", "training", false, false},
		"nothing of a token": {"an empty name is another ApiToken", cluster, "", "", true, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if in, owned := n.InCluster(tc.cluster), n.OwnedBy(tc.cluster, tc.namespace, tc.token); in != tc.in || owned != tc.owned {
				t.Errorf("%s: %s in the cluster %t, owned %t; want %t, %t", tc.reason, n, in, owned, tc.in, tc.owned)
			}
		})
	}
	if (credname.Name{}).InCluster(cluster) || (credname.Name{}).OwnedBy(cluster, "ml", "training") {
		t.Error("the zero Name has an owner")
	}
}

func TestForeignNamesAreRejected(t *testing.T) {
	ours := build(t, 7, 0, zeros).String()
	part := func(i int, s string) string {
		parts := strings.Split(ours, "-")
		parts[i] = s
		return strings.Join(parts, "-")
	}
	cases := map[string]struct{ reason, name string }{
		"empty":                  {"nothing is no name", ""},
		"person":                 {"users also have names at a provider", "alice"},
		"prefix only":            {"five parts are needed", "at1-"},
		"later format":           {"a later version's names are not read as this one's", "at2" + ours[3:]},
		"upper case":             {"a name has one spelling", strings.ToUpper(ours)},
		"part missing":           {"five parts are needed", ours[:strings.LastIndex(ours, "-")]},
		"part added":             {"five parts are needed", ours + "-x"},
		"short cluster":          {"hashes have their length", part(1, "abc")},
		"hashes cut short":       {"40 bits of the owner can be found again by trying", "at1-rv5zk-wpvwc67y-z-aaaaaa"},
		"other characters":       {"hashes are base 32", part(2, "1111111111111111")},
		"short nonce":            {"the nonce has its length", part(4, "aaaaaa")},
		"no revision":            {"the revision is a number", part(3, "")},
		"negative revision":      {"the revision counts from zero", part(3, "+7")},
		"revision with a zero":   {"a number has one spelling", part(3, "07")},
		"revision in upper case": {"a number has one spelling", part(3, "A")},
		"revision too large":     {"the next one must fit a name", part(3, "10000000")},
		"largest number":         {"the next one must fit a name", part(3, strconv.FormatInt(math.MaxInt64, 36))},
		"more than a number":     {"the revision fits 64 bits", part(3, "zzzzzzzzzzzzzz")},
		"space around":           {"a name has one spelling", " " + ours},
		"long":                   {"no name is longer than 60", ours + strings.Repeat("a", 60)},
		"path":                   {"a path is no name", "/apitoken/" + ours},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if n, err := credname.Parse(tc.name); !errors.Is(err, credname.ErrForeign) {
				t.Errorf("%s: Parse(%q) is %+v, error %v; want ErrForeign", tc.reason, tc.name, n, err)
			}
		})
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]string{}
	add := func(what, name string) {
		if before, taken := seen[name]; taken {
			t.Errorf("%s and %s have one name: %s", before, what, name)
		}
		seen[name] = what
	}
	for i := range 200 {
		nonce := sha256.Sum256([]byte{byte(i)})
		add(fmt.Sprintf("nonce %d", i), build(t, 1, 0, string(nonce[:])).String())
		add(fmt.Sprintf("revision %d", i+2), build(t, int64(i+2), 0, zeros).String())
		n, err := credname.New(cluster, credname.Owner("ml", fmt.Sprint(i)), 1, 0, strings.NewReader(zeros))
		if err != nil {
			t.Fatal(err)
		}
		add(fmt.Sprintf("ApiToken %d", i), n.String())
		n, err = credname.New(credname.Cluster(fmt.Sprint(i)), owner, 1, 0, strings.NewReader(zeros))
		if err != nil {
			t.Fatal(err)
		}
		add(fmt.Sprintf("cluster %d", i), n.String())
	}
}

func TestHashesHideNames(t *testing.T) {
	name := build(t, 1, 0, zeros).String()
	for _, inside := range []string{"ml", "training", "9f0b6a0e"} {
		if strings.Contains(name, inside) {
			t.Errorf("%s shows %q to the provider", name, inside)
		}
	}
	if credname.Cluster("ml") == credname.Owner("", "ml")[:len(cluster)] {
		t.Error("a cluster and an owner of one name hash to the same")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "at1----", seed(f, 0), seed(f, credname.MinLength),
		"at1-aaaaa-aaaaaaaa-0-aaaaaa", "at1-aaaaaaaa-aaaaaaaaaaaaaaaa--1-aaaaaaaaaa",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := credname.Parse(s)
		if err != nil {
			if !errors.Is(err, credname.ErrForeign) || n != (credname.Name{}) {
				t.Errorf("Parse(%q) is %+v with error %v, want no name and ErrForeign", s, n, err)
			}
			return
		}
		if n.String() != s {
			t.Errorf("%q is read and written as %q: a name has one spelling", s, n)
		}
		if len(s) > credname.MaxLength || n.Revision < 0 || n.Revision > credname.MaxRevision || !n.InCluster(n.Cluster) {
			t.Errorf("%q is read as %+v, which New cannot have made", s, n)
		}
	})
}

func FuzzNew(f *testing.F) {
	f.Add("uid", "ml", "training", int64(1), 0, []byte(zeros))
	f.Add("", "", "", int64(-1), 48, []byte("12345678"))
	f.Fuzz(func(t *testing.T, identity, namespace, token string, revision int64, limit int, random []byte) {
		hash := credname.Cluster(identity)
		n, err := credname.New(hash, credname.Owner(namespace, token), revision, limit, bytes.NewReader(random))
		if err != nil {
			return
		}
		if limit > 0 && len(n.String()) > limit || len(n.String()) > credname.MaxLength {
			t.Errorf("%q is longer than %d", n, limit)
		}
		if !n.OwnedBy(hash, namespace, token) {
			t.Errorf("%q does not belong to its owner", n)
		}
		if back, err := credname.Parse(n.String()); revision >= 0 && (err != nil || back != n) {
			t.Errorf("%q is read back as %+v, error %v", n, back, err)
		}
	})
}

func seed(f *testing.F, limit int) string {
	f.Helper()
	n, err := credname.New(cluster, owner, 36, limit, strings.NewReader(zeros))
	if err != nil {
		f.Fatal(err)
	}
	return n.String()
}
