package restsim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"apitoken.dev/operator/test/support/conformance"
)

// GitLab is the part of the GitLab API that project access tokens need
// (docs.gitlab.com/api/project_access_tokens). Revoked tokens are still listed.
type GitLab struct {
	store
	token string
	// Old is a GitLab before 17.2: its list takes no state, and always shows everything.
	Old bool
	// Limit is how many tokens that are not revoked a project can have; 0: any number.
	// GitLab has no limit; the conformance suite needs one.
	Limit int
}

// GitLabProject is the id of the simulator's project.
const GitLabProject = 4215376

// gitLabScopes are some of GitLab's scopes (docs.gitlab.com, "Project access tokens").
var gitLabScopes = []string{"api", "read_api", "read_registry", "write_registry", "read_repository", "write_repository"}

// NewGitLab returns a project that one access token manages.
func NewGitLab(clock func() time.Time, token string) *GitLab {
	return &GitLab{token: token, store: newStore(clock, "", conformance.Answer{
		Status: http.StatusBadRequest, Body: `{"message":"` + conformance.RawText + `"}`,
	})}
}

// ServeHTTP implements http.Handler.
func (s *GitLab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, s.handle) })).ServeHTTP(w, r)
}

// Revoke revokes the tokens of a name, as a user does in the project's settings.
func (s *GitLab) Revoke(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.tokens {
		s.tokens[i].Revoked = s.tokens[i].Revoked || s.tokens[i].Name == name
	}
}

func gitLabError(status int) answer {
	return answer{status, map[string]string{"message": conformance.RawText}}
}

func (s *GitLab) handle(r *http.Request, body []byte) answer {
	if r.Header.Get("PRIVATE-TOKEN") != s.token {
		return gitLabError(http.StatusUnauthorized)
	}
	project := "/api/v4/projects/" + strconv.Itoa(GitLabProject)
	tokens := project + "/access_tokens"
	switch r.Method + " " + r.URL.Path {
	case "GET " + project:
		return answer{http.StatusOK, map[string]any{"id": GitLabProject, "name": "ml"}}
	case "POST " + tokens:
		return s.create(r, body)
	case "GET " + tokens:
		return s.list(r)
	}
	id, one := strings.CutPrefix(r.URL.Path, tokens+"/")
	at := slices.IndexFunc(s.tokens, func(t Token) bool { return t.ID == id })
	switch {
	case !one || at < 0:
		return gitLabError(http.StatusNotFound)
	case r.Method == http.MethodGet:
		return answer{http.StatusOK, gitLabToken(s.tokens[at])}
	case r.Method != http.MethodDelete:
		return gitLabError(http.StatusMethodNotAllowed)
	case s.tokens[at].Revoked:
		return gitLabError(http.StatusBadRequest) // "400 Bad Request or 404 Not Found if not revoked successfully"
	}
	s.tokens[at].Revoked = true
	return answer{status: http.StatusNoContent}
}

func (s *GitLab) create(r *http.Request, body []byte) answer {
	var in struct {
		Name        string   `json:"name"`
		Scopes      []string `json:"scopes"`
		AccessLevel int      `json:"access_level"`
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if r.Header.Get("Content-Type") != "application/json" || dec.Decode(&in) != nil || in.Name == "" || in.AccessLevel == 0 {
		return gitLabError(http.StatusBadRequest)
	}
	unknown := func(scope string) bool { return !slices.Contains(gitLabScopes, scope) }
	if len(in.Scopes) == 0 || slices.ContainsFunc(in.Scopes, unknown) {
		return gitLabError(http.StatusBadRequest)
	}
	revoked := func(t Token) bool { return t.Revoked }
	if s.Limit > 0 && len(slices.DeleteFunc(slices.Clone(s.tokens), revoked)) >= s.Limit {
		return answer{http.StatusBadRequest, map[string]string{"message": conformance.RawText, "error": "limit_reached"}}
	}
	t := s.add(in.Name, in.Scopes, nil)
	made := gitLabToken(t)
	made["token"] = t.Secret
	return answer{http.StatusCreated, made}
}

// gitLabToken is a token as GitLab shows it. A revoked token has active false as well.
func gitLabToken(t Token) map[string]any {
	id, _ := strconv.Atoi(t.ID) // add makes ids of digits only
	return map[string]any{
		"id": id, "name": t.Name, "scopes": t.Permissions, "revoked": t.Revoked, "active": !t.Revoked, "access_level": 30,
		"created_at": t.Created.Format(time.RFC3339), "expires_at": t.Created.AddDate(1, 0, 0).Format(time.DateOnly),
	}
}

func (s *GitLab) list(r *http.Request) answer {
	page, pageOK := number(r, "page", 1, 1<<20)
	size, sizeOK := number(r, "per_page", 20, 100)
	state := r.URL.Query().Get("state")
	if !pageOK || !sizeOK || !known(r, "page", "per_page", "state") || !slices.Contains([]string{"", "active", "inactive"}, state) {
		return gitLabError(http.StatusBadRequest)
	}
	all := slices.DeleteFunc(slices.Clone(s.tokens), func(t Token) bool {
		return !s.Old && (state == "active" && t.Revoked || state == "inactive" && !t.Revoked)
	})
	out, _ := paged(all, page, size)
	list := []any{}
	for _, t := range out {
		list = append(list, gitLabToken(t))
	}
	return answer{http.StatusOK, list}
}
