package kloudbeansim_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/simulate/kloudbeansim"
)

const bucket = "datasets"

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newSimulator() *kloudbeansim.Simulator {
	return kloudbeansim.New(func() time.Time { return now }, bucket, "other")
}

// sender signs requests with one key, as an SDK does.
type sender struct {
	url string
	key aws.Credentials
	// at is when the requests are said to be signed.
	at time.Time
	// change, if set, changes a request after it was signed.
	change func(*http.Request)
}

func serve(t *testing.T, form kloudbeansim.Form) (*kloudbeansim.Simulator, sender) {
	t.Helper()
	s := newSimulator()
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	form.TokenName, form.Bucket = "test", bucket
	made, err := s.AddToken(t.Context(), form)
	if err != nil {
		t.Fatal(err)
	}
	key := aws.Credentials{AccessKeyID: made.AccessKeyID, SecretAccessKey: made.SecretAccessKey.Reveal()}
	return s, sender{url: server.URL, key: key, at: now}
}

// send returns the status and, for an error, its code; otherwise the body.
func (s sender) send(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	digest := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", digest)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(t.Context(), s.key, req, digest, "s3", "eu-1", s.at); err != nil {
		t.Fatal(err)
	}
	if s.change != nil {
		s.change(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var failed struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
	}
	if resp.StatusCode >= 400 && len(answer) > 0 {
		if err := xml.Unmarshal(answer, &failed); err != nil {
			t.Fatalf("%v in %s", err, answer)
		}
		return resp.StatusCode, failed.Code
	}
	return resp.StatusCode, string(answer)
}

// TestPermissionsAllowTheirMethodsOnly tries every method with every permission.
func TestPermissionsAllowTheirMethodsOnly(t *testing.T) {
	const denied = "AccessDenied"
	for permission, want := range map[string][]string{
		kloudbeansim.ReadOnly:  {"ok", denied, "NoSuchKey", denied},
		kloudbeansim.WriteOnly: {denied, "ok", denied, denied},
		kloudbeansim.ReadWrite: {"ok", "ok", "content", "ok"},
	} {
		_, key := serve(t, kloudbeansim.Form{Permission: permission})
		var got []string
		for _, r := range []struct{ method, path, body string }{
			{"GET", "/datasets?list-type=2", ""}, {"PUT", "/datasets/a/b%20c", "content"}, {"GET", "/datasets/a/b%20c", ""}, {"DELETE", "/datasets/a/b%20c", ""},
		} {
			status, answer := key.send(t, r.method, r.path, r.body)
			if status < 300 && answer != "content" {
				answer = "ok"
			}
			got = append(got, answer)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", permission, diff)
		}
	}
}

// TestInvalidRequestsAreRejected is what a request can have wrong.
func TestInvalidRequestsAreRejected(t *testing.T) {
	cases := map[string]struct {
		method, path, body string
		change             func(*sender)
		code               string
	}{
		"not signed":        {change: func(s *sender) { s.change = func(r *http.Request) { r.Header.Del("Authorization") } }, code: "AccessDenied"},
		"another algorithm": {change: func(s *sender) { s.change = func(r *http.Request) { r.Header.Set("Authorization", "AWS a:b") } }, code: "AuthorizationHeaderMalformed"},
		"another service":   {change: replace("/s3/aws4_request", "/iam/aws4_request"), code: "AuthorizationHeaderMalformed"},
		"another day":       {change: replace("/20260301/", "/20260302/"), code: "AuthorizationHeaderMalformed"},
		"unsigned host":     {change: replace("host;", ""), code: "AuthorizationHeaderMalformed"},
		"another region":    {change: replace("/eu-1/", "/eu-2/"), code: "SignatureDoesNotMatch"},
		"another signature": {change: replace("Signature=", "Signature=0"), code: "SignatureDoesNotMatch"},
		"another path":      {change: func(s *sender) { s.change = func(r *http.Request) { r.URL.Path = "/datasets/other" } }, code: "SignatureDoesNotMatch"},
		"another query":     {change: func(s *sender) { s.change = func(r *http.Request) { r.URL.RawQuery = "list-type=2&prefix=a" } }, code: "SignatureDoesNotMatch"},
		"another method":    {change: func(s *sender) { s.change = func(r *http.Request) { r.Method = "DELETE" } }, code: "SignatureDoesNotMatch"},
		"another secret":    {change: func(s *sender) { s.key.SecretAccessKey += "x" }, code: "SignatureDoesNotMatch"},
		"unknown key":       {change: func(s *sender) { s.key.AccessKeyID = "KB404" }, code: "InvalidAccessKeyId"},
		"too early":         {change: func(s *sender) { s.at = now.Add(-16 * time.Minute) }, code: "RequestTimeTooSkewed"},
		"too late":          {change: func(s *sender) { s.at = now.Add(16 * time.Minute) }, code: "RequestTimeTooSkewed"},
		"another body": {method: "PUT", path: "/datasets/a", body: "content", change: func(s *sender) {
			s.change = func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("CONTENT")) }
		}, code: "XAmzContentSHA256Mismatch"},
		"all buckets":            {path: "/", code: "AccessDenied"},
		"another bucket":         {path: "/other?list-type=2", code: "AccessDenied"},
		"no bucket":              {path: "/missing?list-type=2", code: "NoSuchBucket"},
		"list of version 1":      {path: "/datasets", code: "NotImplemented"},
		"subresource of buckets": {path: "/datasets?acl=", code: "NotImplemented"},
		"subresource of objects": {path: "/datasets/a?acl=", code: "NotImplemented"},
		"no number":              {path: "/datasets?list-type=2&max-keys=many", code: "InvalidArgument"},
		"new bucket":             {method: "PUT", path: "/datasets", code: "MethodNotAllowed"},
		"post":                   {method: "POST", path: "/datasets/a", code: "MethodNotAllowed"},
		"too large":              {method: "PUT", path: "/datasets/a", body: strings.Repeat("x", 1<<20+1), code: "EntityTooLarge"},
		"no object":              {path: "/datasets/a", code: "NoSuchKey"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, key := serve(t, kloudbeansim.Form{Permission: kloudbeansim.ReadWrite})
			if tc.method == "" {
				tc.method = http.MethodGet
			}
			if tc.path == "" {
				tc.path = "/datasets?list-type=2"
			}
			if tc.change != nil {
				tc.change(&key)
			}
			if status, code := key.send(t, tc.method, tc.path, tc.body); status < 400 || code != tc.code {
				t.Errorf("got %d %s, want %s", status, code, tc.code)
			}
			if got := s.Objects(bucket); len(got) != 0 {
				t.Errorf("it had an effect: %q", got)
			}
		})
	}
}

// replace changes the Authorization header after it was made.
func replace(from, to string) func(*sender) {
	return func(s *sender) {
		s.change = func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), from, to, 1))
		}
	}
}

func TestAddressRestrictionsAreEnforced(t *testing.T) {
	const here, around, elsewhere = "127.0.0.1", "127.0.0.0/8", "192.0.2.1"
	for name, tc := range map[string]struct {
		allowed, disallowed []string
		want                bool
	}{
		"any":                    {want: true},
		"allowed":                {allowed: []string{elsewhere, here}, want: true},
		"in an allowed range":    {allowed: []string{around}, want: true},
		"not allowed":            {allowed: []string{elsewhere}},
		"disallowed":             {disallowed: []string{here}},
		"in a disallowed range":  {disallowed: []string{around}},
		"allowed and disallowed": {allowed: []string{here}, disallowed: []string{around}},
		"others disallowed":      {disallowed: []string{elsewhere}, want: true},
	} {
		_, key := serve(t, kloudbeansim.Form{Permission: kloudbeansim.ReadOnly, AllowedIPs: tc.allowed, DisallowedIPs: tc.disallowed})
		status, answer := key.send(t, http.MethodGet, "/datasets?list-type=2", "")
		if (status == http.StatusOK) != tc.want || !tc.want && answer != "AccessDenied" {
			t.Errorf("%s: got %d %s, want access %t", name, status, answer, tc.want)
		}
	}
}

func TestListReturnsPrefixesAndPages(t *testing.T) {
	_, key := serve(t, kloudbeansim.Form{Permission: kloudbeansim.ReadWrite})
	for _, object := range []string{"a", "b/1", "b/2"} {
		key.send(t, http.MethodPut, "/datasets/"+object, "x")
	}
	type result struct {
		Name        string
		KeyCount    int
		IsTruncated bool
		Contents    []struct{ Key string }
	}
	for query, want := range map[string]result{
		"":             {Name: bucket, KeyCount: 3, Contents: []struct{ Key string }{{"a"}, {"b/1"}, {"b/2"}}},
		"&prefix=b%2F": {Name: bucket, KeyCount: 2, Contents: []struct{ Key string }{{"b/1"}, {"b/2"}}},
		"&max-keys=1":  {Name: bucket, KeyCount: 1, IsTruncated: true, Contents: []struct{ Key string }{{"a"}}},
	} {
		_, answer := key.send(t, http.MethodGet, "/datasets?list-type=2"+query, "")
		var got result
		if err := xml.Unmarshal([]byte(answer), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
	if status, body := key.send(t, http.MethodHead, "/datasets/a", ""); status != http.StatusOK || body != "" {
		t.Errorf("HEAD: got %d %q", status, body)
	}
}

// TestClockIsShifted: the switches shift the clock that requests are judged by.
func TestClockIsShifted(t *testing.T) {
	s, key := serve(t, kloudbeansim.Form{Permission: kloudbeansim.ReadOnly})
	restore := s.Faults().Skew(time.Hour)
	_, code := key.send(t, http.MethodGet, "/datasets?list-type=2", "")
	restore()
	if code != "RequestTimeTooSkewed" {
		t.Errorf("an hour ahead: got %s", code)
	}
	if status, code := key.send(t, http.MethodGet, "/datasets?list-type=2", ""); status != http.StatusOK {
		t.Errorf("afterwards: got %d %s", status, code)
	}
}

func TestErrorsHoldRawText(t *testing.T) {
	s, _ := serve(t, kloudbeansim.Form{Permission: kloudbeansim.ReadOnly})
	recorder := httptest.NewRecorder()
	s.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	if !strings.Contains(recorder.Body.String(), conformance.RawText) {
		t.Errorf("no raw text in %s", recorder.Body)
	}
}
