package crusoesim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"apitoken.dev/operator/test/support/conformance"
)

var errFull = errors.New("the user has two keys")

// maxBody is the maximum size of a request body, which is more than the API needs.
const maxBody = 1 << 16

// ServeHTTP implements http.Handler. It reads the body first: only then does a server notice
// that its client is gone, and a switch can wait for that.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // the client is gone
	}
	s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, body) })).ServeHTTP(w, r)
}

func (s *Simulator) serve(w http.ResponseWriter, r *http.Request, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{
		Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Header: r.Header.Clone(), Body: string(body),
	})
	w.Header().Set("Date", s.now().Format(http.TimeFormat))
	user, ok := s.caller(r)
	if !ok {
		s.fail(w, http.StatusUnauthorized, "bad_credential")
		return
	}
	if err := s.sweep(r.Context()); err != nil {
		s.fail(w, http.StatusInternalServerError, "internal_error")
		return
	}
	s.route(w, r, user, body)
}

func (s *Simulator) route(w http.ResponseWriter, r *http.Request, user User, body []byte) {
	if r.URL.Path == "/v1/users/identities" {
		s.identity(w, r, user)
		return
	}
	organization, id, ok := s3Keys(r.URL.Path)
	switch {
	case !ok:
		s.fail(w, http.StatusNotFound, "not_found")
	case !slices.Contains(user.Organizations, organization):
		s.fail(w, http.StatusForbidden, "unauthorized")
	case r.URL.RawQuery != "":
		s.fail(w, http.StatusBadRequest, "bad_request")
	case id == "" && r.Method == http.MethodGet:
		s.list(w, user, organization)
	case id == "" && r.Method == http.MethodPost:
		s.create(w, r, user, organization, body)
	case id != "" && r.Method == http.MethodDelete:
		s.delete(r.Context(), w, user, organization, id)
	default:
		s.fail(w, http.StatusMethodNotAllowed, "method_not_allowed")
	}
}

// s3Keys parses the path /v1/organizations/{org_id}/storage/s3/keys[/{access_key_id}].
func s3Keys(path string) (organization, id string, ok bool) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(parts) == 7 && parts[6] != "" {
		id, parts = parts[6], parts[:6]
	}
	if len(parts) != 6 || parts[0] != "v1" || parts[1] != "organizations" || strings.Join(parts[3:], "/") != "storage/s3/keys" {
		return "", "", false
	}
	return parts[2], id, true
}

func (s *Simulator) identity(w http.ResponseWriter, r *http.Request, user User) {
	if r.Method != http.MethodGet {
		s.fail(w, http.StatusMethodNotAllowed, "method_not_allowed")
		return
	}
	write(w, http.StatusOK, map[string]any{
		"identity": map[string]string{"id": user.ID, "email": "user@example.com", "name": "A User", "role": "Admin"},
	})
}

// listed is a key in the list. Its expire_at is that of zeroTime in
// internal/s3_key/util.go of github.com/crusoecloud/terraform-provider-crusoe.
type listed struct {
	KeyUUID     string `json:"key_uuid"`
	UserID      string `json:"user_id"`
	AccessKeyID string `json:"access_key_id"`
	Status      string `json:"status"`
	CreatedAt   string `json:"created_at"`
	Alias       string `json:"alias,omitempty"`
	ExpireAt    string `json:"expire_at"`
}

func (s *Simulator) list(w http.ResponseWriter, user User, organization string) {
	items := []listed{}
	for _, k := range s.keys {
		if k.Organization != organization || k.UserID != user.ID && !s.ListsAll {
			continue
		}
		status := "enabled"
		if k.Disabled {
			status = "disabled"
		}
		items = append(items, listed{
			KeyUUID: k.UUID, UserID: k.UserID, AccessKeyID: k.AccessKeyID, Status: status,
			CreatedAt: k.CreatedAt.Format(time.RFC3339), Alias: k.Alias, ExpireAt: shown(k.ExpireAt),
		})
	}
	write(w, http.StatusOK, map[string]any{"items": items})
}

// shown is an expiry as the API shows it.
func shown(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Format(time.RFC3339)
}

func (s *Simulator) create(w http.ResponseWriter, r *http.Request, user User, organization string, body []byte) {
	var asked struct {
		Alias    string `json:"alias"`
		ExpireAt string `json:"expire_at"`
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/json" || decoder.Decode(&asked) != nil || decoder.More() {
		s.fail(w, http.StatusBadRequest, "bad_request")
		return
	}
	var expireAt time.Time
	if asked.ExpireAt != "" {
		var err error
		if expireAt, err = time.Parse(time.RFC3339, asked.ExpireAt); err != nil {
			s.fail(w, http.StatusBadRequest, "bad_request")
			return
		}
	}
	key, err := s.make(r.Context(), user.ID, organization, asked.Alias, expireAt)
	switch {
	case errors.Is(err, errFull):
		s.fail(w, http.StatusBadRequest, "bad_request")
		return
	case err != nil:
		s.fail(w, http.StatusInternalServerError, "internal_error")
		return
	}
	answer := map[string]string{"access_key_id": key.AccessKeyID, "secret_key": key.SecretKey}
	if !s.WithoutExpiry {
		answer["expire_at"] = shown(key.ExpireAt)
	}
	write(w, http.StatusOK, answer)
}

// delete deletes a key by its access key ID. The key's UUID does not identify it here.
func (s *Simulator) delete(ctx context.Context, w http.ResponseWriter, user User, organization, id string) {
	i := slices.IndexFunc(s.keys, func(k *Key) bool {
		return k.AccessKeyID == id && k.UserID == user.ID && k.Organization == organization
	})
	if i < 0 {
		s.fail(w, http.StatusNotFound, "not_found")
		return
	}
	if err := s.remove(ctx, s.keys[i]); err != nil {
		s.fail(w, http.StatusInternalServerError, "internal_error")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// fail answers with an error. In the older body the code is the status and the
// message the word (the examples of swagger/v1/swagger.json); of the newer one,
// ErrorBody, only the fields are documented.
func (s *Simulator) fail(w http.ResponseWriter, status int, word string) {
	if !s.NewErrors {
		write(w, status, map[string]string{"code": strconv.Itoa(status), "message": word})
		return
	}
	write(w, status, map[string]string{
		"code": word, "error_id": uuid(), "message": "rpc code = Unknown desc = " + conformance.RawText, "reason": "",
	})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}
