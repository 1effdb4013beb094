package provider

import "testing"

func TestCanonicalURLHasOneSpelling(t *testing.T) {
	for address, want := range map[string]string{
		"https://api.example.com":           "https://api.example.com",
		"https://API.example.com.:443/":     "https://api.example.com",
		"HTTP://api.example.com:80/v1//":    "http://api.example.com/v1",
		"http://api.example.com:443/V1":     "http://api.example.com:443/V1",
		"https://[2001:DB8::1]:8443/a%2Fb/": "https://[2001:db8::1]:8443/a%2Fb",
		"https://[2001:db8::1]":             "https://[2001:db8::1]",
		"api.example.com":                   "",
		"https://":                          "",
		"https://api.example.com:port/":     "",
		"https://user@api.example.com/v1":   "https://api.example.com/v1",
	} {
		if got := CanonicalURL(address); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
}

func TestAccountIsItsFormerIDs(t *testing.T) {
	a := Account{ID: "42", Former: []string{"42@api.example.com"}}
	for recorded, want := range map[string]bool{"": true, "42": true, "42@api.example.com": true, "42@elsewhere.example.com": false, "4": false} {
		if got := a.Is(recorded); got != want {
			t.Errorf("%q: got %v", recorded, got)
		}
	}
}
