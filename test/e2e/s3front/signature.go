package s3front

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeFormat = "20060102T150405Z"
	// maxSkew limits the clock skew of a request (Amazon S3 API reference,
	// "Error responses", RequestTimeTooSkewed: 15 minutes).
	maxSkew = 15 * time.Minute

	dateHeader   = "X-Amz-Date"
	digestHeader = "X-Amz-Content-Sha256"
)

// signature is the content of the Authorization header (Amazon S3 API reference,
// "Authenticating Requests: Using the Authorization Header").
type signature struct {
	keyID, region, value string
	headers              []string
	at                   time.Time
}

// readSignature reads the Authorization header. It accepts any region, because the front
// does not know the region of its vendor.
func readSignature(r *http.Request) (signature, *refusal) {
	header := r.Header.Get("Authorization")
	switch {
	case header == "" && r.URL.Query().Has("X-Amz-Signature"):
		return signature{}, otherwise
	case header == "":
		return signature{}, unsigned
	}
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	scope := strings.Split(parts["Credential"], "/")
	at, err := time.Parse(timeFormat, r.Header.Get(dateHeader))
	if !ok || err != nil || len(scope) != 5 || scope[1] != at.Format("20060102") || scope[3] != service || scope[4] != "aws4_request" {
		return signature{}, malformed
	}
	s := signature{
		keyID: scope[0], region: scope[2], value: parts["Signature"], headers: strings.Split(parts["SignedHeaders"], ";"), at: at,
	}
	if !s.covers(r) {
		return signature{}, malformed
	}
	return s, nil
}

// covers reports whether the signature covers the host and every x-amz header.
func (s signature) covers(r *http.Request) bool {
	for name := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(s.headers, name) {
			return false
		}
	}
	return slices.Contains(s.headers, "host") && r.Header.Get(digestHeader) != ""
}

// verify signs the request again, with the secret of the key, and compares.
func (s signature) verify(r *http.Request, secret string, now time.Time) *refusal {
	if now.Sub(s.at).Abs() > maxSkew {
		return skewed
	}
	where := *r.URL
	where.Scheme, where.Host = "http", r.Host
	again := (&http.Request{Method: r.Method, URL: &where, Host: r.Host, Header: http.Header{}}).WithContext(r.Context())
	for _, name := range s.headers {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = slices.Clone(r.Header.Values(name))
		}
	}
	keys := aws.Credentials{AccessKeyID: s.keyID, SecretAccessKey: secret}
	if err := signer().SignHTTP(r.Context(), keys, again, r.Header.Get(digestHeader), service, s.region, s.at); err != nil {
		return malformed
	}
	_, want, _ := strings.Cut(again.Header.Get("Authorization"), "Signature=")
	if subtle.ConstantTimeCompare([]byte(want), []byte(s.value)) != 1 {
		return badSignature
	}
	return nil
}
