package ibee

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/simulate/ibeesim"
)

// The credential is not in the list, which shows the newest 100.
func TestFindFailsIfTheListCanHideTheCredential(t *testing.T) {
	cases := map[string]struct {
		others int
		since  time.Duration // after the oldest of the others was made
		known  bool          // Since is given
		hides  bool
	}{
		"the list has room":           {others: 99},
		"nothing is known":            {others: 100, hides: true},
		"reserved long after":         {others: 100, known: true, since: time.Hour},
		"reserved just after":         {others: 100, known: true, since: 5*time.Minute + time.Second},
		"reserved within the skew":    {others: 100, known: true, since: 5 * time.Minute, hides: true},
		"reserved at the same time":   {others: 100, known: true, hides: true},
		"reserved before":             {others: 100, known: true, since: -time.Hour, hides: true},
		"reserved before, with room":  {others: 99, known: true, since: -time.Hour},
		"more than the list can show": {others: 150, known: true, since: time.Hour},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t)
			client := connect(t, b.config())
			b.Crowd(tc.others)
			ref := provider.Ref{Name: request(t, readOnly("datasets")).Name}
			if tc.known {
				ref.Since = start.Add(tc.since)
			}
			found, err := client.Find(t.Context(), ref)
			revokeErr := client.Revoke(t.Context(), ref)
			if len(found) != 0 || (err != nil) != tc.hides || (revokeErr != nil) != tc.hides {
				t.Fatalf("Find: %+v, %v; Revoke: %v; want errors: %t", found, err, revokeErr, tc.hides)
			}
			for _, err := range []error{err, revokeErr} {
				if !tc.hides {
					continue
				}
				e := provider.AsError(err)
				if e.Code != provider.CodeUnavailable || !provider.InDoubt(err) || !strings.Contains(e.Message, ref.Name) || !strings.Contains(e.Message, "in the portal") {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

// The list does not contain them any more.
func TestOldNamesAreSettledByTheirID(t *testing.T) {
	b := newBackend(t)
	client := connect(t, b.config())
	first, second := mint(t, client), mint(t, client)
	b.Crowd(ibeesim.Window)
	for _, c := range []provider.Credential{first, second} {
		found, err := client.Find(t.Context(), provider.Ref{Name: c.Name, ID: c.ID})
		if err != nil || len(found) != 1 || found[0].ID != c.ID || found[0].State != provider.Live {
			t.Errorf("got %+v and error %v, want %s", found, err, c.ID)
		}
	}
	if err := client.Revoke(t.Context(), provider.Ref{Name: first.Name, ID: first.ID}); err != nil {
		t.Error(err)
	}
	b.Delete(second.Name)
	for _, c := range []provider.Credential{first, second} {
		if found, err := client.Find(t.Context(), provider.Ref{Name: c.Name, ID: c.ID}); err != nil || len(provider.Occupying(found)) != 0 {
			t.Errorf("got %+v and error %v, want nothing that is not ended", found, err)
		}
	}
}

// The list shows the credential as revoked.
func TestARevokedNameIsSettled(t *testing.T) {
	b := newBackend(t)
	client := connect(t, b.config())
	b.Crowd(ibeesim.Window)
	c := mint(t, client)
	b.Revoke(c.Name)
	if found, err := client.Find(t.Context(), provider.Ref{Name: c.Name}); err != nil || len(found) != 1 || found[0].State != provider.Ended {
		t.Errorf("Find: got %+v and error %v, want what has ended", found, err)
	}
	for listed, err := range client.List(t.Context(), provider.Owner{Cluster: cluster}) {
		t.Errorf("List yields %+v, %v", listed, err)
	}
	b.Requests()
	if err := client.Revoke(t.Context(), provider.Ref{Name: c.Name, ID: c.ID}); err != nil {
		t.Error(err)
	}
	for _, r := range b.Requests() {
		if r.Method != http.MethodGet {
			t.Errorf("what is revoked already was asked for again: %s %s", r.Method, r.Path)
		}
	}
}

func TestAllCredentialsOfANameAreFoundAndRevoked(t *testing.T) {
	b := newBackend(t)
	client := connect(t, b.config())
	c := mint(t, client)
	b.Add(c.Name)
	b.Add(c.Name)
	for what, ref := range map[string]provider.Ref{"by name": {Name: c.Name}, "by name and ID": {Name: c.Name, ID: c.ID}} {
		found, err := client.Find(t.Context(), ref)
		if err != nil || len(found) != 3 {
			t.Errorf("%s: found %+v and error %v, want three", what, found, err)
		}
	}
	if err := client.Revoke(t.Context(), provider.Ref{Name: c.Name}); err != nil {
		t.Fatal(err)
	}
	for _, left := range b.Credentials() {
		if left.Status != statusRevoked {
			t.Errorf("%s is left", left.AccessKeyID)
		}
	}
}

// A credential with an unknown status may grant access.
func TestUnknownStatusIsLive(t *testing.T) {
	b := newBackend(t)
	client := connect(t, b.config())
	c := mint(t, client)
	for _, status := range []string{"suspended", ""} {
		b.SetStatus(c.Name, status)
		for _, ref := range []provider.Ref{{Name: c.Name}, {Name: c.Name, ID: c.ID}} {
			found, err := client.Find(t.Context(), ref)
			if err != nil || len(found) != 1 || found[0].State != provider.Live {
				t.Errorf("status %q, %+v: got %+v and error %v, want it live", status, ref, found, err)
			}
		}
	}
}

func TestCredentialRenamedByAUserIsLeftAlone(t *testing.T) {
	b := newBackend(t)
	client := connect(t, b.config())
	c := mint(t, client)
	b.Rename(c.Name, "another's "+rawText)
	ref := provider.Ref{Name: c.Name, ID: c.ID}
	_, err := client.Find(t.Context(), ref)
	for what, err := range map[string]error{
		"Find": err, "Revoke": client.Revoke(t.Context(), ref), "Revoke by ID": client.Revoke(t.Context(), provider.Ref{ID: c.ID}),
	} {
		if err == nil || strings.Contains(err.Error(), rawText) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if got := b.Credentials(); got[0].Status != statusActive {
		t.Errorf("it was revoked: %+v", got)
	}
}

func TestTimesWithoutAZoneAreUnknown(t *testing.T) {
	cases := map[string]time.Time{
		"2026-03-01T12:00:00Z":          start,
		"2026-03-01T17:30:00.25+05:30":  start.Add(time.Second / 4),
		"2026-03-01T12:00:00":           {},
		"2026-03-01 12:00:00":           {},
		"":                              {},
		"Sun, 01 Mar 2026 12:00:00 GMT": {},
	}
	for text, want := range cases {
		if got := (credential{CreatedAt: text}).created(); !got.Equal(want) {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// Only the list is requested, because its path has no id.
func TestInvalidIDsAreNotSent(t *testing.T) {
	b := newBackend(t)
	client := connect(t, b.config())
	b.Requests()
	name := request(t, readOnly("datasets")).Name
	for _, ref := range []provider.Ref{
		{}, {ID: "AKIA1"}, {Name: name, ID: "../buckets"}, {Name: name, ID: "a/b"}, {Name: name, ID: "."}, {Name: name, ID: strings.Repeat("A", 129)},
	} {
		if _, err := client.Find(t.Context(), ref); provider.AsError(err).Code != provider.CodeInvalid {
			t.Errorf("Find(%+v): %v", ref, err)
		}
		if err := client.Revoke(t.Context(), ref); provider.AsError(err).Code != provider.CodeInvalid {
			t.Errorf("Revoke(%+v): %v", ref, err)
		}
	}
	for _, r := range b.Requests() {
		if r.Method != http.MethodGet || r.Path != "/v1/object-storage/credentials" {
			t.Errorf("%s %s was sent", r.Method, r.Path)
		}
	}
}

// Values that the API does not document return no grant.
func TestGrantIsReadBack(t *testing.T) {
	for name, tc := range map[string]struct {
		shown credential
		want  *provider.Grant
	}{
		"one bucket": {credential{PermissionType: "object_ro", BucketScope: "specific", AllowedBuckets: []string{"a"}},
			&provider.Grant{Scopes: []string{scopeObjectReadOnly}, Buckets: []string{"a"}}},
		"every bucket": {credential{PermissionType: "admin_rw", BucketScope: "all"},
			&provider.Grant{Scopes: []string{scopeAdminReadWrite}, Buckets: []string{"*"}}},
		"unknown permission": {credential{PermissionType: "root", BucketScope: "all"}, nil},
		"unknown buckets":    {credential{PermissionType: "object_ro", BucketScope: "most"}, nil},
	} {
		if diff := cmp.Diff(tc.want, tc.shown.shown().Grant); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
