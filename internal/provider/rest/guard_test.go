package rest

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"apitoken.dev/operator/internal/provider"
)

func TestForbiddenAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"169.254.169.254": true, "169.254.170.23": true, "127.0.0.1": true, "127.8.8.8": true, "0.0.0.0": true,
		"100.100.100.200": true, "168.63.129.16": true, "::1": true, "::": true, "fe80::1": true, "fe80::1%eth0": true,
		"fd00:ec2::254": true, "fd20:ce::254": true, "::ffff:169.254.169.254": true, "::ffff:127.0.0.1": true,
		"64:ff9b::a9fe:a9fe": true, "64:ff9b::cb00:7107": false,
		"203.0.113.7": false, "10.0.0.1": false, "192.168.1.1": false, "100.100.100.201": false, "2001:db8::1": false, "fd00::1": false,
	} {
		if got := forbidden(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: forbidden is %t, want %t", address, got, want)
		}
	}
}

// TestNamespacedProvidersReachNoNode sends to a server on the loopback: refused
// before anything is sent, by the dialer and, with a client of the caller's, by name.
func TestNamespacedProvidersReachNoNode(t *testing.T) {
	reached := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached = true
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"keys":[]}`))
	}))
	t.Cleanup(server.Close)
	named := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	for _, url := range []string{server.URL, named} {
		for name, client := range map[string]*http.Client{"its own client": nil, "a client that was given": server.Client()} {
			t.Run(url+" "+name, func(t *testing.T) {
				reached = false
				s := valid()
				s.BaseURL, s.Namespaced = url, true
				cfg := provider.Config{Settings: s, Credentials: map[string]provider.Value{"token": provider.NewValue("t")}, HTTP: client}
				_, _, err := New().Connect(t.Context(), cfg)
				e := provider.AsError(err)
				if e.Code != provider.CodeInvalid || !e.NotExecuted || !strings.Contains(e.Message, "spec.rest.baseURL") || reached {
					t.Errorf("got %v, reached %t", err, reached)
				}
				s.Namespaced = false
				cfg.Settings = s
				if _, _, err := New().Connect(t.Context(), cfg); err != nil || !reached {
					t.Errorf("of the cluster: got %v, reached %t", err, reached)
				}
			})
		}
	}
}

// valid is a small declaration that compiles.
func valid() Settings {
	return Settings{
		BaseURL:    "https://api.example.com",
		Headers:    []Header{{Name: "Authorization", Value: "Bearer {{ .credentials.token }}"}},
		Credential: Credential{ID: "item.id", Name: "item.name"},
		Mint: Mint{
			Request: Request{Path: "/keys", Body: `{"name": {{ .name }}, "permissions": {{ .permissions }}}`},
			Secret:  map[string]string{"token": "item.token"},
		},
		List:   List{Request: Request{Path: "/keys"}, Items: "body.keys"},
		Revoke: Request{Path: "/keys/{{ .id }}"},
	}
}
