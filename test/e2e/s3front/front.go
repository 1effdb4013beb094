// Package s3front is the S3 server of a simulated vendor. It accepts requests that are
// signed with the vendor's own keys, verifies them, and forwards them to a real S3
// server, signed with the key of an IAM user that was created for the vendor's key. The
// real server and the policy of that user decide what a key allows.
package s3front

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"apitoken.dev/operator/test/e2e/gateway"
)

// service is the service name in the signatures of S3 requests.
const service = "s3"

// Front is the S3 server of one account at a vendor. Its clients must run on this
// computer and connect by IPv4, because the real server sees their addresses.
type Front struct {
	gateway *gateway.Gateway
	iam     *iam.Client
	clock   func() time.Time

	mu   sync.Mutex
	keys map[string]entry // by the vendor's access key ID, including deleted keys
}

// New returns a front of a gateway, without keys. It checks signatures against the time
// of the clock.
func New(g *gateway.Gateway, clock func() time.Time) *Front {
	return &Front{gateway: g, iam: g.IAM(g.Root()), clock: clock, keys: map[string]entry{}}
}

// ServeHTTP implements http.Handler.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if no := f.serve(w, r); no != nil {
		no.write(w)
	}
}

func (f *Front) serve(w http.ResponseWriter, r *http.Request) *refusal {
	signed, no := readSignature(r)
	if no != nil {
		return no
	}
	k, known := f.key(signed.keyID)
	if !known {
		return unknownKey
	}
	if no := signed.verify(r, k.secret, f.clock()); no != nil {
		return no
	}
	sent, no := readPayload(r)
	if no != nil {
		return no
	}
	return f.forward(w, r, sent, k.iam)
}

// key finds a vendor's key. A deleted one is found as well: its requests go to
// the real server, which has no key for them any more.
func (f *Front) key(id string) (entry, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, known := f.keys[id]
	return k, known
}

// forward sends a request to the real server, from the address of its client.
func (f *Front) forward(w http.ResponseWriter, r *http.Request, sent payload, keys gateway.Keys) *refusal {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return unreachable
	}
	req, err := f.request(r, sent, keys)
	if err != nil {
		return unreachable
	}
	// Every client has its own address, so connections are not reused.
	wire := &http.Transport{
		DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from.Addr().Unmap().AsSlice()}}).DialContext,
		DisableKeepAlives: true, DisableCompression: true,
	}
	resp, err := wire.RoundTrip(req)
	if err != nil {
		return unreachable
	}
	defer resp.Body.Close()
	for name, values := range resp.Header {
		if name == "Content-Length" || !ownOfConnection[name] { // the length of what HEAD asks about
			w.Header()[name] = values
		}
	}
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil && !errors.Is(err, context.Canceled) {
		panic(http.ErrAbortHandler) // so that the client does not accept a partial body
	}
	return nil
}

// ownOfConnection are the headers that are not forwarded: those of one
// connection, and those that the front sets itself.
var ownOfConnection = map[string]bool{
	"Authorization": true, "Connection": true, "Content-Length": true, "Expect": true, "Keep-Alive": true, "Te": true,
	"Transfer-Encoding": true, "X-Amz-Content-Sha256": true, "X-Amz-Date": true,
}

// request returns the request to the real server.
func (f *Front) request(r *http.Request, sent payload, keys gateway.Keys) (*http.Request, error) {
	where, err := url.Parse(f.gateway.S3Endpoint)
	if err != nil {
		return nil, err
	}
	// The URL of a request can name another server; only its path and query are used.
	where.Path, where.RawPath, where.RawQuery = r.URL.Path, r.URL.RawPath, r.URL.RawQuery
	req, err := http.NewRequestWithContext(r.Context(), r.Method, where.String(), bytes.NewReader(sent.body))
	if err != nil {
		return nil, err
	}
	for name, values := range sent.header {
		if !ownOfConnection[name] {
			req.Header[name] = values
		}
	}
	sum := sha256.Sum256(sent.body)
	digest := hex.EncodeToString(sum[:])
	req.Header.Set(digestHeader, digest)
	return req, signer().SignHTTP(r.Context(), aws.Credentials{
		AccessKeyID: keys.AccessKeyID, SecretAccessKey: keys.SecretAccessKey,
	}, req, digest, service, gateway.Region, time.Now())
}

// signer signs as S3 requires: the path is not escaped a second time.
func signer() *v4.Signer {
	return v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
}
