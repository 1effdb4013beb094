package proxyscrapesim

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"apitoken.dev/operator/test/support/conformance"
)

const keysPath = "/v4/account/api-keys"

// answer is a status and a value that is sent as JSON.
type answer struct {
	status int
	body   any
}

// rejected is an error of the API. Its shape is not documented.
func rejected(status int) answer {
	return answer{status, map[string]any{"success": false, "message": conformance.RawText}}
}

func (s *Simulator) serve(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	now := s.Now()
	s.mu.Lock()
	s.requests = append(s.requests, Request{Method: r.Method, Path: r.URL.RequestURI(), Header: r.Header.Clone(), Body: string(text)})
	out := s.answer(r, text, now)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(out.status)
	_ = json.NewEncoder(w).Encode(out.body) // the client may be gone
}

// answer carries out one request. The lock is held here, and in all functions below.
func (s *Simulator) answer(r *http.Request, text []byte, now time.Time) answer {
	caller := s.holder(r.Header.Get("api-token"))
	if caller == nil || !caller.live(now) {
		return answer{http.StatusUnauthorized, map[string]any{"status": "unauthorized", "info": conformance.RawText}}
	}
	if from, _, err := net.SplitHostPort(r.RemoteAddr); err != nil || !caller.admits(from) {
		return rejected(http.StatusForbidden)
	}
	if r.URL.RawQuery != "" {
		return rejected(http.StatusBadRequest)
	}
	path, found := strings.CutPrefix(r.URL.Path, keysPath)
	if !found || path != "" && !strings.HasPrefix(path, "/") {
		return rejected(http.StatusNotFound)
	}
	req := request{caller: caller, text: text, now: now, json: strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")}
	switch id := strings.TrimPrefix(path, "/"); id {
	case "":
		return s.collection(r.Method, req)
	case "allowed-permissions", "permission-context":
		return s.permissions(r.Method, id, req)
	default:
		return s.one(r.Method, id, req)
	}
}

// request is an authenticated request.
type request struct {
	caller *Key
	text   []byte
	json   bool
	now    time.Time
}

func (r request) may(permission string) bool {
	return slices.Contains(r.caller.Permissions, permission)
}

// reaches reports whether the caller can access a subaccount; one without a list
// can access all.
func (r request) reaches(subaccount string) bool {
	return len(r.caller.Subaccounts) == 0 || slices.Contains(r.caller.Subaccounts, subaccount)
}

// decode reads the body, in which every field must be known.
func (r request) decode(into any) bool {
	d := json.NewDecoder(bytes.NewReader(r.text))
	d.DisallowUnknownFields()
	return r.json && d.Decode(into) == nil && !d.More()
}

func (s *Simulator) collection(method string, r request) answer {
	switch method {
	case http.MethodGet:
		if !r.may("account:apikeys:read") {
			return rejected(http.StatusForbidden)
		}
		list := make([]any, 0, len(s.keys))
		for _, k := range s.keys {
			list = append(list, s.show(k, ""))
		}
		return answer{http.StatusOK, s.wrap("", list)}
	case http.MethodPost:
		return s.create(r)
	default:
		return rejected(http.StatusMethodNotAllowed)
	}
}

// permissions are never wrapped.
func (s *Simulator) permissions(method, path string, r request) answer {
	if method != http.MethodGet {
		return rejected(http.StatusMethodNotAllowed)
	}
	body := map[string]any{"allowed_permissions": r.caller.Permissions}
	if path == "permission-context" {
		body["structure"] = map[string]any{}
	}
	return answer{http.StatusOK, body}
}

func (s *Simulator) one(method, path string, r request) answer {
	id, action, _ := strings.Cut(path, "/")
	needs := map[string]string{
		"GET ": "read", "PUT ": "update", "DELETE ": "delete", "POST regenerate": "regenerate",
	}[method+" "+action]
	if needs == "" {
		return rejected(http.StatusMethodNotAllowed)
	}
	if !r.may("account:apikeys:" + needs) {
		return rejected(http.StatusForbidden)
	}
	at := slices.IndexFunc(s.keys, func(k *Key) bool { return k.ID == id })
	if at < 0 {
		return rejected(http.StatusNotFound)
	}
	k := s.keys[at]
	switch needs {
	case "update":
		return s.update(k, r)
	case "delete":
		s.keys = slices.Delete(s.keys, at, at+1)
		return answer{http.StatusOK, map[string]any{
			"success": true, "message": "API key revoked successfully", "data": map[string]any{"id": k.ID, "revoked_at": r.now.Unix()},
		}}
	case "regenerate":
		return s.regenerate(k)
	default:
		return answer{http.StatusOK, s.wrap("", s.show(k, preview))}
	}
}

// wrap wraps the result of an operation as in the newer of the two shapes.
func (s *Simulator) wrap(message string, data any) any {
	if s.Legacy {
		return data
	}
	out := map[string]any{"success": true, "data": data}
	if message != "" {
		out["message"] = message
	}
	return out
}

// preview makes show include the fields that only an answer about one key has.
const preview = "preview"

// show is a key without its token.
func (s *Simulator) show(k *Key, more string) map[string]any {
	out := map[string]any{
		"id": k.ID, "name": k.Name, "permissions": k.Permissions,
		"allowed_subaccounts": list(k.Subaccounts), "allowed_ips": list(k.IPs),
		"expires_at": k.Expires, "is_active": k.Active,
	}
	if s.Legacy {
		out["created_at"] = k.Created.UTC().Format(time.RFC3339)
		out["updated_at"] = out["created_at"]
		return out
	}
	out["created_at"] = k.Created.Unix()
	if more == preview {
		out["last_used_at"], out["token_preview"] = nil, k.Token[:4]+"..."
	}
	return out
}

// list is never null.
func list(of []string) []string {
	if of == nil {
		return []string{}
	}
	return of
}
