package crusoe

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
)

func TestListedKeysAreDecoded(t *testing.T) {
	const name = "at1-cccccccc-wpvwc67y4ghradm7-1-aaaaaaaaaa"
	created := time.Date(2021, 12, 3, 19, 58, 34, 0, time.UTC)
	ends := time.Date(2022, 12, 3, 19, 58, 34, 0, time.UTC)
	cases := map[string]struct {
		item string // next to the id, user, alias and creation
		want provider.Credential
	}{
		"as documented":      {item: `"status":"enabled","expire_at":"2022-12-03T19:58:34Z"`, want: provider.Credential{State: provider.Live, ExpiresAt: ends}},
		"in another zone":    {item: `"status":"enabled","expire_at":"2022-12-03T21:58:34+02:00"`, want: provider.Credential{State: provider.Live, ExpiresAt: ends}},
		"1970 is never":      {item: `"status":"enabled","expire_at":"1970-01-01T00:00:00Z"`, want: provider.Credential{State: provider.Live}},
		"no time":            {item: `"status":"enabled","expire_at":"0001-01-01T00:00:00Z"`, want: provider.Credential{State: provider.Live}},
		"nothing":            {item: `"status":"enabled"`, want: provider.Credential{State: provider.Live}},
		"no time at all":     {item: `"status":"enabled","expire_at":"never"`, want: provider.Credential{State: provider.Live}},
		"disabled":           {item: `"status":"disabled","expire_at":"2022-12-03T19:58:34Z"`, want: provider.Credential{State: provider.Disabled, ExpiresAt: ends}},
		"some other status":  {item: `"status":"suspicious"`, want: provider.Credential{State: provider.Live}},
		"a field of its own": {item: `"status":"enabled","colour":"red"`, want: provider.Credential{State: provider.Live}},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			a := newAccount(t)
			c := a.connect(t)
			a.answer(func(w http.ResponseWriter, _ *http.Request) bool {
				respond(w, http.StatusOK, `{"items":[{"key_uuid":"f5705300-79f8-4686-9b9f-02496a053bc0","user_id":"`+userID+
					`","access_key_id":"CKIA493K6LOVDNNAR4SZ","alias":"`+name+`","created_at":"2021-12-03T19:58:34Z",`+tc.item+`}]}`)
				return true
			})
			want := tc.want
			want.Name, want.ID, want.CreatedAt = name, "CKIA493K6LOVDNNAR4SZ", created
			for _, ref := range []provider.Ref{{Name: name}, {Name: name, ID: want.ID}, {Name: name, ID: "CKIAGONE"}} {
				got, err := c.Find(t.Context(), ref)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]provider.Credential{want}, got); diff != "" {
					t.Errorf("Find(%+v) (-want +got):\n%s", ref, diff)
				}
			}
			if got, err := c.Find(t.Context(), provider.Ref{Name: request(t, "training").Name}); err != nil || len(got) != 0 {
				t.Errorf("another name finds %v, %v", got, err)
			}
		})
	}
}

func TestResponseWithoutAListIsAnError(t *testing.T) {
	cases := map[string]struct {
		body string
		ok   bool
	}{
		"none":          {body: `{"items":[]}`, ok: true},
		"none in Go":    {body: `{"items":null}`, ok: true},
		"no items":      {body: `{}`},
		"null":          {body: `null`},
		"another name":  {body: `{"keys":[]}`},
		"a bare list":   {body: `[]`},
		"one object":    {body: `{"items":{"access_key_id":"CKIA"}}`},
		"without an id": {body: `{"items":[{"alias":"` + rawText + `"}]}`},
		"cut short":     {body: `{"items":[`},
		"empty":         {body: ``},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			c := a.connect(t)
			a.answer(func(w http.ResponseWriter, _ *http.Request) bool { respond(w, http.StatusOK, tc.body); return true })
			_, findErr := c.Find(t.Context(), provider.Ref{Name: request(t, "training").Name})
			_, countErr := c.Occupied(t.Context())
			revokeErr := c.Revoke(t.Context(), provider.Ref{Name: request(t, "training").Name})
			var listErr error
			for _, err := range c.List(t.Context(), provider.Owner{Cluster: cluster}) {
				listErr = err
			}
			for verb, err := range map[string]error{"Find": findErr, "Occupied": countErr, "Revoke": revokeErr, "List": listErr} {
				if (err == nil) != tc.ok {
					t.Errorf("%s: got %v, want an error: %t", verb, err, !tc.ok)
				}
				if err != nil && (!provider.InDoubt(err) || strings.Contains(err.Error(), rawText)) {
					t.Errorf("%s: %v", verb, err)
				}
			}
		})
	}
}

func TestOccupiedCountsAllKeysOfTheUserOnly(t *testing.T) {
	a := newAccount(t)
	a.ListsAll = true
	c := a.connect(t)
	req := request(t, "training")
	minted, err := c.Mint(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	manual := mustMake(t, a, userID, "")
	mustMake(t, a, otherUserID, "other")
	a.Disable("")
	a.clock.at = start.Add(2 * time.Hour)
	if a.Accepts(minted.Credential.ID, minted.Secret[KeySecret].Reveal()) {
		t.Error("the data plane accepts an expired key")
	}
	want := []provider.Credential{
		{Name: req.Name, ID: minted.Credential.ID, State: provider.Live, CreatedAt: start, ExpiresAt: start.Add(time.Hour)},
		{ID: manual, State: provider.Disabled, CreatedAt: start},
	}
	got, err := c.Occupied(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A key of another client is not revoked, even if its alias or its ID matches.
func TestForeignKeysAreLeftAlone(t *testing.T) {
	a := newAccount(t)
	c := a.connect(t)
	id := mustMake(t, a, userID, "another-client")
	unnamed := mustMake(t, a, userID, "")
	name := request(t, "training").Name
	for _, ref := range []provider.Ref{{Name: "another-client"}, {ID: id}, {ID: unnamed}, {}, {Name: name, ID: id}, {Name: "another-client", ID: id}} {
		if err := c.Revoke(t.Context(), ref); err == nil {
			t.Errorf("Revoke(%+v) returned nil", ref)
		}
	}
	for credential, err := range c.List(t.Context(), provider.Owner{Cluster: cluster}) {
		t.Errorf("List yields %+v, %v", credential, err)
	}
	for _, ref := range []provider.Ref{{Name: name}, {Name: name, ID: id}, {ID: id}} {
		if got, err := c.Find(t.Context(), ref); (err != nil) != (ref.ID != "") || len(got) != 0 {
			t.Errorf("Find(%+v): %+v, %v", ref, got, err)
		}
	}
	if n := len(a.All()); n != 2 {
		t.Errorf("%d keys are left, want both", n)
	}
}

func TestAllKeysOfAnAliasAreFoundAndRevoked(t *testing.T) {
	a := newAccount(t)
	c := a.connect(t)
	name := request(t, "training").Name
	mustMake(t, a, userID, name)
	mustMake(t, a, userID, name)
	if got, err := c.Find(t.Context(), provider.Ref{Name: name}); err != nil || len(got) != 2 {
		t.Errorf("found %+v, %v; want two", got, err)
	}
	if err := c.Revoke(t.Context(), provider.Ref{Name: name}); err != nil || len(a.All()) != 0 {
		t.Errorf("Revoke: %v, and %d are left", err, len(a.All()))
	}
}

func TestOnly204And404ProveADeletion(t *testing.T) {
	for status, done := range map[int]bool{
		200: false, 202: false, 204: true, 302: false, 400: false, 401: false, 403: false, 404: true, 409: false, 410: false, 429: false, 500: false, 502: false,
	} {
		a := newAccount(t)
		c := a.connect(t)
		name := request(t, "training").Name
		mustMake(t, a, userID, name)
		a.answer(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodDelete {
				return false
			}
			if status == http.StatusNoContent {
				w.WriteHeader(status)
			} else {
				respond(w, status, `{"code":"x","message":"`+rawText+`"}`)
			}
			return true
		})
		err := c.Revoke(t.Context(), provider.Ref{Name: name})
		if (err == nil) != done {
			t.Errorf("status %d: got %v, want it done: %t", status, err, done)
		}
		if err != nil && strings.Contains(err.Error(), rawText) {
			t.Errorf("status %d: %v", status, err)
		}
	}
}
