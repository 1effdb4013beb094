package rest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
)

func grantOfTest() provider.Grant {
	return provider.Grant{
		Scopes: []string{"a:write", "a:read"}, Buckets: []string{"b1", `b"2`}, AllowedIPs: nil,
		ExpiresAt: time.Date(2026, 3, 1, 12, 0, 0, 999, time.FixedZone("east", 3600)),
	}
}

func dataOfTest() map[string]any {
	data := mintData(Settings{}, provider.MintRequest{Name: "n/1", Description: `x","admin":"y`, Grant: grantOfTest()})
	data[fieldCredentials] = map[string]string{"token": "secret", "user": "me"}
	return data
}

// No value can leave its string in JSON or its segment in a path.
func TestTemplatesEscapeTheirValues(t *testing.T) {
	for name, tc := range map[string]struct {
		kind         kind
		source, want string
	}{
		"a JSON value":           {asJSON, `{"d": {{ .description }}}`, `{"d": "x\",\"admin\":\"y"}`},
		"a JSON list":            {asJSON, `{{ .buckets }}`, `["b\"2","b1"]`},
		"an empty JSON list":     {asJSON, `{{ .allowedIPs }}`, `[]`},
		"json twice":             {asJSON, `{{ json .name }}`, `"n/1"`},
		"a segment of a path":    {asPath, `/v1/{{ .name }}`, `/v1/n%2F1`},
		"urlpath twice":          {asPath, `/v1/{{ .name | urlpath }}`, `/v1/n%2F1`},
		"a text":                 {asText, `Bearer {{ .credentials.token }}`, `Bearer secret`},
		"basic authentication":   {asText, `{{ base64 (concat .credentials.user ":" .credentials.token) }}`, `bWU6c2VjcmV0`},
		"an expiry, rounded":     {asJSON, `{{ .expiresAt | rfc3339 }}`, `"2026-03-01T11:00:00Z"`},
		"an expiry as a number":  {asJSON, `{{ unix .expiresAt }}`, `1772362800`},
		"a joined list":          {asText, `{{ join "," .scopes }}`, `a:read,a:write`},
		"if, range, variables":   {asJSON, `{{ if .buckets }}[{{ range $i, $b := .buckets }}{{ if $i }},{{ end }}{{ $b }}{{ end }}]{{ else }}0{{ end }}`, `["b\"2","b1"]`},
		"the element of a range": {asText, `{{ range .scopes }}{{ . }};{{ end }}`, `a:read;a:write;`},
		"two ranges":             {asText, `{{ range $a := .scopes }}{{ range $b := $.scopes }}{{ if eq $a $b }}={{ end }}{{ end }}{{ end }}`, `==`},
		"no expiry is false":     {asText, `{{ if .expiresAt }}yes{{ end }}`, `yes`},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl, err := parseTemplate("spec.rest.mint.body", tc.source, tc.kind, mintFields)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tmpl.render(dataOfTest())
			if err != nil {
				t.Fatal(err)
			}
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// Templates can use only what a request needs.
func TestTemplatesAreSandboxed(t *testing.T) {
	for name, tc := range map[string]struct{ source, says string }{
		"a mistake":                  {`{{ .name `, "is not a template"},
		"a function of files":        {`{{ readFile "/etc/passwd" }}`, "is not a template"},
		"the environment":            {`{{ env "HOME" }}`, "is not a template"},
		"printf, which can be wide":  {`{{ printf "%1000000d" 1 }}`, "there is no function printf"},
		"call":                       {`{{ call .name }}`, "there is no function call"},
		"html":                       {`{{ html .name }}`, "there is no function html"},
		"a field that is not there":  {`{{ .nme }}`, "there is no .nme here; there are .scopes"},
		"a field of a field":         {`{{ .name.x }}`, ".name has no fields"},
		"all credentials":            {`{{ .credentials }}`, "name one key of .credentials"},
		"a range over credentials":   {`{{ range .credentials }}{{ . }}{{ end }}`, "range goes over one of"},
		"a range over a number":      {`{{ range 9999999999 }}{{ end }}`, "range goes over one of"},
		"a range over a length":      {`{{ range len .name }}{{ end }}`, "range goes over one of"},
		"three ranges":               {`{{ range .scopes }}{{ range $.scopes }}{{ range $.scopes }}{{ end }}{{ end }}{{ end }}`, "not deeper"},
		"everything":                 {`{{ . }}`, ". stands for everything"},
		"everything by its variable": {`{{ $ }}`, "$ stands for everything"},
		"a field in a range":         {`{{ range .scopes }}{{ .name }}{{ end }}`, "write $.name"},
		"another template":           {`{{ define "x" }}{{ template "x" }}{{ end }}`, "defines another template"},
		"itself":                     {`{{ template "template" }}`, "is not allowed"},
		"with":                       {`{{ with .name }}{{ end }}`, "is not allowed"},
		"a field of a variable":      {`{{ $x := .name }}{{ $x.y }}`, "$x has no fields"},
		"a chain":                    {`{{ (index .scopes 0).x }}`, "is not allowed"},
		"nothing":                    {`{{ nil }}`, "is not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseTemplate("spec.rest.mint.body", tc.source, asText, mintFields)
			if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "spec.rest.mint.body") {
				t.Errorf("got %v, want an error of the field with %q", err, tc.says)
			}
		})
	}
}

func TestFailedTemplateRepeatsNoValue(t *testing.T) {
	double := strings.Repeat(`{{ $x = json $x }}`, 40)
	for name, tc := range map[string]struct {
		kind         kind
		source, says string
	}{
		"a credential that is missing": {asText, `{{ .credentials.other }}`, "it cannot be filled in"},
		"a value that grows":           {asText, `{{ $x := "\"" }}` + double, "more than 65536 bytes"},
		"a text that grows":            {asText, `{{ $x := "0123456789abcdef" }}{{ range .scopes }}` + strings.Repeat(`{{ $x = concat $x $x }}{{ $x }}`, 8) + `{{ end }}`, "more than 65536 bytes"},
		"one of two":                   {asText, `{{ only .scopes }}`, "this one has 2"},
		"an index too far":             {asText, `{{ index .scopes 7 }}`, "it cannot be filled in"},
		"a time as it is":              {asJSON, `{{ .expiresAt }}`, "rfc3339"},
		"a list in a path":             {asPath, `/{{ .scopes }}`, "cannot be part of a path"},
		"dots in a path":               {asPath, `/{{ concat "." "." }}`, "made of dots"},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl, err := parseTemplate("spec.rest.mint.body", tc.source, tc.kind, mintFields)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tmpl.render(dataOfTest())
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("got %q and %v, want an error with %q", got, err, tc.says)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "a:read") || provider.InDoubt(err) {
				t.Errorf("the error %v repeats a value, or is in doubt", err)
			}
		})
	}
}

func TestNoExpiryIsFalse(t *testing.T) {
	g := grantOfTest()
	g.ExpiresAt = time.Time{}
	for source, want := range map[string]string{`{{ if .expiresAt }}yes{{ else }}no{{ end }}`: "no", `{{ unix .expiresAt }}`: ""} {
		tmpl, err := parseTemplate("f", source, asText, grantFields)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tmpl.render(grantData(Settings{}, g))
		if got != want || (want == "") != (err != nil) {
			t.Errorf("%s: got %q, %v", source, got, err)
		}
	}
}

// compile uses the recorded fields for its checks.
func TestTemplateRecordsTheFieldsItReads(t *testing.T) {
	tmpl, err := parseTemplate("f", `{{ .name }}{{ range $.buckets }}{{ $.credentials.token }}{{ end }}{{ if gt (len .scopes) 1 }}{{ end }}`, asText, mintFields)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]bool{"name": true, "buckets": true, "credentials": true, "scopes": true}, tmpl.reads); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]bool{"token": true}, tmpl.credentials); diff != "" {
		t.Error(diff)
	}
}

// A template without output could otherwise run for minutes.
func TestTemplatesWithTooManyCallsAreRefused(t *testing.T) {
	loop := func(n int) string {
		return "{{ range .buckets }}{{ range $.scopes }}" + strings.Repeat("{{ if concat $.name }}{{ end }}", n) + "{{ end }}{{ end }}{}"
	}
	if _, err := parseTemplate("f", loop(15), asJSON, mintFields); err != nil {
		t.Errorf("a few functions: %v", err)
	}
	if _, err := parseTemplate("f", loop(1000), asJSON, mintFields); err == nil {
		t.Error("ten million calls are admitted")
	}
}
