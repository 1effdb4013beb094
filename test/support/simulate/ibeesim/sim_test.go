package ibeesim

import (
	"context"
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
	minter = "ibee_prod_key_minter"
	valid0 = `{"name":"n","permission_type":"object_ro","bucket_scope":"specific","allowed_buckets":["b"]}`
)

func newSimulator(t *testing.T) *Simulator {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := New("42", func() time.Time { return now })
	s.AddToken(minter, StorageRead, StorageWrite, BillingRead)
	return s
}

// ask sends a request and returns its status and what was answered.
func ask(t *testing.T, s *Simulator, method, target, body string, change func(*http.Request)) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+minter)
	r.Header.Set("User-Agent", "test/1")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return w.Code, out
}

func TestUndocumentedRequestsAreRejected(t *testing.T) {
	const path = "/v1/object-storage/credentials"
	const one = path + "?workspace_id=42"
	header := func(key, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(key, value) }
	}
	body := func(name, permission, scope, buckets string) string {
		return `{"name":"` + name + `","permission_type":"` + permission + `","bucket_scope":"` + scope + `","allowed_buckets":` + buckets + `}`
	}
	cases := map[string]struct {
		method, target, body string
		change               func(*http.Request)
		status               int
		code                 string
	}{
		"no token":               {"GET", one, "", func(r *http.Request) { r.Header.Del("Authorization") }, 401, "unauthorized"},
		"no bearer":              {"GET", one, "", header("Authorization", minter), 401, "unauthorized"},
		"unknown token":          {"GET", one, "", header("Authorization", "Bearer unknown"), 401, "unauthorized"},
		"no workspace":           {"GET", path, "", nil, 400, "workspace_id_required"},
		"two workspaces":         {"GET", one + "&workspace_id=42", "", nil, 400, "workspace_id_required"},
		"another parameter":      {"GET", one + "&limit=5", "", nil, 400, "workspace_id_required"},
		"name of a workspace":    {"GET", path + "?workspace_id=main", "", nil, 400, "invalid_workspace_id"},
		"zero":                   {"GET", path + "?workspace_id=042", "", nil, 400, "invalid_workspace_id"},
		"another workspace":      {"GET", path + "?workspace_id=43", "", nil, 403, "workspace_not_allowed"},
		"another route":          {"GET", "/v1/object-storage/keys?workspace_id=42", "", nil, 403, "unknown_route"},
		"no version":             {"GET", "/object-storage/credentials?workspace_id=42", "", nil, 403, "unknown_route"},
		"below a credential":     {"GET", path + "/AKIA9/secret?workspace_id=42", "", nil, 404, "not_found"},
		"another method":         {"PUT", one, valid0, nil, 405, "method_not_allowed"},
		"unknown credential":     {"GET", path + "/AKIA9?workspace_id=42", "", nil, 404, "not_found"},
		"revoking nothing":       {"POST", path + "/AKIA9/revoke?workspace_id=42", "", nil, 404, "not_found"},
		"deleting nothing":       {"DELETE", path + "/AKIA9?workspace_id=42", "", nil, 404, "not_found"},
		"no body":                {"POST", one, "", nil, 422, "validation_error"},
		"no JSON":                {"POST", one, "name=n", nil, 422, "validation_error"},
		"two bodies":             {"POST", one, valid0 + valid0, nil, 422, "validation_error"},
		"not said to be JSON":    {"POST", one, valid0, header("Content-Type", "text/plain"), 422, "validation_error"},
		"unknown field":          {"POST", one, strings.Replace(valid0, "{", `{"expires_at":"2026-01-01",`, 1), nil, 422, "validation_error"},
		"missing field":          {"POST", one, `{"name":"n","permission_type":"object_ro","bucket_scope":"all"}`, nil, 422, "validation_error"},
		"no name":                {"POST", one, body("", "object_ro", "all", "[]"), nil, 422, "validation_error"},
		"long name":              {"POST", one, body(strings.Repeat("n", 101), "object_ro", "all", "[]"), nil, 422, "validation_error"},
		"unknown permission":     {"POST", one, body("n", "object_wo", "all", "[]"), nil, 422, "validation_error"},
		"unknown scope":          {"POST", one, body("n", "object_ro", "some", "[]"), nil, 422, "validation_error"},
		"administration of some": {"POST", one, body("n", "admin_ro", "specific", `["b"]`), nil, 422, "validation_error"},
		"specific without any":   {"POST", one, body("n", "object_ro", "specific", "[]"), nil, 422, "validation_error"},
		"all and one":            {"POST", one, body("n", "object_ro", "all", `["b"]`), nil, 422, "validation_error"},
		"path for a bucket":      {"POST", one, body("n", "object_ro", "specific", `["b/c"]`), nil, 422, "validation_error"},
		"star for a bucket":      {"POST", one, body("n", "object_ro", "specific", `["*"]`), nil, 422, "validation_error"},
		"billing, unknown field": {"POST", "/v1/billing/resource-eligibility?workspace_id=42", `{"x":1}`, nil, 422, "validation_error"},
		"billing, no body":       {"POST", "/v1/billing/resource-eligibility?workspace_id=42", "", nil, 422, "validation_error"},
		"billing, not a POST":    {"GET", "/v1/billing/resource-eligibility?workspace_id=42", "", nil, 405, "method_not_allowed"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newSimulator(t)
			status, out := ask(t, s, tc.method, tc.target, tc.body, tc.change)
			if status != tc.status || out["error"] != tc.code {
				t.Errorf("got %d %v, want %d %s", status, out, tc.status, tc.code)
			}
			if left := s.Credentials(); len(left) != 0 {
				t.Errorf("made %+v", left)
			}
		})
	}
	s := newSimulator(t)
	if status, out := ask(t, s, "GET", one, "", header("User-Agent", "Go-http-client/2.0")); status != 403 || out["error_code"] != 1010.0 {
		t.Errorf("the firewall lets it through: %d %v", status, out)
	}
}

func TestErrorsHaveTheChosenForm(t *testing.T) {
	message := "a sentence of the provider"
	inner := map[string]any{"code": "billing_denied", "reason": "insufficient_balance", "message": message}
	want := map[int]map[string]any{
		1: {"error": "billing_denied", "billing_reason": "insufficient_balance", "message": message},
		2: {"error": inner},
		3: {"detail": inner},
		4: inner,
	}
	for form, body := range want {
		s := newSimulator(t)
		s.Envelope, s.BillingDenied = form, "insufficient_balance"
		status, got := ask(t, s, "POST", "/v1/object-storage/credentials?workspace_id=42", valid0, nil)
		if diff := cmp.Diff(body, got); status != 402 || diff != "" {
			t.Errorf("form %d, status %d (-want +got):\n%s", form, status, diff)
		}
	}
}

func TestListShowsTheNewest(t *testing.T) {
	s := newSimulator(t)
	first := s.Add("first")
	remove := s.Crowd(Window)
	last := s.Add("last")
	_, out := ask(t, s, "GET", "/v1/object-storage/credentials?workspace_id=42", "", nil)
	listed := out["credentials"].([]any)
	if len(listed) != Window || listed[0].(map[string]any)["access_key_id"] != last {
		t.Errorf("%d are listed, the first is %v", len(listed), listed[0])
	}
	remove()
	if got := s.Credentials(); len(got) != 2 || got[0].AccessKeyID != first {
		t.Errorf("left %+v", got)
	}
}

// plane is a data plane that can reject requests.
type plane struct {
	keys []string
	err  error
}

func (p *plane) Create(_ context.Context, k Key) error {
	if p.err == nil {
		p.keys = append(p.keys, k.AccessKeyID+" "+k.Permission+" "+strings.Join(k.Buckets, ","))
	}
	return p.err
}

func (p *plane) Delete(_ context.Context, id string) error {
	if p.err == nil {
		p.keys = slices.DeleteFunc(p.keys, func(k string) bool { return strings.HasPrefix(k, id+" ") })
	}
	return p.err
}

func TestDataPlaneReceivesEveryChangeOnce(t *testing.T) {
	const path = "/v1/object-storage/credentials"
	s, p := newSimulator(t), &plane{}
	s.Keys = p
	var ids []string
	for range 5 {
		status, out := ask(t, s, "POST", path+"?workspace_id=42", valid0, nil)
		if status != 201 || !s.Accepts(out["access_key_id"].(string), out["secret_access_key"].(string)) {
			t.Fatalf("status %d, %v", status, out)
		}
		ids = append(ids, out["access_key_id"].(string))
	}
	if p.keys[0] != ids[0]+" object_ro b" || len(p.keys) != 5 {
		t.Errorf("the data plane has %v", p.keys)
	}
	ask(t, s, "POST", path+"/"+ids[0]+"/revoke?workspace_id=42", "", nil)
	ask(t, s, "DELETE", path+"/"+ids[1]+"?workspace_id=42", "", nil)
	if len(p.keys) != 3 || s.Accepts(ids[0], s.Credentials()[0].Secret) {
		t.Errorf("the data plane has %v", p.keys)
	}
	s.Disable("n")
	p.err = errors.New("down")
	if err := s.Sweep(t.Context()); err == nil || len(p.keys) != 3 {
		t.Errorf("Sweep: %v, the data plane has %v", err, p.keys)
	}
	if status, _ := ask(t, s, "GET", path+"?workspace_id=42", "", nil); status != 500 {
		t.Errorf("status %d while the data plane is down, want 500", status)
	}
	p.err = nil
	if err := s.Sweep(t.Context()); err != nil || len(p.keys) != 0 {
		t.Errorf("Sweep: %v, the data plane has %v", err, p.keys)
	}
	p.err = errors.New("down")
	if status, _ := ask(t, s, "POST", path+"?workspace_id=42", valid0, nil); status != 500 {
		t.Errorf("status %d for a key that the data plane refuses, want 500", status)
	}
}
