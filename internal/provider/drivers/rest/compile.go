package rest

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// program is a vendor's API, checked and compiled. It is immutable.
type program struct {
	settings Settings
	headers  []header
	// keys of the credentials Secret that the templates name, sorted.
	keys []string

	mint, list, revoke                      *call
	account, get, update, probe             *call
	accountID, permissions                  *expression
	mintItem, getItem, items, next, applied *expression
	id, name, live, disabled                *expression
	createdAt, expiresAt                    *expression
	secret                                  map[string]*expression
	word, inDoubt                           *expression
}

// call is one request as templates.
type call struct {
	field, method string
	path, body    *text
	query         map[string]*text
	headers       []header
	statuses      []int
	// reads are the fields that its templates read.
	reads map[string]bool
}

type header struct {
	name  string
	value *text
}

// compile checks and compiles the settings. An error names the wrong field.
func compile(s Settings) (*program, error) {
	c := &compiler{keys: map[string]bool{}}
	p := &program{settings: s, headers: c.headers("spec.rest.headers", s.Headers, selfFields)}
	p.mint = c.call("spec.rest.mint", http.MethodPost, &s.Mint.RestRequest, mintFields)
	p.list = c.call("spec.rest.list", http.MethodGet, &s.List.RestRequest, listingField)
	p.revoke = c.call("spec.rest.revoke", http.MethodDelete, &s.Revoke, refFields)
	p.expressions(c)
	p.optional(c)
	if c.err == nil {
		c.err = p.connection()
	}
	p.keys = slices.Sorted(maps.Keys(c.keys))
	if c.err == nil {
		c.err = p.check()
	}
	if c.err != nil {
		return nil, c.err
	}
	return p, nil
}

func (p *program) expressions(c *compiler) {
	s := p.settings
	answer, item := []string{varBody, varStatus, varHeaders}, []string{varItem}
	p.mintItem = c.expression("spec.rest.mint.item", cmp.Or(s.Mint.Item, varBody), answer, nil)
	p.secret = map[string]*expression{}
	for _, key := range slices.Sorted(maps.Keys(s.Mint.Secret)) {
		p.secret[key] = c.expression("spec.rest.mint.secret["+key+"]", s.Mint.Secret[key], item, words)
	}
	p.items = c.expression("spec.rest.list.items", s.List.Items, answer, lists)
	p.next = c.expression("spec.rest.list.next", s.List.Next, append(slices.Clone(answer), varPage), pages)
	p.id = c.expression("spec.rest.credential.id", s.Credential.ID, item, words)
	p.name = c.expression("spec.rest.credential.name", s.Credential.Name, item, words)
	p.live = c.expression("spec.rest.credential.live", s.Credential.Live, item, booleans)
	p.disabled = c.expression("spec.rest.credential.disabled", s.Credential.Disabled, item, booleans)
	p.createdAt = c.expression("spec.rest.credential.createdAt", s.Credential.CreatedAt, item, times)
	p.expiresAt = c.expression("spec.rest.credential.expiresAt", s.Credential.ExpiresAt, item, times)
	p.word = c.expression("spec.rest.error.word", s.Error.Word, answer, words)
	p.inDoubt = c.expression("spec.rest.error.inDoubt", s.Error.InDoubt, answer, booleans)
}

func (p *program) optional(c *compiler) {
	s := p.settings
	answer := []string{varBody, varStatus, varHeaders}
	if s.Account != nil {
		p.account = c.call("spec.rest.account", http.MethodGet, &s.Account.RestRequest, selfFields)
		p.accountID = c.expression("spec.rest.account.id", s.Account.ID, answer, words)
		p.permissions = c.expression("spec.rest.account.permissions", s.Account.Permissions, answer, lists)
	}
	if s.Get != nil {
		p.get = c.call("spec.rest.get", http.MethodGet, &s.Get.RestRequest, refFields)
		p.getItem = c.expression("spec.rest.get.item", cmp.Or(s.Get.Item, varBody), answer, nil)
	}
	if s.Update != nil {
		p.update = c.call("spec.rest.update", http.MethodPut, &s.Update.RestRequest, updateFields)
		p.applied = c.expression("spec.rest.update.applied", s.Update.Applied, []string{varItem, varWant}, booleans)
	}
	if s.Probe != nil {
		p.probe = c.call("spec.rest.probe", http.MethodGet, &s.Probe.RestRequest, probeFields)
	}
}

// connection checks the templates of the connection keys; Connection renders them for each
// Secret.
func (p *program) connection() error {
	if _, err := parseAll("spec.rest.connection", p.settings.Connection, asText, grantFields); err != nil {
		return err
	}
	for key := range p.settings.Connection {
		if _, taken := p.settings.Mint.Secret[key]; taken {
			return provider.Invalid("spec.rest.connection[" + key + "]: mint.secret has a key of that name; choose another")
		}
	}
	return nil
}

// compiler collects the first error, and the keys of the credentials Secret.
type compiler struct {
	err  error
	keys map[string]bool
}

func (c *compiler) expression(field string, source v1alpha1.RestExpression, variables []string, want []*cel.Type) *expression {
	if c.err != nil {
		return nil
	}
	e, err := compileExpression(field, string(source), variables, want)
	c.err = err
	return e
}

func (c *compiler) template(field, source string, k kind, fields []string) *text {
	if c.err != nil {
		return nil
	}
	t, err := parseTemplate(field, source, k, fields)
	if err != nil {
		c.err = err
		return nil
	}
	for key := range t.credentials {
		c.keys[key] = true
	}
	return t
}

var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

func (c *compiler) call(field, usual string, r *v1alpha1.RestRequest, fields []string) *call {
	out := &call{field: field, method: cmp.Or(r.Method, usual), statuses: statuses(r.SuccessStatuses), query: map[string]*text{}, reads: map[string]bool{}}
	if c.err == nil {
		c.err = wrongRequest(field, out.method, r)
	}
	if c.err != nil {
		return nil
	}
	out.path = c.template(field+".path", string(r.Path), asPath, fields)
	if r.Body != "" {
		out.body = c.template(field+".body", r.Body, asJSON, fields)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Query)) {
		out.query[name] = c.template(field+".query["+name+"]", string(r.Query[name]), asText, fields)
	}
	out.headers = c.headers(field+".headers", r.Headers, fields)
	if c.err != nil {
		return nil
	}
	out.note(out.path, out.body)
	for _, t := range out.query {
		out.note(t)
	}
	for _, h := range out.headers {
		out.note(h.value)
	}
	return out
}

func wrongRequest(field, method string, r *v1alpha1.RestRequest) error {
	switch {
	case !slices.Contains(methods, method):
		return provider.Invalid(fmt.Sprintf("%s.method: %q is not one of %s", field, method, strings.Join(methods, ", ")))
	case !strings.HasPrefix(string(r.Path), "/") || strings.ContainsAny(string(r.Path), "?#"):
		return provider.Invalid(fmt.Sprintf("%s.path: %q must begin with / and must not contain ? or #; write parameters into query", field, r.Path))
	case r.Body != "" && method == http.MethodGet:
		return provider.Invalid(field + ".body: a GET has no body; remove it, or choose another method")
	case slices.ContainsFunc(r.SuccessStatuses, func(status int32) bool { return status < 200 || status > 299 }):
		return provider.Invalid(field + ".successStatuses: a status of success is one of 200 to 299")
	}
	return nil
}

// note records the fields and keys that templates read.
func (c *call) note(templates ...*text) {
	for _, t := range templates {
		if t != nil {
			maps.Copy(c.reads, t.reads)
		}
	}
}

// headerName is the name of a header (RFC 9110, section 5.1, without its rarer characters).
var headerName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Headers that belong to the connection, or to the way a body is written (RFC
// 9110, section 7.6.1; RFC 9112): a template must not set them.
var forbiddenHeaders = []string{
	"Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Expect", "Host", "Keep-Alive",
	"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

func (c *compiler) headers(field string, list []v1alpha1.RestHeader, fields []string) []header {
	var out []header
	for i, h := range list {
		at, name := fmt.Sprintf("%s[%d]", field, i), string(h.Name)
		if c.err == nil && (!headerName.MatchString(name) || slices.Contains(forbiddenHeaders, http.CanonicalHeaderKey(name))) {
			c.err = provider.Invalid(fmt.Sprintf("%s.name: %q cannot be set; the HTTP client sets what belongs to the connection", at, name))
		}
		out = append(out, header{name: name, value: c.template(at+".value", string(h.Value), asText, fields)})
	}
	return out
}
