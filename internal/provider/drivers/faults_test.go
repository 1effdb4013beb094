package drivers

import (
	"net/url"
	"strings"
	"testing"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/internal/transport"
	"apitoken.dev/operator/test/support/badserver"
)

// connectTo connects a driver to a server as the operator does.
func connectTo(t *testing.T, spec v1alpha1.ProviderSpec, server badserver.Server) error {
	t.Helper()
	all, err := New()
	if err != nil {
		t.Fatal(err)
	}
	driver, settings, err := all.Resolve(registry.Spec{ProviderSpec: &spec})
	if err != nil {
		t.Fatal(err)
	}
	client, err := transport.New(transport.Options{}).Client(transport.Provider{CABundle: server.CABundle, Field: "caBundle"})
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]provider.Value{}
	if named, ok := driver.(provider.CredentialKeyer); ok {
		for _, key := range named.CredentialKeys() {
			values[key] = provider.NewValue("minting0") // also valid base64
		}
	}
	_, _, err = bounded.Driver(driver, bounded.Options{}).Connect(t.Context(), provider.Config{
		Cluster: "cccccccc", Settings: settings, Credentials: values, HTTP: client, UserAgent: "apitoken-operator/test",
	})
	return err
}

// The error has the host, the port and what to do, and no text of the server or of Go.
func TestEveryDriverSaysWhyThereIsNoAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		server func(testing.TB) badserver.Server
		class  provider.FaultClass
		says   string
	}{
		"name not resolved":   {badserver.Unnamed, provider.FaultName, "is not in DNS: correct the host in "},
		"connection refused":  {badserver.Refusing, provider.FaultRefused, "refused the connection"},
		"connection closed":   {badserver.Closing, provider.FaultClosed, "closed the connection"},
		"not HTTP":            {badserver.Mumbling, provider.FaultNoHTTP, "does not speak HTTP"},
		"unknown CA":          {badserver.UntrustedCA, provider.FaultCA, "a CA that the operator does not trust: put that CA into caBundle"},
		"expired certificate": {badserver.Expired, provider.FaultExpired, "from 2001-01-01T00:00:00Z to 2002-01-01T00:00:00Z"},
		"another host":        {badserver.OtherHost, provider.FaultOtherHost, "is for another host"},
		"plain HTTP":          {badserver.Plain, provider.FaultPlain, "speaks plain HTTP"},
		// A TLS server answers plain HTTP, and closes the connection with unread data. If the answer is lost, the class is
		// FaultClosed. In "TLS that answers", the answer always arrives.
		"TLS":                     {badserver.TLS, "", "with https"},
		"TLS that answers":        {answersPlainHTTP, provider.FaultTLS, "speaks TLS, and "},
		"TLS that sends an alert": {badserver.Alerting, provider.FaultTLS, "speaks TLS, and "},
	} {
		server := test.server(t)
		host := hostPort(t, server.URL)
		for driver, declared := range at(t, server.URL) {
			t.Run(name+"/"+driver, func(t *testing.T) {
				t.Parallel()
				err := connectTo(t, declared.spec, server)
				e := provider.AsError(err)
				if e.Code != provider.CodeUnavailable && e.Code != provider.CodeInvalid || !strings.Contains(e.Message, host) || !strings.Contains(e.Message, test.says) {
					t.Errorf("got %v, want %s and %q", err, host, test.says)
				}
				if f := provider.FaultIn(err); f != nil && test.class != "" && f.Class != test.class {
					t.Errorf("the class is %s, want %s", f.Class, test.class)
				}
				if strings.Contains(test.says, "correct the host") && !strings.Contains(e.Message, declared.field) {
					t.Errorf("%q does not name %s", e.Message, declared.field)
				}
				clean(t, e)
			})
		}
	}
}

// answersPlainHTTP answers as Go's server of TLS does when a client sends plain HTTP.
func answersPlainHTTP(t testing.TB) badserver.Server {
	return badserver.Other(t, 400, "text/plain", "Client sent an HTTP request to an HTTPS server.\n")
}

// The cases are a redirect, a web page, and another API. An S3 server redirects a request without a
// signature, so the check of the kloudbean driver accepts a redirect or a 404.
func TestEveryDriverReportsAServerThatIsNotItsAPI(t *testing.T) {
	for name, test := range map[string]struct {
		server func(testing.TB) badserver.Server
		says   []string
		not    string
	}{
		"redirect":   {badserver.Redirecting, []string{"redirects requests (status 307)", "redirects are not followed"}, "kloudbean"},
		"page":       {func(t testing.TB) badserver.Server { return badserver.Page(t, 200) }, []string{"web page (status 200)", "login page"}, ""},
		"firewall":   {func(t testing.TB) badserver.Server { return badserver.Page(t, 403) }, []string{"web page (status 403)", "firewall"}, ""},
		"not found":  {func(t testing.TB) badserver.Server { return badserver.Page(t, 404) }, []string{"web page (status 404)"}, ""},
		"plain text": {func(t testing.TB) badserver.Server { return badserver.Other(t, 404, "text/plain", badserver.Canary) }, []string{"status 404"}, "kloudbean"},
		"other JSON": {func(t testing.TB) badserver.Server {
			return badserver.Other(t, 200, "application/json", `"`+badserver.Canary+`"`)
		}, nil, "kloudbean"},
	} {
		server := test.server(t)
		for driver, declared := range at(t, server.URL) {
			if driver == test.not { // this is an answer of an S3 server
				continue
			}
			t.Run(name+"/"+driver, func(t *testing.T) {
				t.Parallel()
				e := provider.AsError(connectTo(t, declared.spec, server))
				for _, want := range append(test.says, "spec."+driver+".") {
					if !strings.Contains(e.Message, want) {
						t.Errorf("%q does not say %q", e.Message, want)
					}
				}
				clean(t, e)
			})
		}
	}
}

func hostPort(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// clean fails if a message contains text of a server, of its certificate or of Go.
func clean(t *testing.T, e *provider.Error) {
	t.Helper()
	for _, raw := range []string{badserver.Canary, strings.ToLower(badserver.Canary), "x509:", "dial tcp", "tls:", "http:/ ", "EOF", "lookup", "minting0", "malformed", "%!", "%["} {
		if strings.Contains(e.Error(), raw) {
			t.Errorf("the message repeats %q: %s", raw, e)
		}
	}
}
