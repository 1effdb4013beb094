package restsim

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"apitoken.dev/operator/test/support/conformance"
)

// Spaces is the part of the DigitalOcean API that keys of Spaces need
// (github.com/digitalocean/openapi, specification/resources/spaces and account).
type Spaces struct {
	store
	token string
	// Keys is the data plane; nil: in memory only, see Accepts. It receives only deletions that
	// an API request made.
	Keys Keys
	// Limit is how many keys an account can have (docs.digitalocean.com/products/spaces: 200).
	Limit int
}

// Keys is a data plane that gets every key that is created and deleted.
type Keys interface {
	Create(ctx context.Context, key Token) error
	Delete(ctx context.Context, accessKeyID string) error
}

// SpacesTeam is the account of the simulator.
const SpacesTeam = "5df3e3004a17e242b7c20ca6c9fc25b701a47ece"

// NewSpaces returns an account with one API token.
func NewSpaces(clock func() time.Time, token string) *Spaces {
	return &Spaces{token: token, Limit: 200, store: newStore(clock, "DO00", conformance.Answer{
		Status: http.StatusBadRequest, Body: `{"id":"bad_request","message":"` + conformance.RawText + `"}`,
	})}
}

// ServeHTTP implements http.Handler.
func (s *Spaces) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, s.handle) })).ServeHTTP(w, r)
}

// failed is the error of the API (specification/shared/models/error.yml).
func failed(status int, id string) answer {
	return answer{status, map[string]string{"id": id, "message": conformance.RawText, "request_id": "4d9d8375-3c56-4925-a3e7-eb137fed17e9"}}
}

const keysPath = "/v2/spaces/keys"

func (s *Spaces) handle(r *http.Request, body []byte) answer {
	if r.Header.Get("Authorization") != "Bearer "+s.token {
		return failed(http.StatusUnauthorized, "unauthorized")
	}
	if r.URL.Path != keysPath {
		return s.other(r, body)
	}
	switch {
	case r.Method == http.MethodGet:
		return s.list(r)
	case r.Method == http.MethodPost && known(r):
		return s.create(r, body)
	}
	return failed(http.StatusMethodNotAllowed, "method_not_allowed")
}

// other answers requests that are not about the collection of keys.
func (s *Spaces) other(r *http.Request, body []byte) answer {
	key, one := strings.CutPrefix(r.URL.Path, keysPath+"/")
	switch {
	case !known(r) || len(body) > 0:
		return failed(http.StatusBadRequest, "bad_request")
	case r.Method == http.MethodGet && r.URL.Path == "/v2/account":
		return answer{http.StatusOK, map[string]any{"account": map[string]any{
			"uuid": "b6fr89dbf6d9156cace5f3c78dc9851d957381ef", "team": map[string]string{"uuid": SpacesTeam, "name": "My Team"},
		}}}
	case r.Method == http.MethodGet && one:
		return s.get(key)
	case r.Method == http.MethodDelete && one && s.remove(key):
		if s.Keys != nil && s.Keys.Delete(r.Context(), key) != nil {
			return failed(http.StatusInternalServerError, "server_error")
		}
		return answer{status: http.StatusNoContent}
	}
	return failed(http.StatusNotFound, "not_found")
}

type grant struct {
	Bucket     *string `json:"bucket"`
	Permission string  `json:"permission"`
}

func (s *Spaces) create(r *http.Request, body []byte) answer {
	var in struct {
		Name   string  `json:"name"`
		Grants []grant `json:"grants"`
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if r.Header.Get("Content-Type") != "application/json" || dec.Decode(&in) != nil || in.Name == "" {
		return failed(http.StatusBadRequest, "bad_request")
	}
	permissions, buckets, ok := granted(in.Grants)
	if !ok {
		return failed(http.StatusBadRequest, "bad_request")
	}
	if len(s.tokens) >= s.Limit {
		return failed(http.StatusUnprocessableEntity, "limit_reached")
	}
	t := s.add(in.Name, permissions, buckets)
	if s.Keys != nil && s.Keys.Create(r.Context(), t) != nil {
		return failed(http.StatusInternalServerError, "server_error")
	}
	made := shown(t)
	made["secret_key"] = t.Secret
	return answer{http.StatusCreated, map[string]any{"key": made}}
}

// granted parses grants. A grant of full access is for all buckets, and must be the only one.
func granted(grants []grant) (permissions, buckets []string, ok bool) {
	for _, g := range grants {
		all := g.Bucket != nil && *g.Bucket == ""
		if g.Bucket == nil || all != (g.Permission == "fullaccess") || !slices.Contains([]string{"read", "readwrite", "fullaccess"}, g.Permission) {
			return nil, nil, false
		}
		permissions, buckets = append(permissions, g.Permission), append(buckets, *g.Bucket)
	}
	return permissions, buckets, !slices.Contains(permissions, "fullaccess") || len(permissions) == 1
}

func shown(t Token) map[string]any {
	grants := []map[string]string{}
	for i := range t.Buckets {
		grants = append(grants, map[string]string{"bucket": t.Buckets[i], "permission": t.Permissions[i]})
	}
	return map[string]any{"name": t.Name, "access_key": t.ID, "grants": grants, "created_at": t.Created.Format(time.RFC3339)}
}

func (s *Spaces) get(key string) answer {
	at := slices.IndexFunc(s.tokens, func(t Token) bool { return t.ID == key })
	if at < 0 {
		return failed(http.StatusNotFound, "not_found")
	}
	return answer{http.StatusOK, map[string]any{"key": shown(s.tokens[at])}}
}

func (s *Spaces) list(r *http.Request) answer {
	page, pageOK := number(r, "page", 1, math.MaxInt32)
	size, sizeOK := number(r, "per_page", 20, 200)
	if !pageOK || !sizeOK || !known(r, "page", "per_page", "name", "bucket", "permission", "sort", "sort_direction") {
		return failed(http.StatusBadRequest, "bad_request")
	}
	all := slices.Clone(s.tokens)
	if name := r.URL.Query().Get("name"); name != "" {
		all = slices.DeleteFunc(all, func(t Token) bool { return t.Name != name })
	}
	out, more := paged(all, page, size)
	keys := []any{}
	for _, t := range out {
		keys = append(keys, shown(t))
	}
	links := map[string]any{}
	if more {
		links["pages"] = map[string]string{"next": "https://api.digitalocean.com" + keysPath + "?page=2"}
	}
	return answer{http.StatusOK, map[string]any{"keys": keys, "links": links, "meta": map[string]int{"total": len(all)}}}
}
