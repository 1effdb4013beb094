package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	static "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithy "github.com/aws/smithy-go"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/e2e/gateway"
	"apitoken.dev/operator/test/e2e/s3front"
	"apitoken.dev/operator/test/support/conformance"
)

// vendor is a simulated account whose keys grant access to the buckets of the real server.
type vendor struct {
	driver provider.Driver
	config provider.Config
	grant  func() provider.Grant
	faults conformance.Faults
	// lost returns the secret of the key under a name, which only the vendor knows.
	lost func(name string) gateway.Keys
	// s3 is the URL of the vendor's S3 server, and region the region in signatures for it.
	s3, region string
}

// openFront starts the S3 server of a vendor, with a clock.
func openFront(t *testing.T, clock func() time.Time) *s3front.Front {
	t.Helper()
	front := s3front.New(server, clock)
	t.Cleanup(func() {
		if err := front.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return front
}

func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

// connect returns a client of the account with a cluster of its own.
func (v *vendor) connect(t *testing.T) *minting {
	t.Helper()
	cfg := v.config
	cfg.Cluster = credname.Cluster(rand.Text())
	client, _, err := v.driver.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	return &minting{t: t, client: client, owner: provider.Owner{Cluster: cfg.Cluster, Namespace: "ml", Token: "training"}}
}

// open returns an S3 client that signs with a vendor's keys, and never retries.
func (v *vendor) open(k gateway.Keys, change ...func(*s3.Options)) *s3.Client {
	o := s3.Options{
		Region: v.region, BaseEndpoint: &v.s3, UsePathStyle: true, Retryer: aws.NopRetryer{},
		Credentials: static.NewStaticCredentialsProvider(k.AccessKeyID, k.SecretAccessKey, ""),
		// What an SDK does by default.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
	}
	for _, c := range change {
		c(&o)
	}
	return s3.New(o)
}

// list returns a request that every key can make, except a key that can only write.
func (v *vendor) list(ctx context.Context, k gateway.Keys) func() error {
	return listing(ctx, v.open(k))
}

// alive reports whether the real server accepts a credential.
func (v *vendor) alive(ctx context.Context, m provider.Minted) (bool, error) {
	return allowed(v.list(ctx, keysOf(m)))
}

func listing(ctx context.Context, client *s3.Client) func() error {
	return func() error {
		_, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: ptr(datasets)})
		return err
	}
}

// wantCode fails the test unless the server rejects the request with this error code of S3.
func wantCode(t *testing.T, what, want string, request func() error) {
	t.Helper()
	got := ""
	var answer smithy.APIError
	if errors.As(retried(request), &answer) {
		got = answer.ErrorCode()
	}
	if got != want {
		t.Errorf("%s: the server answers with %q, want %q", what, got, want)
	}
}

// retried repeats a request after a server error; see allowed.
func retried(request func() error) error {
	err := request()
	if status(err) >= http.StatusInternalServerError {
		err = request()
	}
	return err
}

// opens is what a key allows, as names of operations.
type opens struct {
	bucket, everywhere []string
	// buckets are those of the two buckets that the key grants access to.
	buckets []string
}

// wantAccess tries every operation in every bucket.
func wantAccess(t *testing.T, client *s3.Client, want opens) {
	t.Helper()
	for name, operation := range operations {
		for _, bucket := range []string{datasets, other} {
			may := slices.Contains(want.bucket, name) && slices.Contains(want.buckets, bucket)
			wantAllowed(t, name+" in "+bucket, may, func() error { return operation(t.Context(), client, bucket) })
		}
	}
	for name, operation := range everywhere {
		wantAllowed(t, name, slices.Contains(want.everywhere, name), func() error { return operation(t.Context(), client) })
	}
}

// What a vendor's permissions allow of the operations.
var (
	mayRead  = []string{"read", "list", "locate"}
	mayWrite = []string{"write", "upload in parts", "locate"}
	mayBoth  = slices.Concat(mayRead, mayWrite, []string{"delete", "list uploads"})
	mayAll   = slices.Concat(mayBoth, []string{"read configuration", "write configuration"})
)

// vendorsByAPI are the accounts whose keys are minted.
func vendorsByAPI(t *testing.T) map[string]*vendor {
	t.Helper()
	byDelete, _ := openIBEE(t, false)
	byRevoke, _ := openIBEE(t, true)
	user, _ := openCrusoe(t)
	return map[string]*vendor{"ibee, revoked by DELETE": byDelete, "ibee, revoked by POST": byRevoke, "crusoe": user}
}

// TestVendorRejectsARevokedKeyAtOnceAndItsSuccessorWorks rotates a credential.
func TestVendorRejectsARevokedKeyAtOnceAndItsSuccessorWorks(t *testing.T) {
	for name, v := range vendorsByAPI(t) {
		t.Run(name, func(t *testing.T) {
			m := v.connect(t)
			older, newer := m.mint(v.grant()), m.mint(v.grant())
			wantAllowed(t, "the older key during the overlap", true, v.list(t.Context(), keysOf(older)))
			wantAllowed(t, "the newer key during the overlap", true, v.list(t.Context(), keysOf(newer)))
			m.revoke(t.Context(), older.Credential.Name)
			wantCode(t, "the older key after it was revoked", "InvalidAccessKeyId", v.list(t.Context(), keysOf(older)))
			wantAllowed(t, "the newer key after that", true, v.list(t.Context(), keysOf(newer)))
		})
	}
}

// TestVendorKeyOfALostAnswerIsFoundAndRevoked loses the answer to a creation. The key that
// was never received grants access, until it is found by its name and revoked.
func TestVendorKeyOfALostAnswerIsFoundAndRevoked(t *testing.T) {
	faults := map[string]func(conformance.Faults) func(int) func(){
		"connection breaks": func(f conformance.Faults) func(int) func() { return f.LoseAnswers },
		"server error":      func(f conformance.Faults) func(int) func() { return f.FailAfterCommit },
	}
	for name, v := range vendorsByAPI(t) {
		for fault, pick := range faults {
			t.Run(name+", "+fault, func(t *testing.T) { loseAnswer(t, v, pick(v.faults)) })
		}
	}
}

func loseAnswer(t *testing.T, v *vendor, fault func(int) func()) {
	m := v.connect(t)
	req := m.request(v.grant())
	restore := fault(0)
	_, err := m.client.Mint(t.Context(), req)
	restore()
	if !provider.InDoubt(err) {
		t.Fatalf("Mint: error %v is not in doubt", err)
	}
	keys := v.lost(req.Name)
	wantAllowed(t, "the key that was never received", true, v.list(t.Context(), keys))
	found, err := m.client.Find(t.Context(), provider.Ref{Name: req.Name})
	if err != nil || len(found) != 1 || found[0].ID != keys.AccessKeyID || found[0].State != provider.Live {
		t.Errorf("Find by name: got %+v and error %v, want %s", found, err, keys.AccessKeyID)
	}
	m.revoke(t.Context(), req.Name)
	wantCode(t, "the key that was never received, after its name was revoked", "InvalidAccessKeyId", v.list(t.Context(), keys))
	found, err = m.client.Find(t.Context(), provider.Ref{Name: req.Name})
	ended := func(c provider.Credential) bool { return c.State == provider.Ended }
	if found = slices.DeleteFunc(found, ended); err != nil || len(found) != 0 {
		t.Errorf("Find after that: got %+v and error %v", found, err)
	}
}

func TestVendorRejectsAWrongSecretOrKeyID(t *testing.T) {
	for name, v := range vendorsByAPI(t) {
		t.Run(name, func(t *testing.T) {
			keys := keysOf(v.connect(t).mint(v.grant()))
			wantCode(t, "another secret", "SignatureDoesNotMatch", v.list(t.Context(), gateway.Keys{AccessKeyID: keys.AccessKeyID, SecretAccessKey: rand.Text()}))
			wantCode(t, "another key", "InvalidAccessKeyId", v.list(t.Context(), gateway.Keys{AccessKeyID: rand.Text(), SecretAccessKey: keys.SecretAccessKey}))
		})
	}
}
