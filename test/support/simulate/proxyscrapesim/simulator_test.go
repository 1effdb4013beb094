package proxyscrapesim

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const token = "minting-token"

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// ask sends one request and returns the status and the answer.
func ask(t *testing.T, s *Simulator, method, path, body string, header ...string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("api-token", token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		return w.Code, nil
	}
	return w.Code, out
}

func newAccount() *Simulator {
	return New(func() time.Time { return start }, token,
		"account:apikeys:create", "account:apikeys:read", "account:apikeys:update", "account:apikeys:delete", "account:apikeys:regenerate", "residential:read")
}

// TestInvalidRequestsAreRejected sends what the API refuses.
func TestInvalidRequestsAreRejected(t *testing.T) {
	const good = `{"name":"a","permissions":["residential:read"]}`
	cases := map[string]struct {
		method, path, body string
		header             []string
		want               int
	}{
		"no token":                {method: "GET", path: keysPath, header: []string{"api-token", ""}, want: 401},
		"bearer token":            {method: "GET", path: keysPath, header: []string{"api-token", "", "Authorization", "Bearer " + token}, want: 401},
		"another path":            {method: "GET", path: "/v4/account/subaccounts", want: 404},
		"a longer path":           {method: "GET", path: keysPath + "s", want: 404},
		"a query":                 {method: "GET", path: keysPath + "?name=a", want: 400},
		"another method":          {method: "PATCH", path: keysPath, want: 405},
		"another method on a key": {method: "POST", path: keysPath + "/x", want: 405},
		"posting permissions":     {method: "POST", path: keysPath + "/allowed-permissions", want: 405},
		"no such key":             {method: "GET", path: keysPath + "/x", want: 404},
		"no such key to delete":   {method: "DELETE", path: keysPath + "/x", want: 404},
		"no such key to update":   {method: "PUT", path: keysPath + "/x", body: good, want: 404},
		"no JSON":                 {method: "POST", path: keysPath, body: good, header: []string{"Content-Type", "text/plain"}, want: 400},
		"half a JSON":             {method: "POST", path: keysPath, body: `{"name":`, want: 400},
		"an unknown field":        {method: "POST", path: keysPath, body: `{"name":"a","permissions":["residential:read"],"is_active":true}`, want: 400},
		"no name":                 {method: "POST", path: keysPath, body: `{"permissions":["residential:read"]}`, want: 422},
		"too long a name":         {method: "POST", path: keysPath, body: `{"name":"` + strings.Repeat("a", 101) + `","permissions":["residential:read"]}`, want: 422},
		"no permissions":          {method: "POST", path: keysPath, body: `{"name":"a"}`, want: 422},
		"empty permissions":       {method: "POST", path: keysPath, body: `{"name":"a","permissions":[]}`, want: 422},
		"a permission too much":   {method: "POST", path: keysPath, body: `{"name":"a","permissions":["serp_api:read"]}`, want: 403},
		"no UUID":                 {method: "POST", path: keysPath, body: `{"name":"a","permissions":["residential:read"],"allowed_subaccounts":["x"]}`, want: 422},
		"no address":              {method: "POST", path: keysPath, body: `{"name":"a","permissions":["residential:read"],"allowed_ips":["10.0.0.1/8"]}`, want: 422},
		"an end in the past":      {method: "POST", path: keysPath, body: `{"name":"a","permissions":["residential:read"],"expires_at":1}`, want: 422},
		"an end as text":          {method: "POST", path: keysPath, body: `{"name":"a","permissions":["residential:read"],"expires_at":"2030-01-01T00:00:00Z"}`, want: 422},
		"good":                    {method: "POST", path: keysPath, body: good, want: 200},
		"the longest name":        {method: "POST", path: keysPath, body: `{"name":"` + strings.Repeat("a", 100) + `","permissions":["residential:read"]}`, want: 200},
		"no end":                  {method: "POST", path: keysPath, body: `{"name":"a","permissions":["residential:read"],"expires_at":null}`, want: 200},
		"permission context":      {method: "GET", path: keysPath + "/permission-context", want: 200},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got, _ := ask(t, newAccount(), tc.method, tc.path, tc.body, tc.header...); got != tc.want {
				t.Errorf("status %d, want %d", got, tc.want)
			}
		})
	}
}

// TestEveryMethodNeedsItsPermission takes every permission that manages keys from the caller.
func TestEveryMethodNeedsItsPermission(t *testing.T) {
	s := New(func() time.Time { return start }, token, "residential:read")
	id := s.Add(Key{Name: "a", Permissions: []string{"residential:read"}})
	for _, r := range [][2]string{
		{"GET", keysPath}, {"POST", keysPath}, {"GET", keysPath + "/" + id}, {"PUT", keysPath + "/" + id},
		{"DELETE", keysPath + "/" + id}, {"POST", keysPath + "/" + id + "/regenerate"},
	} {
		if got, _ := ask(t, s, r[0], r[1], ""); got != http.StatusForbidden {
			t.Errorf("%s %s: status %d", r[0], r[1], got)
		}
	}
}

func TestEmptyPermissionsAreIgnored(t *testing.T) {
	s := newAccount()
	id := s.Add(Key{Name: "a", Permissions: []string{"residential:read"}, IPs: []string{"10.0.0.1"}})
	status, out := ask(t, s, "PUT", keysPath+"/"+id, `{"permissions":[],"allowed_ips":[],"is_active":false}`)
	data, _ := out["data"].(map[string]any)
	if status != http.StatusOK || out["success"] != true {
		t.Fatalf("status %d, %v", status, out)
	}
	if diff := cmp.Diff([]any{"allowed_ips", "is_active"}, data["updated_fields"]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := s.Named("a"); len(got) != 1 || len(got[0].Permissions) != 1 || len(got[0].IPs) != 0 || got[0].Active {
		t.Errorf("got %+v", got)
	}
	if status, _ := ask(t, s, "PUT", keysPath+"/"+id, `{}`); status != http.StatusUnprocessableEntity {
		t.Errorf("an update of nothing: status %d", status)
	}
}

func TestRegenerateEndsTheOldToken(t *testing.T) {
	for name, legacy := range map[string]bool{"wrapped": false, "bare": true} {
		t.Run(name, func(t *testing.T) {
			s := newAccount()
			s.Legacy = legacy
			id := s.Add(Key{Name: "a", Token: "old", Permissions: []string{"residential:read"}})
			status, out := ask(t, s, "POST", keysPath+"/"+id+"/regenerate", "")
			data := out
			if !legacy {
				data, _ = out["data"].(map[string]any)
				if data["old_id"] != id {
					t.Errorf("old_id is %v, want %s", data["old_id"], id)
				}
			}
			renewed, _ := data["token"].(string)
			if status != http.StatusOK || len(renewed) != 64 || data["id"] == id {
				t.Fatalf("status %d, a token of %d characters, id %v", status, len(renewed), data["id"])
			}
			if s.Accepts("old", "10.0.0.1", start) || !s.Accepts(renewed, "10.0.0.1", start) {
				t.Error("the old token is accepted, or the new one is not")
			}
			if status, _ := ask(t, s, "GET", keysPath+"/"+id, ""); status != http.StatusNotFound {
				t.Errorf("the old id: status %d", status)
			}
		})
	}
}

func TestDataPlaneEnforcesAddressAndExpiry(t *testing.T) {
	expires := start.Add(time.Hour).Unix()
	s := newAccount()
	s.Add(Key{Name: "a", Token: "narrow", IPs: []string{"10.0.0.0/8", "2001:db8::1"}, Expires: &expires})
	cases := map[string]struct {
		token, ip string
		at        time.Duration
		want      bool
	}{
		"in the range":    {"narrow", "10.1.2.3", 0, true},
		"the address":     {"narrow", "2001:db8::1", 0, true},
		"another address": {"narrow", "192.0.2.1", 0, false},
		"no address":      {"narrow", "nowhere", 0, false},
		"too late":        {"narrow", "10.1.2.3", time.Hour, false},
		"unknown":         {"other", "10.1.2.3", 0, false},
		"no restriction":  {token, "192.0.2.1", 1000 * time.Hour, true},
	}
	for name, tc := range cases {
		if got := s.Accepts(tc.token, tc.ip, start.Add(tc.at)); got != tc.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
	s.Disable("a")
	if s.Accepts("narrow", "10.1.2.3", start) {
		t.Error("a disabled key is accepted")
	}
}

// TestSkewShiftsTheClock asks for an end that is past by the simulator's clock.
func TestSkewShiftsTheClock(t *testing.T) {
	s := newAccount()
	body, err := json.Marshal(map[string]any{"name": "a", "permissions": []string{"residential:read"}, "expires_at": start.Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	restore := s.Faults().Skew(2 * time.Hour)
	if status, _ := ask(t, s, "POST", keysPath, string(body)); status != http.StatusUnprocessableEntity {
		t.Errorf("with a clock ahead: status %d", status)
	}
	restore()
	if status, _ := ask(t, s, "POST", keysPath, string(body)); status != http.StatusOK {
		t.Errorf("with the right clock: status %d", status)
	}
}

// TestCallerIsLimitedToItsAddresses uses a key that manages keys from elsewhere.
func TestCallerIsLimitedToItsAddresses(t *testing.T) {
	s := newAccount()
	s.Add(Key{Name: "elsewhere", Token: "elsewhere", Permissions: []string{"account:apikeys:read"}, IPs: []string{"10.0.0.1"}})
	if status, _ := ask(t, s, "GET", keysPath, "", "api-token", "elsewhere"); status != http.StatusForbidden {
		t.Errorf("status %d", status)
	}
}
