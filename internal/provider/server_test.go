package provider

import "testing"

func TestHostPortHasOneSpelling(t *testing.T) {
	for address, want := range map[string]string{
		"https://api.example.com":           "api.example.com:443",
		"https://API.Example.com./v1?a=b":   "api.example.com:443",
		"http://api.example.com/v1":         "api.example.com:80",
		"https://api.example.com:443":       "api.example.com:443",
		"https://user@api.example.com:8443": "api.example.com:8443",
		"https://[2001:DB8::1]/":            "[2001:db8::1]:443",
		"api.example.com":                   "",
		"https://":                          "",
		"://":                               "",
		"":                                  "",
	} {
		if got := HostPort(address); got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
}
