package s3front

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithy "github.com/aws/smithy-go"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/e2e/gateway"
)

const (
	bucket  = "datasets"
	content = "some content" // of every object
)

// The real server of every test.
var behind *gateway.Gateway

func TestMain(m *testing.M) {
	os.Exit(gateway.RunTests(m, func(ctx context.Context, g *gateway.Gateway) error {
		behind = g
		return g.CreateBuckets(ctx, bucket)
	}))
}

// world is a front with one key, behind a server.
type world struct {
	*Front
	key    Key
	server *httptest.Server
}

func open(t *testing.T, start func(http.Handler) *httptest.Server) *world {
	t.Helper()
	w := &world{Front: New(behind, time.Now), key: Key{
		AccessKeyID: "VENDORKEY", Secret: provider.NewValue("of/the+vendor"),
		Access: Access{Permission: ReadWrite, Buckets: []string{bucket}},
	}}
	w.server = start(w)
	t.Cleanup(w.server.Close)
	if err := w.Create(t.Context(), w.key); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return w
}

// client signs with the key, after a change of the options.
func (w *world) client(change func(*s3.Options)) *s3.Client {
	o := s3.Options{
		Region: "anywhere", BaseEndpoint: &w.server.URL, UsePathStyle: true, HTTPClient: w.server.Client(), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(w.key.AccessKeyID, w.key.Secret.Reveal(), ""),
	}
	if change != nil {
		change(&o)
	}
	return s3.New(o)
}

func code(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorCode()
	}
	return ""
}

// TestObjectsCanBeWrittenInEveryPayloadForm writes, reads, lists and deletes objects in each
// way in which the SDK sends a body.
func TestObjectsCanBeWrittenInEveryPayloadForm(t *testing.T) {
	checksums := func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported }
	without := func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired }
	reader := func() io.Reader { return strings.NewReader(content) }
	stream := func() io.Reader { return io.MultiReader(reader()) } // it cannot seek
	cases := map[string]struct {
		reason string
		start  func(http.Handler) *httptest.Server
		change func(*s3.Options)
		body   func() io.Reader
		want   string // value of the digest header; empty: the digest of the body
	}{
		"digest and checksum": {"the SDK's default without TLS", httptest.NewServer, checksums, reader, ""},
		"digest":              {"what servers other than AWS are sent without TLS", httptest.NewServer, without, reader, ""},
		"trailing checksum":   {"the SDK's default with TLS", httptest.NewTLSServer, checksums, reader, unsignedTrailer},
		"stream":              {"a body that can be read only once", httptest.NewTLSServer, checksums, stream, unsignedTrailer},
		"nothing":             {"what servers other than AWS are sent with TLS", httptest.NewTLSServer, without, reader, unsignedPayload},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var sent string
			w := open(t, func(next http.Handler) *httptest.Server {
				return tc.start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPut {
						sent = r.Header.Get(digestHeader)
					}
					next.ServeHTTP(w, r)
				}))
			})
			useObjects(t, tc.reason, w.client(tc.change), tc.body())
			want := tc.want
			if want == "" {
				sum := sha256.Sum256([]byte(content))
				want = hex.EncodeToString(sum[:])
			}
			if sent != want {
				t.Errorf("%s: the body was sent as %s, want %s", tc.reason, sent, want)
			}
		})
	}
}

func useObjects(t *testing.T, reason string, c *s3.Client, body io.Reader) {
	t.Helper()
	name, in := aws.String("a folder/(an)+object=ü"), aws.String(bucket)
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: in, Key: name, Body: body, ContentLength: aws.Int64(int64(len(content)))}); err != nil {
		t.Fatalf("%s: put: %v", reason, err)
	}
	got, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: in, Key: name})
	if err != nil {
		t.Fatalf("%s: get: %v", reason, err)
	}
	read, err := io.ReadAll(got.Body)
	if err := errors.Join(err, got.Body.Close()); err != nil || string(read) != content {
		t.Errorf("%s: got %q and error %v, want %q", reason, read, err, content)
	}
	head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: in, Key: name})
	if err != nil || aws.ToInt64(head.ContentLength) != int64(len(content)) {
		t.Errorf("%s: head: %v", reason, err)
	}
	list, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: in, Prefix: aws.String("a folder/(an)+")})
	if err != nil || len(list.Contents) != 1 || aws.ToString(list.Contents[0].Key) != *name {
		t.Errorf("%s: list: %v", reason, err)
	}
	if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: in, Key: name}); err != nil {
		t.Errorf("%s: delete: %v", reason, err)
	}
	if _, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: in, Key: name}); code(err) != "NoSuchKey" {
		t.Errorf("%s: get after deleting: %v", reason, err)
	}
}

// signed returns a request that the SDK has made of listing or writing.
func (w *world) signed(t *testing.T, write bool) *http.Request {
	t.Helper()
	caught := &catch{}
	c := w.client(func(o *s3.Options) { o.HTTPClient = caught })
	var err error
	if write {
		_, err = c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("x"), Body: strings.NewReader("content")})
	} else {
		_, err = c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String("x")})
	}
	if !errors.Is(err, errCaught) {
		t.Fatal(err)
	}
	return caught.req
}

var errCaught = errors.New("caught")

// catch keeps a request instead of sending it.
type catch struct{ req *http.Request }

func (c *catch) Do(r *http.Request) (*http.Response, error) {
	c.req = r.Clone(r.Context())
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		c.req.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	return nil, errCaught
}

const authorization = "Authorization"

// replace changes a part of the Authorization header.
func replace(old, other string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set(authorization, strings.Replace(r.Header.Get(authorization), old, other, 1))
	}
}

func TestChangedOrUnsignedRequestsAreRejected(t *testing.T) {
	cases := map[string]struct {
		reason string
		write  bool
		change func(*http.Request)
		status int
		want   string
	}{
		"as it was signed": {reason: "nothing is wrong with it", status: http.StatusOK, want: ""},
		"written as it was signed": {
			reason: "nothing is wrong with it", write: true, status: http.StatusOK, want: "",
		},
		"not signed": {
			reason: "anonymous requests have no rights", change: func(r *http.Request) { r.Header.Del(authorization) },
			status: http.StatusForbidden, want: "AccessDenied",
		},
		"unknown key": {
			reason: "the vendor has not made it", change: replace("VENDORKEY", "NOBODYSKEY"),
			status: http.StatusForbidden, want: "InvalidAccessKeyId",
		},
		"key of the real server": {
			reason: "a vendor's keys alone are known", change: replace("VENDORKEY", behind.RootAccessKey),
			status: http.StatusForbidden, want: "InvalidAccessKeyId",
		},
		"another path": {
			reason: "the path is signed", change: func(r *http.Request) { r.URL.Path = "/other-bucket" },
			status: http.StatusForbidden, want: "SignatureDoesNotMatch",
		},
		"another query": {
			reason: "the query is signed", change: func(r *http.Request) { r.URL.RawQuery = "list-type=2&prefix=y" },
			status: http.StatusForbidden, want: "SignatureDoesNotMatch",
		},
		"another method": {
			reason: "the method is signed", change: func(r *http.Request) { r.Method = http.MethodDelete },
			status: http.StatusForbidden, want: "SignatureDoesNotMatch",
		},
		"another host": {
			reason: "the host is signed", change: func(r *http.Request) { r.Host = "s3.example.com" },
			status: http.StatusForbidden, want: "SignatureDoesNotMatch",
		},
		"another region": {
			reason: "the region is signed", change: replace("/anywhere/", "/elsewhere/"),
			status: http.StatusForbidden, want: "SignatureDoesNotMatch",
		},
		"an empty signature": {
			reason: "an empty signature matches no other", change: func(r *http.Request) {
				head, _, _ := strings.Cut(r.Header.Get(authorization), "Signature=")
				r.Header.Set(authorization, head+"Signature=")
			}, status: http.StatusForbidden, want: "SignatureDoesNotMatch",
		},
		"a header that is not signed": {
			reason: "it would be signed on to the real server", change: func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") },
			status: http.StatusBadRequest, want: "AuthorizationHeaderMalformed",
		},
		"an old algorithm": {
			reason: "only the one is known", change: replace(algorithm, "AWS"),
			status: http.StatusBadRequest, want: "AuthorizationHeaderMalformed",
		},
		"another body": {
			reason: "the digest of the body is signed", write: true,
			change: func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("CONTENT")) },
			status: http.StatusBadRequest, want: "XAmzContentSHA256Mismatch",
		},
		"presigned": {
			reason: "it is not treated as a request without a signature", change: func(r *http.Request) {
				r.Header.Del(authorization)
				r.URL.RawQuery += "&X-Amz-Signature=00"
			}, status: http.StatusNotImplemented, want: "NotImplemented",
		},
	}
	w := open(t, httptest.NewServer)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			req := w.signed(t, tc.write)
			if tc.change != nil {
				tc.change(req)
			}
			resp, err := w.server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tc.status || tc.want != "" && !strings.Contains(string(body), "<Code>"+tc.want+"</Code>") {
				t.Errorf("%s: got status %d and %s, want %d %s", tc.reason, resp.StatusCode, body, tc.status, tc.want)
			}
		})
	}
}

func TestWrongSecretAndSkewedClockAreRejected(t *testing.T) {
	w := open(t, httptest.NewServer)
	list := func(c *s3.Client) error {
		_, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
		return err
	}
	other := w.client(func(o *s3.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider(w.key.AccessKeyID, "another", "")
	})
	if err := list(other); code(err) != "SignatureDoesNotMatch" {
		t.Errorf("another secret: %v", err)
	}
	w.clock = func() time.Time { return time.Now().Add(maxSkew + time.Minute) }
	if err := list(w.client(nil)); code(err) != "RequestTimeTooSkewed" {
		t.Errorf("another time: %v", err)
	}
}

// TestDeleteRemovesTheRealKeyAndItsUser checks the real server: once a vendor's key is
// deleted, neither its real key nor its user exists.
func TestDeleteRemovesTheRealKeyAndItsUser(t *testing.T) {
	w := open(t, httptest.NewServer)
	k, _ := w.Front.key(w.key.AccessKeyID)
	clients := map[string]*s3.Client{"the vendor's key": w.client(nil), "the key behind it": behind.S3(k.iam)}
	list := func(c *s3.Client) error {
		_, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
		return err
	}
	for name, c := range clients {
		if err := list(c); err != nil {
			t.Errorf("%s before: %v", name, err)
		}
	}
	for range 2 { // it can be called again
		if err := w.Delete(t.Context(), w.key.AccessKeyID); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range clients {
		if err := list(c); code(err) != "InvalidAccessKeyId" {
			t.Errorf("%s afterwards: %v", name, err)
		}
	}
	_, err := w.iam.GetUser(t.Context(), &iam.GetUserInput{UserName: &k.user})
	var gone *types.NoSuchEntityException
	if !errors.As(err, &gone) {
		t.Errorf("the user afterwards: %v", err)
	}
}

func TestInvalidKeysAreNotCreated(t *testing.T) {
	w := open(t, httptest.NewServer)
	cases := map[string]func(*Key){
		"known":             func(k *Key) { k.AccessKeyID = w.key.AccessKeyID },
		"no ID":             func(k *Key) { k.AccessKeyID = "" },
		"no secret":         func(k *Key) { k.Secret = provider.Value{} },
		"no permission":     func(k *Key) { k.Access.Permission = "" },
		"no address":        func(k *Key) { k.Access.AllowedIPs = []string{"somewhere"} },
		"no denied address": func(k *Key) { k.Access.DeniedIPs = []string{"somewhere"} },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			key := w.key
			key.AccessKeyID = "ANOTHER"
			change(&key)
			if err := w.Create(t.Context(), key); err == nil {
				t.Error("a key was made")
			}
		})
	}
	if w.Delete(t.Context(), "ANOTHER") == nil || w.Change(t.Context(), "ANOTHER", w.key.Access) == nil {
		t.Error("a key that was never made was deleted or changed")
	}
	if w.Change(t.Context(), w.key.AccessKeyID, Access{}) == nil {
		t.Error("a key was changed to no permission")
	}
}

func TestDeletedKeyCanBeCreatedAgainWithItsSecretOnly(t *testing.T) {
	w := open(t, httptest.NewServer)
	if err := w.Delete(t.Context(), w.key.AccessKeyID); err != nil {
		t.Fatal(err)
	}
	other := w.key
	other.Secret = provider.NewValue("another-secret")
	if err := w.Create(t.Context(), other); err == nil {
		t.Error("it was made with another secret")
	}
	if err := w.Create(t.Context(), w.key); err != nil {
		t.Errorf("with its own secret: %v", err)
	}
	if err := w.Create(t.Context(), w.key); err == nil {
		t.Error("it was made twice")
	}
}

// TestFailedCreateLeavesNoUser creates a key with a policy that the real server rejects.
func TestFailedCreateLeavesNoUser(t *testing.T) {
	w := open(t, httptest.NewServer)
	key := w.key
	key.AccessKeyID = "ANOTHER"
	for len(key.Access.Buckets) < 100 { // a policy is limited to 2,048 bytes
		key.Access.Buckets = append(key.Access.Buckets, "a-bucket-among-many")
	}
	before := users(t, w)
	if err := w.Create(t.Context(), key); err == nil {
		t.Error("a key was made")
	}
	if after := users(t, w); after != before {
		t.Errorf("there are %d users afterwards, want %d", after, before)
	}
}

func users(t *testing.T, w *world) int {
	t.Helper()
	out, err := w.iam.ListUsers(t.Context(), &iam.ListUsersInput{})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Users)
}

func TestPayloadsThatDifferFromTheirHeadersAreRejected(t *testing.T) {
	chunks := func(length, trailer string) http.Header {
		return http.Header{
			digestHeader: {unsignedTrailer}, "X-Amz-Decoded-Content-Length": {length}, "X-Amz-Trailer": {trailer}, "Content-Encoding": {"aws-chunked"},
		}
	}
	const whole = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
	cases := map[string]struct {
		reason, body string
		header       http.Header
		want         *refusal
	}{
		"whole":           {"everything matches its headers", whole, chunks("5", "x-amz-checksum-crc32"), nil},
		"length":          {"it is longer than its header says", whole, chunks("4", "x-amz-checksum-crc32"), incomplete},
		"no length":       {"it is required", whole, chunks("", "x-amz-checksum-crc32"), incomplete},
		"another trailer": {"it was not announced", whole, chunks("5", "x-amz-checksum-sha256"), incomplete},
		"no trailer":      {"the trailer is missing", "5\r\nhello\r\n0\r\n", chunks("5", "x-amz-checksum-crc32"), incomplete},
		"header as a trailer": {
			"a trailer is not signed, so it can only be a checksum",
			"5\r\nhello\r\n0\r\nx-amz-acl:public-read\r\n\r\n", chunks("5", "x-amz-acl"), incomplete,
		},
		"cut off":          {"the last chunk is missing", "5\r\nhel", chunks("5", "x-amz-checksum-crc32"), incomplete},
		"signed in chunks": {"the signatures of chunks are not checked", "", http.Header{digestHeader: {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}}, otherwise},
		"not signed":       {"the digest says so", "hello", http.Header{digestHeader: {unsignedPayload}}, nil},
		"too large":        {"it is kept in memory", strings.Repeat("x", maxBody+1), http.Header{digestHeader: {unsignedPayload}}, tooLarge},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, no := readPayload(&http.Request{Header: tc.header, Body: io.NopCloser(strings.NewReader(tc.body))})
			if no != tc.want {
				t.Fatalf("%s: got %+v, want %+v", tc.reason, no, tc.want)
			}
			if no == nil && (string(got.body) != "hello" || got.header.Get("Content-Encoding") != "") {
				t.Errorf("%s: got body %q and headers %v", tc.reason, got.body, got.header)
			}
		})
	}
}

// TestWrongTrailingChecksumIsRejected: the real server checks the checksum after the body.
func TestWrongTrailingChecksumIsRejected(t *testing.T) {
	p := payload{header: http.Header{
		digestHeader: {unsignedTrailer}, "X-Amz-Decoded-Content-Length": {"5"}, "X-Amz-Trailer": {"x-amz-checksum-crc32"},
		"Content-Encoding": {"aws-chunked"},
	}}
	w := open(t, httptest.NewServer)
	k, _ := w.Front.key(w.key.AccessKeyID)
	for checksum, want := range map[string]int{"NhCmhg==": http.StatusOK, "AAAAAA==": http.StatusBadRequest} {
		sent := payload{header: p.header.Clone(), body: []byte("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:" + checksum + "\r\n\r\n")}
		if err := sent.unwrap(); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/"+bucket+"/checked", http.NoBody)
		r.RemoteAddr = "127.0.0.1:1"
		answer := httptest.NewRecorder()
		if no := w.forward(answer, r, sent, k.iam); no != nil || answer.Code != want {
			t.Errorf("checksum %s: got %+v and status %d, want %d", checksum, no, answer.Code, want)
		}
	}
}
