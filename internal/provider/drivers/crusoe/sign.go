package crusoe

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider"
)

// The headers of a signed request, and the version of the signature in them
// (https://docs.crusoecloud.com/reference/api, "Authentication").
const (
	headerTimestamp  = "X-Crusoe-Timestamp"
	signatureVersion = "1.0"
)

// signer signs requests with the minting credentials.
type signer struct {
	clock clock.Clock
	id    string
	// key is the decoded secret.
	key provider.Value
}

// signerFor returns the signer for the values of the credentials Secret.
func signerFor(c clock.Clock, credentials map[string]provider.Value) (*signer, error) {
	id, secret := credentials[MinterKeyID], credentials[MinterSecret]
	if id.Empty() || secret.Empty() {
		return nil, unauthenticated("the credentials Secret needs the keys " + MinterKeyID + " and " + MinterSecret)
	}
	if strings.Trim(id.Reveal(), base64URL) != "" {
		return nil, unauthenticated(MinterKeyID + " in the credentials Secret can have letters, digits, - and _ only, and no line break: copy the access key ID of the API key again")
	}
	key, err := base64.RawURLEncoding.DecodeString(secret.Reveal())
	if err != nil || len(key) == 0 {
		return nil, unauthenticated(MinterSecret + " in the credentials Secret is not the secret key of an API key, which is base64 with - and _ and without = at its end: copy it again, or create another API key")
	}
	return &signer{clock: c, id: id.Reveal(), key: provider.NewValue(string(key))}, nil
}

// base64URL are the characters of the ids and secrets of API keys.
const base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func unauthenticated(message string) *provider.Error {
	return &provider.Error{Code: provider.CodeUnauthenticated, NotExecuted: true, Message: message}
}

// sign signs a request as it will be sent. Neither its body nor its host is signed.
func (s *signer) sign(req *http.Request, _ []byte) error {
	timestamp := s.clock.Now().UTC().Format(time.RFC3339)
	req.Header.Set(headerTimestamp, timestamp)
	req.Header.Set("Authorization", "Bearer "+signatureVersion+":"+s.id+":"+s.signature(req, timestamp))
	return nil
}

// signature is the HMAC of path, canonical query, method and timestamp, each with
// a line end. The query is sorted by its keys, as that in the URL must be.
func (s *signer) signature(req *http.Request, timestamp string) string {
	mac := hmac.New(sha256.New, []byte(s.key.Reveal()))
	for _, line := range []string{req.URL.Path, req.URL.Query().Encode(), req.Method, timestamp} {
		mac.Write([]byte(line + "\n"))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
