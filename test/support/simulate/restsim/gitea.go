package restsim

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"apitoken.dev/operator/test/support/conformance"
)

// Gitea is the part of the Gitea API that access tokens need
// (github.com/go-gitea/gitea, routers/api/v1/user/app.go).
type Gitea struct {
	store
	user, password string
}

// giteaScopes are some of Gitea's scopes (docs.gitea.com, "Scoped Tokens").
var giteaScopes = []string{
	"all", "read:issue", "write:issue", "read:organization", "write:organization", "read:package", "write:package",
	"read:repository", "write:repository", "read:user", "write:user",
}

// GiteaUserID is the id of the simulator's user.
const GiteaUserID = 7

// NewGitea returns a server with one user.
func NewGitea(clock func() time.Time, user, password string) *Gitea {
	return &Gitea{user: user, password: password, store: newStore(clock, "", conformance.Answer{
		Status: http.StatusForbidden, Body: `{"message":"` + conformance.RawText + `","url":"https://gitea.example.com/api/swagger"}`,
	})}
}

// ServeHTTP implements http.Handler.
func (s *Gitea) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, s.handle) })).ServeHTTP(w, r)
}

func rejected(status int, message string) answer {
	return answer{status, map[string]string{"message": message, "url": "https://gitea.example.com/api/swagger"}}
}

func (s *Gitea) handle(r *http.Request, body []byte) answer {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "token "); ok && r.URL.Path == "/api/v1/user" {
		return s.self(token)
	}
	// Tokens are managed with a password, never with a token.
	if user, password, ok := r.BasicAuth(); !ok || user != s.user || password != s.password {
		return rejected(http.StatusUnauthorized, conformance.RawText)
	}
	tokens := "/api/v1/users/" + s.user + "/tokens"
	id, one := strings.CutPrefix(r.URL.Path, tokens+"/")
	switch r.Method + " " + r.URL.Path {
	case "GET /api/v1/user":
		return answer{http.StatusOK, map[string]any{"id": GiteaUserID, "login": s.user}}
	case "POST " + tokens:
		return s.create(r, body)
	case "GET " + tokens:
		return s.list(r)
	}
	if r.Method == http.MethodDelete && one && s.remove(id) {
		return answer{status: http.StatusNoContent}
	}
	return rejected(http.StatusNotFound, conformance.RawText)
}

// self answers the request for the user of a token.
func (s *Gitea) self(secret string) answer {
	at := slices.IndexFunc(s.tokens, func(t Token) bool { return t.Secret == secret })
	switch {
	case at < 0:
		return rejected(http.StatusUnauthorized, conformance.RawText)
	case !slices.Contains(s.tokens[at].Permissions, "read:user"):
		return rejected(http.StatusForbidden, conformance.RawText)
	}
	return answer{http.StatusOK, map[string]any{"id": GiteaUserID, "login": s.user}}
}

func (s *Gitea) create(r *http.Request, body []byte) answer {
	var in struct {
		Name   string   `json:"name"`
		Scopes []string `json:"scopes"`
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if r.Header.Get("Content-Type") != "application/json" || dec.Decode(&in) != nil || in.Name == "" {
		return rejected(http.StatusUnprocessableEntity, conformance.RawText)
	}
	if slices.ContainsFunc(s.tokens, func(t Token) bool { return t.Name == in.Name }) {
		return rejected(http.StatusBadRequest, "access token name has been used already")
	}
	if len(in.Scopes) == 0 || slices.ContainsFunc(in.Scopes, func(scope string) bool { return !slices.Contains(giteaScopes, scope) }) {
		return rejected(http.StatusBadRequest, "invalid access token scope provided: "+conformance.RawText)
	}
	t := s.add(in.Name, in.Scopes, nil)
	made := giteaToken(t)
	made["sha1"] = t.Secret
	return answer{http.StatusCreated, made}
}

func giteaToken(t Token) map[string]any {
	id, _ := strconv.Atoi(t.ID) // add makes ids of digits only
	return map[string]any{
		"id": id, "name": t.Name, "sha1": "", "token_last_eight": t.Secret[len(t.Secret)-8:], "scopes": t.Permissions,
	}
}

func (s *Gitea) list(r *http.Request) answer {
	page, pageOK := number(r, "page", 1, math.MaxInt32)
	size, sizeOK := number(r, "limit", 30, math.MaxInt32)
	if !pageOK || !sizeOK || !known(r, "page", "limit") {
		return rejected(http.StatusUnprocessableEntity, conformance.RawText)
	}
	// MAX_RESPONSE_ITEMS is 50 by default, and limits every request.
	out, _ := paged(slices.Clone(s.tokens), page, min(size, 50))
	list := []any{}
	for _, t := range out {
		list = append(list, giteaToken(t))
	}
	return answer{http.StatusOK, list}
}
