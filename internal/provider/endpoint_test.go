package provider

import (
	"net/url"
	"strings"
	"testing"
)

// endpointCases are URLs and whether they can be the endpoint of a server.
var endpointCases = map[string]bool{
	"https://api.example.com":             true,
	"http://api.example.com":              true,
	"https://api.example.com/":            true,
	"https://api.example.com//":           true,
	"https://api.example.com/v1/":         true,
	"https://api.example.com:1":           true,
	"https://api.example.com:65535/v1":    true,
	"https://203.0.113.7:9000":            true,
	"https://[2001:db8::7]:9000/v1":       true,
	"https://[2001:db8::7]":               true,
	"":                                    false,
	":":                                   false,
	"api.example.com":                     false,
	"api.example.com:443":                 false,
	"//api.example.com":                   false,
	"ftp://api.example.com":               false,
	"https:api.example.com":               false,
	"https://":                            false,
	"https:///v1":                         false,
	"https://:9000":                       false,
	"https://:9000/v1":                    false,
	"https://api.example.com:":            false,
	"https://api.example.com:0":           false,
	"https://api.example.com:65536":       false,
	"https://api.example.com:99999/v1":    false,
	"https://api.example.com:4294967739":  false, // 443 in 32 bits
	"https://api.example.com:https":       false,
	"https://[2001:db8::7":                false,
	"https://user@api.example.com":        false,
	"https://user:CANARY@api.example.com": false,
	"https://api.example.com?a=b":         false,
	"https://api.example.com?":            false,
	"https://api.example.com#a":           false,
	"https://api example.com":             false,
}

func TestEndpointsAreCheckedInOnePlace(t *testing.T) {
	for value, good := range endpointCases {
		u, err := Endpoint("spec.x.endpoint", value)
		if (err == nil) != good {
			t.Errorf("%q: %v", value, err)
		}
		switch {
		case good && (strings.HasSuffix(u.String(), "/") || HostPort(u.String()) == ""):
			t.Errorf("%q becomes %q", value, u)
		case !good && (!strings.HasPrefix(AsError(err).Message, "spec.x.endpoint ") || AsError(err).Code != CodeInvalid || InDoubt(err) ||
			strings.Contains(err.Error(), "CANARY")):
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestHostsAreChecked(t *testing.T) {
	for value, good := range map[string]bool{"socks5://user:p@proxy:1080": true, "http://proxy": true, "http://:3128": false, "http://proxy:0": false, "http://proxy:70000": false} {
		u, err := url.Parse(value)
		if err != nil {
			t.Fatal(err)
		}
		if why := CheckHost(u); (why == "") != good {
			t.Errorf("%q: %q", value, why)
		}
	}
}

// TestS3EndpointIsPublishedWithoutASlash: some clients append /bucket to it as it is.
func TestS3EndpointIsPublishedWithoutASlash(t *testing.T) {
	for value, want := range map[string]string{
		"https://s3.example.com/": "https://s3.example.com", "https://s3.example.com/a//": "https://s3.example.com/a", "https://s3.example.com": "https://s3.example.com",
	} {
		got := S3Connection(value, "r", nil)
		if got["AWS_ENDPOINT_URL"] != want || got["AWS_ENDPOINT_URL_S3"] != want {
			t.Errorf("%q is published as %v", value, got)
		}
	}
}
