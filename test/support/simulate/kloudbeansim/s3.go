package kloudbeansim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"apitoken.dev/operator/test/support/conformance"
)

// maxObject is the largest object that can be written, in bytes.
const maxObject = 1 << 20

// Request is one request to the data plane, as it arrived.
type Request struct {
	Method, Path, Query string
	// AccessKeyID that signed it; empty: not signed.
	AccessKeyID string
	UserAgent   string
	Body        string
}

// Requests returns every request that reached the data plane, and forgets them.
func (s *Simulator) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.requests
	s.requests = nil
	return out
}

// Objects returns the names of the objects in a bucket, sorted.
func (s *Simulator) Objects(bucket string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return names(s.buckets[bucket])
}

func names(bucket map[string][]byte) []string {
	out := make([]string, 0, len(bucket))
	for name := range bucket {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Handler is the data plane, behind the switches.
func (s *Simulator) Handler() http.Handler { return s.Wrap(http.HandlerFunc(s.serve)) }

// failed is an error of S3 (Amazon S3 API reference, "Error responses").
type failed struct {
	status int
	code   string
}

var (
	accessDenied     = &failed{http.StatusForbidden, "AccessDenied"}
	unknownKey       = &failed{http.StatusForbidden, "InvalidAccessKeyId"}
	badSignature     = &failed{http.StatusForbidden, "SignatureDoesNotMatch"}
	skewed           = &failed{http.StatusForbidden, "RequestTimeTooSkewed"}
	malformed        = &failed{http.StatusBadRequest, "AuthorizationHeaderMalformed"}
	wrongDigest      = &failed{http.StatusBadRequest, "XAmzContentSHA256Mismatch"}
	entityTooLarge   = &failed{http.StatusBadRequest, "EntityTooLarge"}
	invalidArgument  = &failed{http.StatusBadRequest, "InvalidArgument"}
	noBucket         = &failed{http.StatusNotFound, "NoSuchBucket"}
	noObject         = &failed{http.StatusNotFound, "NoSuchKey"}
	methodNotAllowed = &failed{http.StatusMethodNotAllowed, "MethodNotAllowed"}
	notImplemented   = &failed{http.StatusNotImplemented, "NotImplemented"}
)

// The answers of the switches.
var (
	rejection = conformance.Answer{
		Status: accessDenied.status, Header: http.Header{"Content-Type": {"application/xml"}}, Body: accessDenied.body(conformance.RawText),
	}
	tooMany = conformance.Answer{
		Status: http.StatusServiceUnavailable, Header: http.Header{"Content-Type": {"application/xml"}, "Retry-After": {"1"}},
		Body: (&failed{code: "SlowDown"}).body(conformance.RawText),
	}
)

func (f *failed) body(message string) string {
	return xml.Header + "<Error><Code>" + f.code + "</Code><Message>" + message + "</Message><RequestId>simulated</RequestId></Error>"
}

// call is one request after its body was read.
type call struct {
	*http.Request
	body           []byte
	bucket, object string
}

func (s *Simulator) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxObject+1))
	if err != nil {
		return // the client is gone
	}
	c := call{Request: r, body: body}
	c.bucket, c.object, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")

	s.mu.Lock()
	defer s.mu.Unlock()
	signed, broken := readSignature(r)
	s.requests = append(s.requests, Request{
		Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery,
		AccessKeyID: signed.keyID, UserAgent: r.UserAgent(), Body: string(body),
	})
	f := broken
	if f == nil {
		f = s.rejection(r.Context(), c, signed)
	}
	if f == nil {
		f = s.carryOut(w, c)
	}
	if f == nil {
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(f.status)
	_, _ = io.WriteString(w, f.body("simulated "+conformance.RawText)) //nolint:gosec // a fixed text; the client may be gone
}

// rejection returns why a key may not do this, or nil if it may. The lock is held.
func (s *Simulator) rejection(ctx context.Context, c call, signed signature) *failed {
	if signed.keyID == "" {
		return accessDenied
	}
	t := s.token(signed.keyID)
	if t == nil {
		return unknownKey
	}
	if f := signed.verify(ctx, c, t.secret, s.clock().Add(s.Skew())); f != nil {
		return f
	}
	if c.bucket == "" {
		return accessDenied // no key can list all buckets of the account
	}
	if s.buckets[c.bucket] == nil {
		return noBucket
	}
	if c.bucket != t.form.Bucket || !t.may(c.Method) || !t.admits(remote(c.Request)) {
		return accessDenied
	}
	return nil
}

// may reports whether the permission of a token includes a method. Only Read & Write includes
// deleting.
func (t *token) may(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead:
		return t.form.Permission != WriteOnly
	case http.MethodPut:
		return t.form.Permission != ReadOnly
	default:
		return t.form.Permission == ReadWrite
	}
}

// remote is the address that a request comes from.
func remote(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr().Unmap()
}

// carryOut carries out a request and answers it. The lock is held.
func (s *Simulator) carryOut(w http.ResponseWriter, c call) *failed {
	bucket := s.buckets[c.bucket]
	if c.object == "" {
		if c.Method != http.MethodGet {
			return methodNotAllowed
		}
		return listObjects(w, c, bucket)
	}
	if extra := subresource(c); extra != "" {
		return notImplemented
	}
	switch c.Method {
	case http.MethodGet, http.MethodHead:
		content, ok := bucket[c.object]
		if !ok {
			return noObject
		}
		w.Header().Set("Content-Type", "binary/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		w.Header().Set("ETag", etag(content))
		w.WriteHeader(http.StatusOK)
		if c.Method == http.MethodGet {
			_, _ = w.Write(content) // the client may be gone
		}
	case http.MethodPut:
		if len(c.body) > maxObject {
			return entityTooLarge
		}
		bucket[c.object] = c.body
		w.Header().Set("ETag", etag(c.body))
		w.WriteHeader(http.StatusOK)
	case http.MethodDelete:
		delete(bucket, c.object)
		w.WriteHeader(http.StatusNoContent)
	default:
		return methodNotAllowed
	}
	return nil
}

// subresource returns the first query parameter of a request for an object, apart from the
// parameter that the SDK adds to name the operation.
func subresource(c call) string {
	for name := range c.URL.Query() {
		if name != "x-id" {
			return name
		}
	}
	return ""
}

// etag is opaque to clients.
func etag(content []byte) string {
	sum := sha256.Sum256(content)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// listBucketResult is the answer of ListObjectsV2.
type listBucketResult struct {
	XMLName     xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name        string
	Prefix      string
	KeyCount    int
	MaxKeys     int
	IsTruncated bool
	Contents    []listed
}

type listed struct {
	Key  string
	ETag string
	Size int
}

func listObjects(w http.ResponseWriter, c call, bucket map[string][]byte) *failed {
	q := c.URL.Query()
	for name := range q {
		if !slices.Contains([]string{"list-type", "max-keys", "prefix", "x-id"}, name) {
			return notImplemented
		}
	}
	if q.Get("list-type") != "2" {
		return notImplemented
	}
	out := listBucketResult{Name: c.bucket, Prefix: q.Get("prefix"), MaxKeys: 1000}
	if q.Has("max-keys") {
		n, err := strconv.Atoi(q.Get("max-keys"))
		if err != nil || n < 0 {
			return invalidArgument
		}
		out.MaxKeys = min(n, out.MaxKeys)
	}
	for _, name := range names(bucket) {
		if !strings.HasPrefix(name, out.Prefix) {
			continue
		}
		if out.KeyCount == out.MaxKeys {
			out.IsTruncated = true
			break
		}
		out.KeyCount++
		out.Contents = append(out.Contents, listed{Key: name, ETag: etag(bucket[name]), Size: len(bucket[name])})
	}
	w.Header().Set("Content-Type", "application/xml")
	_, _ = io.WriteString(w, xml.Header) // the client may be gone
	_ = xml.NewEncoder(w).Encode(out)
	return nil
}
