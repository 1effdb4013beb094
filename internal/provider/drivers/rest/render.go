package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"apitoken.dev/operator/internal/provider"
)

// Rendered is a request as it would be sent, with credentials left out.
type Rendered struct {
	// What it is for: the name of its block, such as mint.
	What string
	// Method and URL of the request.
	Method, URL string
	// Headers, each as "Name: value", sorted by name.
	Headers []string
	// Body is indented JSON; empty: none.
	Body string
}

// placeholderID replaces the identifier that a vendor would assign.
const placeholderID = "ID-OF-THE-CREDENTIAL"

// Sample is a request for what the settings can grant.
func Sample(s Settings) provider.MintRequest {
	all := samples(s)
	return all[len(all)-1]
}

// Render checks the settings and returns every request of the life of a credential. It sends
// nothing. An error is a *provider.Error, or a *provider.Refusal if the settings cannot grant
// what is declared.
func Render(s Settings, req provider.MintRequest) ([]Rendered, error) {
	p, err := compile(s)
	if err != nil {
		return nil, err
	}
	if r := refuse(s, req.Grant); r != nil {
		return nil, r
	}
	messages, err := p.requests(req)
	if err != nil {
		return nil, explained(err)
	}
	out := make([]Rendered, 0, len(messages))
	for _, m := range messages {
		shown, err := m.show(s.BaseURL)
		if err != nil {
			return nil, err
		}
		out = append(out, shown)
	}
	return out, nil
}

// requests renders every request, with placeholders for credentials and identifiers.
func (p *program) requests(req provider.MintRequest) ([]message, error) {
	s := p.settings
	credentials := map[string]string{}
	for _, key := range p.keys {
		credentials[key] = redacted
	}
	secret := map[string]string{}
	for key := range s.Mint.Secret {
		secret[key] = redacted
	}
	ref := provider.Ref{Name: req.Name, ID: placeholderID}
	update, probe := mintData(s, req), grantData(s, req.Grant)
	update[fieldID], probe[fieldSecret] = placeholderID, secret
	var out []message
	for _, one := range []struct {
		call *call
		data map[string]any
	}{
		{p.account, map[string]any{}},
		{p.list, map[string]any{fieldName: req.Name, fieldPage: ""}},
		{p.mint, mintData(s, req)},
		{p.get, refData(ref)},
		{p.update, update},
		{p.revoke, refData(ref)},
		{p.probe, probe},
	} {
		if one.call == nil {
			continue
		}
		common := p.headers
		if one.call == p.probe {
			common = nil
		} else {
			one.data[fieldCredentials] = credentials
		}
		m, err := one.call.render(common, one.data)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// show formats a request for users. Its credentials are placeholders already.
func (m message) show(base string) (Rendered, error) {
	_, what, _ := strings.Cut(m.call.field, "spec.rest.")
	out := Rendered{What: what, Method: m.call.method, URL: strings.TrimSuffix(base, "/") + m.path}
	if len(m.query) > 0 {
		out.URL += "?" + m.query.Encode()
	}
	out.URL = strings.ReplaceAll(out.URL, "%5Bredacted%5D", redacted)
	header := http.Header{"Accept": {"application/json"}}
	if m.body != nil {
		header.Set("Content-Type", "application/json")
		var body bytes.Buffer
		if err := json.Indent(&body, bytes.TrimSpace(m.body), "", "  "); err != nil {
			return Rendered{}, fmt.Errorf("showing the body of %s: %w", m.call.field, err)
		}
		out.Body = body.String()
	}
	for name, values := range m.header {
		header[name] = values
	}
	for name, values := range header {
		out.Headers = append(out.Headers, name+": "+values[0])
	}
	slices.Sort(out.Headers)
	return out, nil
}
