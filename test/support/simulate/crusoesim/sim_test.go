package crusoesim

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	organization = "ab4a6b00-aa5f-408e-a9fb-ac6de5eb45ab"
	keysPath     = "/v1/organizations/" + organization + "/storage/s3/keys"
)

var (
	start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	alice = User{ID: "alice", Organizations: []string{organization}, AccessKeyID: "alices-key", SecretKey: "YWxpY2U"}
	bob   = User{ID: "bob", Organizations: []string{organization}, AccessKeyID: "bobs-key", SecretKey: "Ym9i"}
)

// call is one request; its zero value is a good one that lists alice's keys.
type call struct {
	user             User
	method, url      string
	body, kind       string
	at               time.Time
	signedURL        string
	timestamp        string
	change           func(*http.Request)
	wantStatus       int
	wantCode, wantIn string
}

func (c call) send(t *testing.T, s *Simulator) *httptest.ResponseRecorder {
	t.Helper()
	user := c.user
	if user.ID == "" {
		user = alice
	}
	if c.method == "" {
		c.method = http.MethodGet
	}
	if c.url == "" {
		c.url = keysPath
	}
	if c.at.IsZero() {
		c.at = start
	}
	if c.timestamp == "" {
		c.timestamp = c.at.Format(time.RFC3339)
	}
	r := httptest.NewRequestWithContext(t.Context(), c.method, c.url, strings.NewReader(c.body))
	if c.kind != "" {
		r.Header.Set("Content-Type", c.kind)
	}
	path, query, _ := strings.Cut(c.url, "?")
	if c.signedURL != "" {
		path, query, _ = strings.Cut(c.signedURL, "?")
	}
	key, err := base64.RawURLEncoding.DecodeString(user.SecretKey)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(path + "\n" + query + "\n" + c.method + "\n" + c.timestamp + "\n"))
	r.Header.Set("X-Crusoe-Timestamp", c.timestamp)
	r.Header.Set("Authorization", "Bearer 1.0:"+user.AccessKeyID+":"+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
	if c.change != nil {
		c.change(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func newSim() *Simulator { return New(func() time.Time { return start }, alice, bob) }

func TestUndocumentedRequestsAreRejected(t *testing.T) {
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	cases := map[string]call{
		"a good one":        {wantStatus: 200, wantIn: `"items":[]`},
		"who is it":         {url: "/v1/users/identities", wantStatus: 200, wantIn: `"id":"alice"`},
		"four minutes late": {at: start.Add(-4 * time.Minute), wantStatus: 200},
		"six minutes late":  {at: start.Add(-6 * time.Minute), wantStatus: 401, wantCode: "401", wantIn: "bad_credential"},
		"six minutes early": {at: start.Add(6 * time.Minute), wantStatus: 401, wantCode: "401"},
		"not UTC":           {timestamp: "2026-03-01T13:00:00+01:00", wantStatus: 401, wantCode: "401"},
		"not whole seconds": {timestamp: "2026-03-01T12:00:00.5Z", wantStatus: 401, wantCode: "401"},
		"Unix seconds":      {timestamp: "1772366400", wantStatus: 401, wantCode: "401"},
		"no timestamp":      {change: header("X-Crusoe-Timestamp", ""), wantStatus: 401, wantCode: "401"},
		"no signature":      {change: header("Authorization", ""), wantStatus: 401, wantCode: "401"},
		"another version":   {change: header("Authorization", "Bearer 2.0:alices-key:x"), wantStatus: 401, wantCode: "401"},
		"another scheme": {change: func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "Bearer", "HMAC", 1))
		}, wantStatus: 401, wantCode: "401"},
		"a padded signature":        {change: func(r *http.Request) { r.Header.Set("Authorization", r.Header.Get("Authorization")+"=") }, wantStatus: 401, wantCode: "401"},
		"another's key":             {user: User{ID: "alice", AccessKeyID: "alices-key", SecretKey: bob.SecretKey}, wantStatus: 401, wantCode: "401"},
		"an unknown key":            {user: User{ID: "x", AccessKeyID: "unknown", SecretKey: "YWxpY2U"}, wantStatus: 401, wantCode: "401"},
		"another path signed":       {signedURL: "/organizations/" + organization + "/storage/s3/keys", wantStatus: 401, wantCode: "401"},
		"another method signed":     {change: func(r *http.Request) { r.Method = http.MethodPost }, wantStatus: 401, wantCode: "401"},
		"unsorted, signed sorted":   {url: keysPath + "?b=1&a=2", signedURL: keysPath + "?a=2&b=1", wantStatus: 401, wantCode: "401"},
		"sorted, but not known":     {url: keysPath + "?a=2&b=1", wantStatus: 400, wantCode: "400"},
		"another organization":      {url: "/v1/organizations/other/storage/s3/keys", wantStatus: 403, wantCode: "403", wantIn: "unauthorized"},
		"another path":              {url: "/v1/organizations/" + organization + "/storage/s3/tokens", wantStatus: 404, wantCode: "404", wantIn: "not_found"},
		"without version":           {url: "/users/identities", wantStatus: 404, wantCode: "404"},
		"another method":            {method: http.MethodPut, wantStatus: 405, wantCode: "405"},
		"posting an identity":       {method: http.MethodPost, url: "/v1/users/identities", wantStatus: 405, wantCode: "405"},
		"no such key":               {method: http.MethodDelete, url: keysPath + "/CKIANONE", wantStatus: 404, wantCode: "404"},
		"created":                   {method: http.MethodPost, kind: "application/json", body: `{"alias":"a","expire_at":"2026-03-02T00:00:00Z"}`, wantStatus: 200, wantIn: `"expire_at":"2026-03-02T00:00:00Z"`},
		"created without an end":    {method: http.MethodPost, kind: "application/json; charset=utf-8", body: `{}`, wantStatus: 200, wantIn: `"expire_at":"1970-01-01T00:00:00Z"`},
		"the name of the CLI":       {method: http.MethodPost, kind: "application/json", body: `{"alias":"a","expires_at":"2026-03-02T00:00:00Z"}`, wantStatus: 400, wantCode: "400", wantIn: "bad_request"},
		"a date":                    {method: http.MethodPost, kind: "application/json", body: `{"expire_at":"2026-03-02"}`, wantStatus: 400, wantCode: "400"},
		"a number":                  {method: http.MethodPost, kind: "application/json", body: `{"expire_at":1772366400}`, wantStatus: 400, wantCode: "400"},
		"two bodies":                {method: http.MethodPost, kind: "application/json", body: `{}{}`, wantStatus: 400, wantCode: "400"},
		"no body":                   {method: http.MethodPost, kind: "application/json", wantStatus: 400, wantCode: "400"},
		"a form":                    {method: http.MethodPost, kind: "application/x-www-form-urlencoded", body: `{}`, wantStatus: 400, wantCode: "400"},
		"deleting without a key":    {method: http.MethodDelete, wantStatus: 405, wantCode: "405"},
		"deleting with a slash end": {method: http.MethodDelete, url: keysPath + "/", wantStatus: 404, wantCode: "404"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := tc.send(t, newSim())
			var body struct{ Code string }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatalf("%s: %v", w.Body, err)
			}
			if w.Code != tc.wantStatus || body.Code != tc.wantCode || !strings.Contains(w.Body.String(), tc.wantIn) {
				t.Errorf("got %d %s, want %d %s with %q", w.Code, w.Body, tc.wantStatus, tc.wantCode, tc.wantIn)
			}
		})
	}
}

// Each user can have two.
func TestUsersSeeAndDeleteOnlyTheirOwnKeys(t *testing.T) {
	s := newSim()
	create := call{method: http.MethodPost, kind: "application/json", body: `{"alias":"same"}`}
	for range MaxKeys {
		if w := create.send(t, s); w.Code != http.StatusOK {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
	}
	if w := create.send(t, s); w.Code != http.StatusBadRequest {
		t.Errorf("a third key: got %d %s", w.Code, w.Body)
	}
	id := s.All()[0].AccessKeyID
	if w := (call{user: bob}).send(t, s); strings.Contains(w.Body.String(), id) {
		t.Errorf("bob sees %s", w.Body)
	}
	if w := (call{user: bob, method: http.MethodDelete, url: keysPath + "/" + id}).send(t, s); w.Code != http.StatusNotFound {
		t.Errorf("bob deleted it: %d", w.Code)
	}
	if w := (call{method: http.MethodDelete, url: keysPath + "/" + s.All()[0].UUID}).send(t, s); w.Code != http.StatusNotFound {
		t.Errorf("deleted by its UUID: %d", w.Code)
	}
	w := (call{method: http.MethodDelete, url: keysPath + "/" + id}).send(t, s)
	if w.Code != http.StatusNoContent || w.Body.Len() != 0 || len(s.All()) != 1 {
		t.Errorf("deleted by alice: %d %q, %d left", w.Code, w.Body, len(s.All()))
	}
	create.user = bob
	if w := create.send(t, s); w.Code != http.StatusOK {
		t.Errorf("bob's first key: %d", w.Code)
	}
	s.ListsAll = true
	if w := (call{}).send(t, s); strings.Count(w.Body.String(), "key_uuid") != 2 {
		t.Errorf("all of the organization: %s", w.Body)
	}
}

// plane is a data plane that can fail.
type plane struct {
	keys []string
	fail bool
}

func (p *plane) Create(_ context.Context, k Key) error {
	if p.fail {
		return errors.New("down")
	}
	p.keys = append(p.keys, k.AccessKeyID)
	return nil
}

func (p *plane) Delete(_ context.Context, id string) error {
	if p.fail {
		return errors.New("down")
	}
	p.keys = slices.DeleteFunc(p.keys, func(k string) bool { return k == id })
	return nil
}

func TestDataPlaneHasOnlyKeysThatGrantAccess(t *testing.T) {
	now := start
	p := &plane{}
	s := New(func() time.Time { return now }, alice, bob)
	s.Keys = p
	handMade := func(user, alias string, ends time.Time) Key {
		t.Helper()
		k, err := s.Make(t.Context(), user, organization, alias, ends)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	check := func(when string, want ...Key) {
		t.Helper()
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, k := range want {
			ids = append(ids, k.AccessKeyID)
		}
		if diff := cmp.Diff(ids, append([]string(nil), p.keys...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
		for _, k := range s.All() {
			if got := s.Accepts(k.AccessKeyID, k.SecretKey); got != slices.Contains(ids, k.AccessKeyID) {
				t.Errorf("%s: accepts %s: %t", when, k.Alias, got)
			}
		}
	}
	forever, short := handMade("alice", "forever", time.Time{}), handMade("alice", "short", start.Add(time.Hour))
	gone, off := handMade("bob", "gone", time.Time{}), handMade("bob", "off", time.Time{})
	check("made", forever, short, gone, off)
	if s.Accepts(forever.AccessKeyID, "wrong") {
		t.Error("accepts a wrong secret")
	}
	s.Delete("gone")
	s.Disable("off")
	check("deleted and disabled", forever, short)
	now = start.Add(time.Hour)
	check("expired", forever)
	if len(s.All()) != 3 {
		t.Errorf("%d keys are listed, want the expired and the disabled one too", len(s.All()))
	}
	p.fail = true
	remove := call{method: http.MethodDelete, url: keysPath + "/" + forever.AccessKeyID, at: now}
	if w := remove.send(t, s); w.Code != http.StatusInternalServerError || len(s.All()) != 3 {
		t.Errorf("deleted although the data plane failed: %d", w.Code)
	}
	s.Delete("short")
	if w := (call{method: http.MethodPost, kind: "application/json", body: `{}`, at: now}).send(t, s); w.Code != http.StatusInternalServerError {
		t.Errorf("created although the data plane failed: %d", w.Code)
	}
	p.fail = false
	if w := remove.send(t, s); w.Code != http.StatusNoContent {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	check("all gone")
}

func TestNewErrorsHaveTheFieldsOfErrorBody(t *testing.T) {
	s := newSim()
	s.NewErrors = true
	w := (call{url: "/v1/nothing"}).send(t, s)
	var body map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if len(body) != 4 || body["code"] != "not_found" || body["error_id"] == "" {
		t.Errorf("got %v", body)
	}
}
