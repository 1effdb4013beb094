package kloudbeansim

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	algorithm = "AWS4-HMAC-SHA256"
	// unsigned stands for a body whose digest is not signed.
	unsigned = "UNSIGNED-PAYLOAD"
	// maxSkew is how far the time of a request may be off (Amazon S3 user guide,
	// "RequestTimeTooSkewed": 15 minutes).
	maxSkew    = 15 * time.Minute
	timeFormat = "20060102T150405Z"
)

// signature is the signature in a request (Amazon S3 API reference,
// "Authenticating Requests: Using the Authorization Header").
type signature struct {
	keyID, region string
	headers       []string
	at            time.Time
}

// readSignature reads the Authorization header. A request without one is not signed.
func readSignature(r *http.Request) (signature, *failed) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return signature{}, nil
	}
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return signature{}, malformed
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	scope := strings.Split(parts["Credential"], "/")
	at, err := time.Parse(timeFormat, r.Header.Get("X-Amz-Date"))
	if len(scope) != 5 || scope[3] != "s3" || scope[4] != "aws4_request" || err != nil || scope[1] != at.Format("20060102") {
		return signature{}, malformed
	}
	s := signature{
		keyID: scope[0], region: scope[2], at: at, headers: strings.Split(parts["SignedHeaders"], ";"),
	}
	for _, needed := range []string{"host", "x-amz-content-sha256", "x-amz-date"} {
		if !slices.Contains(s.headers, needed) {
			return s, malformed
		}
	}
	return s, nil
}

// verify signs the request again with the secret of the key, and compares the result.
func (s signature) verify(ctx context.Context, c call, secret string, now time.Time) *failed {
	if now.Sub(s.at).Abs() > maxSkew {
		return skewed
	}
	digest := c.Header.Get("X-Amz-Content-Sha256")
	again, err := http.NewRequestWithContext(ctx, c.Method, "http://"+c.Host+c.URL.RequestURI(), http.NoBody)
	if err != nil {
		return malformed
	}
	for _, name := range s.headers {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = c.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = c.Header.Values(name)
		}
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	keys := aws.Credentials{AccessKeyID: s.keyID, SecretAccessKey: secret}
	if err := signer.SignHTTP(ctx, keys, again, digest, "s3", s.region, s.at); err != nil {
		return malformed
	}
	if subtle.ConstantTimeCompare([]byte(again.Header.Get("Authorization")), []byte(c.Header.Get("Authorization"))) != 1 {
		return badSignature
	}
	if sum := sha256.Sum256(c.body); digest != unsigned && digest != hex.EncodeToString(sum[:]) {
		return wrongDigest
	}
	return nil
}
