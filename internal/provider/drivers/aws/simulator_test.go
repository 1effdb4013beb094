package aws

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	goodKey, goodSecret = "AKIDMINTER", "CANARY-minting-secret"
	accountNumber       = "123456789012"
)

// simulator answers the IAM actions that the driver uses as AWS does for a minting
// credential with the shipped policy: it denies requests for unknown names, and lists
// users without their tags. It does not check signatures.
type simulator struct {
	*httptest.Server

	// fault, if set, may answer a request instead, before or after its effect.
	fault func(action string, effect func()) *answer
	// withoutSTS disables GetCallerIdentity.
	withoutSTS bool

	mu       sync.Mutex
	skew     time.Duration // how far its clock is off
	users    []*user
	made     int
	requests []string          // the actions asked for
	created  url.Values        // the parameters of the last CreateUser
	session  map[string]string // the last session token of each action
}

type user struct {
	name, path, expires string
	policies            []string
	keys                []string
	inactive            bool // its keys are
}

type answer struct {
	status int
	body   string
}

func newSimulator(t *testing.T) *simulator {
	s := &simulator{session: map[string]string{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *simulator) config() provider.Config {
	return provider.Config{
		Settings: Settings{IAMEndpoint: s.URL, S3Endpoint: "https://s3.example.com", Region: "eu-central-1"},
		Credentials: map[string]provider.Value{
			KeyID: provider.NewValue(goodKey), KeySecret: provider.NewValue(goodSecret),
		},
		HTTP: s.Client(), Cluster: "cccccccc",
	}
}

// count returns how often an action was called.
func (s *simulator) count(action string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.requests {
		if r == action {
			n++
		}
	}
	return n
}

// sessions returns the last session token of each action.
func (s *simulator) sessions() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.session)
}

// has reports whether a key exists.
func (s *simulator) has(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.users, func(u *user) bool { return !u.inactive && slices.Contains(u.keys, key) })
}

// outside lists changes that another client can make to a user.
func (s *simulator) outside() conformance.Outside {
	return conformance.Outside{
		Delete: func(name string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.users = slices.DeleteFunc(s.users, func(u *user) bool { return u.name == name })
		},
		Make: func(t *testing.T) string {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.users = append(s.users, &user{name: "alice", path: "/apitoken/cccccccc/ml/", keys: []string{"AKIDALICE"}})
			t.Cleanup(func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.users = slices.DeleteFunc(s.users, func(u *user) bool { return u.name == "alice" })
			})
			return "AKIDALICE"
		},
		State: func(id string) string {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, u := range s.users {
				if slices.Contains(u.keys, id) {
					return fmt.Sprintf("%+v", *u)
				}
			}
			return ""
		},
	}
}

// states lists changes that another client can make to the keys of a user (UpdateAccessKey).
func (s *simulator) states() conformance.States {
	switched := func(off bool) func(string) {
		return func(name string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, u := range s.users {
				if u.name == name {
					u.inactive = off
				}
			}
		}
	}
	return conformance.States{
		Disable: switched(true), Enable: switched(false),
		NeverEnded: "a deleted access key is no longer listed, and a user stays what can get a key again",
	}
}

func (s *simulator) setSkew(d time.Duration) (restore func()) {
	set := func(d time.Duration) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.skew = d
	}
	set(d)
	return func() { set(0) }
}

// maxSkew is the highest age of a signature (IAM user guide, "Elements of an AWS API request
// signature").
const maxSkew = 5 * time.Minute

// ServeHTTP implements http.Handler.
func (s *simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := r.ParseForm(); err != nil {
		http.Error(w, "no form", http.StatusBadRequest)
		return
	}
	action := r.Form.Get("Action")
	s.requests = append(s.requests, action)
	s.session[action] = r.Header.Get("X-Amz-Security-Token")
	var out answer
	effect := func() { out = s.answer(action, r.Form, r.Header.Get("Authorization")) }
	if s.fault != nil {
		if instead := s.fault(action, effect); instead != nil {
			w.WriteHeader(instead.status)
			_, _ = w.Write([]byte(instead.body))
			return
		}
	}
	effect()
	w.WriteHeader(out.status)
	_, _ = w.Write([]byte(out.body))
}

func failed(status int, code string) answer {
	return answer{status: status, body: fmt.Sprintf(
		`<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>r</RequestId></ErrorResponse>`,
		code, rawText)}
}

func result(action, inner string) answer {
	return answer{status: http.StatusOK, body: fmt.Sprintf("<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>", action, inner)}
}

func escape(s string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(s))
	return out.String()
}

func (u *user) xml(tags bool) string {
	out := fmt.Sprintf("<UserName>%s</UserName><Path>%s</Path><UserId>AIDA</UserId><Arn>arn:aws:iam::%s:user%s%s</Arn><CreateDate>%s</CreateDate>",
		escape(u.name), escape(u.path), accountNumber, escape(u.path), escape(u.name), start.Format(time.RFC3339))
	if tags {
		out += fmt.Sprintf("<Tags><member><Key>%s</Key><Value>%s</Value></member></Tags>", tagExpires, escape(u.expires))
	}
	return out
}

// answer carries out one action. The lock is held.
func (s *simulator) answer(action string, form url.Values, authorization string) answer {
	if !strings.Contains(authorization, "Credential="+goodKey+"/") {
		return failed(http.StatusForbidden, "InvalidClientTokenId")
	}
	if s.skew.Abs() > maxSkew {
		return failed(http.StatusForbidden, "SignatureDoesNotMatch")
	}
	switch action {
	case "GetCallerIdentity":
		if s.withoutSTS {
			return failed(http.StatusBadRequest, "InvalidAction")
		}
		return result(action, "<Account>"+accountNumber+"</Account>")
	case "ListUsers":
		return s.list(form)
	case "CreateUser":
		return s.create(form)
	case "GetAccessKeyLastUsed":
		for _, u := range s.users {
			if slices.Contains(u.keys, form.Get("AccessKeyId")) {
				return result(action, "<UserName>"+u.name+"</UserName>")
			}
		}
		return failed(http.StatusForbidden, "AccessDenied")
	case "GetUser":
		if form.Get("UserName") == "" {
			return result(action, "<User>"+(&user{name: "minter", path: "/"}).xml(false)+"</User>")
		}
	}
	for _, u := range s.users {
		if u.name == form.Get("UserName") {
			return s.ofUser(action, form, u)
		}
	}
	return failed(http.StatusForbidden, "AccessDenied")
}

func (s *simulator) create(form url.Values) answer {
	name := form.Get("UserName")
	if slices.ContainsFunc(s.users, func(u *user) bool { return u.name == name }) {
		return failed(http.StatusConflict, "EntityAlreadyExists")
	}
	u := &user{name: name, path: form.Get("Path")}
	for i := 1; form.Has(fmt.Sprintf("Tags.member.%d.Key", i)); i++ {
		if form.Get(fmt.Sprintf("Tags.member.%d.Key", i)) == tagExpires {
			u.expires = form.Get(fmt.Sprintf("Tags.member.%d.Value", i))
		}
	}
	s.users, s.created = append(s.users, u), form
	return result("CreateUser", "<User>"+u.xml(true)+"</User>")
}

// list returns two users a page; the marker is the number of the next one.
func (s *simulator) list(form url.Values) answer {
	const page = 2
	var first int
	if _, err := fmt.Sscanf(form.Get("Marker"), "%d", &first); form.Has("Marker") && err != nil {
		return failed(http.StatusBadRequest, "ValidationError")
	}
	members, matching := "", 0
	for _, u := range s.users {
		if !strings.HasPrefix(u.path, form.Get("PathPrefix")) {
			continue
		}
		if matching >= first && matching < first+page {
			members += "<member>" + u.xml(false) + "</member>"
		}
		matching++
	}
	more := ""
	if matching > first+page {
		more = fmt.Sprintf("<IsTruncated>true</IsTruncated><Marker>%d</Marker>", first+page)
	}
	return result("ListUsers", "<Users>"+members+"</Users>"+more)
}

func (s *simulator) ofUser(action string, form url.Values, u *user) answer {
	switch action {
	case "GetUser":
		return result(action, "<User>"+u.xml(true)+"</User>")
	case "PutUserPolicy":
		u.policies = append(u.policies, form.Get("PolicyName"))
	case "ListUserPolicies":
		members := ""
		for _, policy := range u.policies {
			members += "<member>" + policy + "</member>"
		}
		return result(action, "<PolicyNames>"+members+"</PolicyNames>")
	case "DeleteUserPolicy":
		u.policies = slices.DeleteFunc(u.policies, func(p string) bool { return p == form.Get("PolicyName") })
	case "CreateAccessKey":
		s.made++
		key := fmt.Sprintf("AKID%012d", s.made)
		u.keys = append(u.keys, key)
		return result(action, "<AccessKey><UserName>"+u.name+"</UserName><AccessKeyId>"+key+"</AccessKeyId><Status>Active</Status><SecretAccessKey>secret-of-"+key+"</SecretAccessKey></AccessKey>")
	case "ListAccessKeys":
		members, status := "", "Active"
		if u.inactive {
			status = "Inactive"
		}
		for _, key := range u.keys {
			members += "<member><AccessKeyId>" + key + "</AccessKeyId><Status>" + status + "</Status></member>"
		}
		return result(action, "<AccessKeyMetadata>"+members+"</AccessKeyMetadata>")
	case "DeleteAccessKey":
		u.keys = slices.DeleteFunc(u.keys, func(k string) bool { return k == form.Get("AccessKeyId") })
	case "DeleteUser":
		if len(u.keys)+len(u.policies) > 0 {
			return failed(http.StatusConflict, "DeleteConflict")
		}
		s.users = slices.DeleteFunc(s.users, func(other *user) bool { return other == u })
	default:
		return failed(http.StatusBadRequest, "InvalidAction")
	}
	return result(action, "")
}
