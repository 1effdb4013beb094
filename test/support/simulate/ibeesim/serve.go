package ibeesim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	jsonType        = "application/json"
	prefix          = "/v1"
	credentialsPath = "/object-storage/credentials"

	active, revoked = "active", "revoked"
	all, specific   = "all", "specific"
)

// keyFor returns the n-th pair of keys. They are as long as the vendor's.
func keyFor(n int) (id, secret string) {
	return fmt.Sprintf("AKIA%016d", n), fmt.Sprintf("CANARY%034d", n)
}

// failure is an error response.
type failure struct {
	status                      int
	code, reason, requiredScope string
}

// call is a request that the gateway accepted.
type call struct {
	ctx    context.Context
	method string
	// parts of the path, without the version.
	parts []string
	body  []byte
	kind  string // the media type
}

func (s *Simulator) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Body: string(body), Header: r.Header.Clone()})
	if banned(r.UserAgent()) {
		// The answer of the firewall has another form.
		write(w, http.StatusForbidden, map[string]any{
			"error_code": 1010, "error_name": "browser_signature_banned", "retryable": false, "owner_action_required": true,
		})
		return
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	c := call{ctx: r.Context(), method: r.Method, parts: strings.Split(strings.TrimPrefix(r.URL.Path, prefix+"/"), "/"), body: body, kind: kind}
	status, out, f := s.answer(r, c)
	if f != nil {
		status, out = f.status, s.envelope(*f)
	}
	write(w, status, out)
}

// answer sends a request through the gateway. Before and after that it removes ended
// credentials from the data plane. The lock is held.
func (s *Simulator) answer(r *http.Request, c call) (status int, out any, f *failure) {
	broken := &failure{status: http.StatusInternalServerError, code: "internal_error"}
	if s.sweep(c.ctx) != nil {
		return 0, nil, broken
	}
	if f := s.admit(r); f != nil {
		return 0, nil, f
	}
	status, out, f = s.route(c)
	if s.sweep(c.ctx) != nil {
		return 0, nil, broken
	}
	return status, out, f
}

// banned reports whether the firewall rejects a client.
func banned(agent string) bool {
	return agent == "" || strings.HasPrefix(agent, "Go-http-client") || strings.HasPrefix(agent, "Python-urllib")
}

var workspaceID = regexp.MustCompile(`^[1-9][0-9]*$`)

// admit is the gateway: it returns the failure of a rejected request, or nil.
func (s *Simulator) admit(r *http.Request) *failure {
	secret, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	t := s.tokens[secret]
	switch {
	case !bearer || t == nil:
		return &failure{status: http.StatusUnauthorized, code: "unauthorized"}
	case t.state != "":
		return &failure{status: http.StatusForbidden, code: t.state}
	}
	if f := s.wrongWorkspace(r.URL.Query()); f != nil {
		return f
	}
	needs := permission(r)
	switch {
	case s.Suspended:
		return &failure{status: http.StatusLocked, code: "organization_suspended"}
	case needs == "":
		return &failure{status: http.StatusForbidden, code: "unknown_route"}
	case !slices.Contains(t.permissions, needs):
		return &failure{status: http.StatusForbidden, code: "insufficient_scope", requiredScope: needs}
	case s.BillingDenied != "" && r.Method == http.MethodPost && r.URL.Path == prefix+credentialsPath:
		return &failure{status: http.StatusPaymentRequired, code: "billing_denied", reason: s.BillingDenied}
	}
	return nil
}

// wrongWorkspace returns a failure unless the query names this workspace, and nothing else.
func (s *Simulator) wrongWorkspace(query url.Values) *failure {
	named := query["workspace_id"]
	switch {
	case len(named) != 1 || len(query) != 1:
		return &failure{status: http.StatusBadRequest, code: "workspace_id_required"}
	case !workspaceID.MatchString(named[0]):
		return &failure{status: http.StatusBadRequest, code: "invalid_workspace_id"}
	case named[0] != s.Workspace:
		return &failure{status: http.StatusForbidden, code: "workspace_not_allowed"}
	}
	return nil
}

// permission returns the permission that a route needs; empty if the route does not exist.
func permission(r *http.Request) string {
	path, versioned := strings.CutPrefix(r.URL.Path, prefix)
	if !versioned {
		return ""
	}
	storage := path == credentialsPath || strings.HasPrefix(path, credentialsPath+"/")
	switch {
	case path == "/billing/resource-eligibility":
		return BillingRead
	case storage && r.Method == http.MethodGet:
		return StorageRead
	case storage:
		return StorageWrite
	}
	return ""
}

// resource returns what the path of a request names.
func (c call) resource() string {
	switch {
	case c.parts[0] == "billing":
		return "eligibility"
	case len(c.parts) == 2:
		return "credentials"
	case len(c.parts) == 3:
		return "one"
	case len(c.parts) == 4 && c.parts[3] == "revoke":
		return "revoke"
	}
	return ""
}

// route answers for the services behind the gateway. The lock is held.
func (s *Simulator) route(c call) (status int, out any, f *failure) {
	resource := c.resource()
	if resource == "" {
		return 0, nil, &failure{status: http.StatusNotFound, code: "not_found"}
	}
	switch c.method + " " + resource {
	case "POST eligibility":
		return s.eligibility(c)
	case "GET credentials":
		return http.StatusOK, s.list(), nil
	case "POST credentials":
		return s.create(c)
	case "GET one":
		return s.one(c, func(found *Credential) any { return s.show(found) })
	case "DELETE one":
		return s.one(c, s.erase)
	case "POST revoke":
		if !s.RevokeRoute {
			return 0, nil, s.noRoute()
		}
		return s.one(c, s.revoke)
	}
	return 0, nil, &failure{status: http.StatusMethodNotAllowed, code: "method_not_allowed"}
}

// noRoute is the answer for a POST …/revoke that is not offered.
func (s *Simulator) noRoute() *failure {
	if s.NoRoute == http.StatusForbidden {
		return &failure{status: s.NoRoute, code: "unknown_route"}
	}
	return &failure{status: s.NoRoute, code: "not_found"}
}

// one answers a request about the credential in the path.
func (s *Simulator) one(c call, do func(*Credential) any) (int, any, *failure) {
	id, err := url.PathUnescape(c.parts[2])
	found := s.byID(id)
	switch {
	case err != nil || found == nil:
		return 0, nil, &failure{status: http.StatusNotFound, code: "not_found"}
	case len(c.body) > 0:
		return 0, nil, &failure{status: http.StatusUnprocessableEntity, code: "validation_error"}
	}
	return http.StatusOK, do(found), nil
}

// revoke ends the access of a credential, and keeps listing it.
func (*Simulator) revoke(c *Credential) any {
	c.Status = revoked
	return map[string]any{"success": true, "message": "revoked"}
}

func (s *Simulator) erase(c *Credential) any {
	s.credentials = slices.DeleteFunc(s.credentials, func(other *Credential) bool { return other == c })
	return map[string]any{"success": true, "message": "deleted"}
}

func (s *Simulator) list() any {
	newest := slices.Clone(s.credentials)
	slices.Reverse(newest)
	shown := []any{}
	for _, c := range newest[:min(len(newest), Window)] {
		shown = append(shown, s.show(c))
	}
	return map[string]any{"credentials": shown}
}

// show is a credential without its secret.
func (s *Simulator) show(c *Credential) map[string]any {
	return map[string]any{
		"access_key_id": c.AccessKeyID, "name": c.Name, "status": c.Status, "created_at": c.CreatedAt.Format(time.RFC3339),
		"organization_id": "7", "workspace_id": s.Workspace, "created_by_user_id": "1",
		"permission_type": c.PermissionType, "bucket_scope": c.BucketScope, "allowed_buckets": c.AllowedBuckets,
	}
}

func (s *Simulator) create(c call) (int, any, *failure) {
	invalid := &failure{status: http.StatusUnprocessableEntity, code: "validation_error"}
	var in struct {
		Name           *string   `json:"name"`
		PermissionType *string   `json:"permission_type"`
		BucketScope    *string   `json:"bucket_scope"`
		AllowedBuckets *[]string `json:"allowed_buckets"`
	}
	if c.kind != jsonType || !strict(c.body, &in) ||
		in.Name == nil || in.PermissionType == nil || in.BucketScope == nil || in.AllowedBuckets == nil {
		return 0, nil, invalid
	}
	made := Credential{Name: *in.Name, PermissionType: *in.PermissionType, BucketScope: *in.BucketScope, AllowedBuckets: *in.AllowedBuckets}
	if !valid(made) {
		return 0, nil, invalid
	}
	added := s.add(made)
	if s.Keys != nil {
		key := Key{AccessKeyID: added.AccessKeyID, Secret: added.Secret, Permission: added.PermissionType}
		if added.BucketScope == specific {
			key.Buckets = added.AllowedBuckets
		}
		if s.Keys.Create(c.ctx, key) != nil {
			return 0, nil, &failure{status: http.StatusInternalServerError, code: "internal_error"}
		}
		s.told = append(s.told, added.AccessKeyID)
	}
	out := s.show(added)
	out["secret_access_key"] = added.Secret
	return http.StatusCreated, out, nil
}

// valid checks the rules of the vendor's clients (validateS3Scope of
// terraform-provider-ibee; names of 1 to 100 characters, ibee-typescript).
func valid(c Credential) bool {
	permissions, scopes := []string{"object_ro", "object_rw", "admin_ro", "admin_rw"}, []string{all, specific}
	if c.Name == "" || len(c.Name) > 100 || !slices.Contains(permissions, c.PermissionType) || !slices.Contains(scopes, c.BucketScope) {
		return false
	}
	if strings.HasPrefix(c.PermissionType, "admin_") && c.BucketScope != all {
		return false
	}
	for _, bucket := range c.AllowedBuckets {
		if bucket == "" || strings.TrimSpace(bucket) != bucket || strings.ContainsAny(bucket, `/\*`) {
			return false
		}
	}
	return (c.BucketScope == specific) == (len(c.AllowedBuckets) > 0)
}

func (s *Simulator) eligibility(c call) (int, any, *failure) {
	var in struct {
		SKU *string `json:"sku_code"`
	}
	if c.kind != jsonType || !strict(c.body, &in) {
		return 0, nil, &failure{status: http.StatusUnprocessableEntity, code: "validation_error"}
	}
	reason := s.BillingDenied
	if reason == "" {
		reason = "ok"
	}
	return http.StatusOK, map[string]any{
		"allowed": s.BillingDenied == "", "organization_id": "7", "reason": reason, "billing_state": "ACTIVE",
	}, nil
}

// strict decodes one JSON object, and rejects unknown fields.
func strict(body []byte, into any) bool {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(into) == nil && !d.More()
}

// envelope returns an error in the chosen form, with a sentence that must not be shown.
func (s *Simulator) envelope(f failure) any {
	inner := map[string]any{"message": "a sentence of the provider", "code": f.code}
	if f.reason != "" {
		inner["reason"] = f.reason
	}
	if f.requiredScope != "" {
		inner["required_scope"] = f.requiredScope
	}
	switch s.Envelope {
	case 2:
		return map[string]any{"error": inner}
	case 3:
		return map[string]any{"detail": inner}
	case 4:
		return inner
	}
	inner["error"] = f.code
	delete(inner, "code")
	if f.reason != "" {
		inner["billing_reason"] = f.reason
		delete(inner, "reason")
	}
	return inner
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}
