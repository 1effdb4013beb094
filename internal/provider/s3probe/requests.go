package s3probe

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/bounded"
)

// Timeout ends a request that has no deadline of its own.
const Timeout = bounded.RequestTime

// Every request is idempotent, so it can be sent up to maxAttempts times, with at most
// maxBackoff between two attempts.
const (
	maxAttempts = 2
	maxBackoff  = 500 * time.Millisecond
)

// conn sends the requests of one key.
type conn struct {
	s3     *s3.Client
	bucket *string
	// field names the server in errors.
	field string
}

func connect(target Target, keys Keys) conn {
	opts := s3.Options{
		Region:       target.Region,
		BaseEndpoint: aws.String(target.Endpoint),
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(keys.ID.Reveal(), keys.Secret.Reveal(), ""),
		HTTPClient:   guard{bounded.HTTP(target.HTTP)},
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = maxAttempts, maxBackoff
		}),
		// Many servers other than AWS reject the checksums of newer SDKs.
		RequestChecksumCalculation:  aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation:  aws.ResponseChecksumValidationWhenRequired,
		DisableS3ExpressSessionAuth: aws.Bool(true),

		DisableLogOutputChecksumValidationSkipped: true,
	}
	if product, version, ok := strings.Cut(target.UserAgent, "/"); ok {
		opts.APIOptions = append(opts.APIOptions, middleware.AddUserAgentKeyValue(product, version))
	}
	return conn{s3: s3.New(opts), bucket: aws.String(target.Bucket), field: target.Field}
}

func (c conn) list(ctx context.Context) (Answer, error) {
	out, err := c.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: c.bucket, MaxKeys: aws.Int32(1)})
	if err == nil && out.Name == nil && out.KeyCount == nil && out.MaxKeys == nil {
		return "", unclear("list the bucket", "with something other than a list of a bucket")
	}
	return c.answer("list the bucket", err)
}

func (c conn) put(ctx context.Context, object string) (Answer, error) {
	_, err := c.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: c.bucket, Key: aws.String(object), ContentType: aws.String("text/plain"), Body: strings.NewReader(content),
	})
	return c.answer("write a test object", err)
}

// get reads an object that put wrote. Only a key that may read gets the answer "no such
// object".
func (c conn) get(ctx context.Context, object string) (Answer, error) {
	const what = "read the test object"
	out, err := c.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: c.bucket, Key: aws.String(object)})
	if code(err) == "NoSuchKey" {
		return Allowed, nil
	}
	if err != nil {
		return c.answer(what, err)
	}
	defer out.Body.Close()
	read, err := io.ReadAll(out.Body)
	if err != nil {
		return "", failure(what, c.field, err)
	}
	if !bytes.Equal(read, []byte(content)) {
		return "", unclear(what, "with other content than was written")
	}
	return Allowed, nil
}

func (c conn) remove(ctx context.Context, object string) (Answer, error) {
	_, err := c.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: c.bucket, Key: aws.String(object)})
	return c.answer("delete the test object", err)
}

// Reach sends one request without a signature. Any answer except a server
// error (5xx) means that the endpoint can be reached.
func Reach(ctx context.Context, target Target) error {
	const what = "reach the S3 endpoint"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.Endpoint, http.NoBody)
	if err != nil {
		return &provider.Error{Code: provider.CodeInvalid, NotExecuted: true, Err: err, Message: "the S3 endpoint is not the URL of a server"}
	}
	if target.UserAgent != "" {
		req.Header.Set("User-Agent", target.UserAgent)
	}
	resp, err := bounded.HTTP(target.HTTP).Do(req)
	if err != nil {
		return failure(what, target.Field, err)
	}
	defer resp.Body.Close()
	// S3 redirects a request without a signature to a page about itself.
	if f := bounded.FaultOf(resp); f != nil && f.Class != provider.FaultRedirect {
		return provider.Unreached("could not "+what, target.Field, f)
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		return &provider.Error{Code: provider.CodeUnavailable, Message: "could not " + what + ": the server failed"}
	}
	return nil
}

// guard rejects HTML pages, as proxies send them, which would otherwise count as success:
// the answers of S3 to writes and deletes have no body to check.
type guard struct{ client *http.Client }

// Do implements s3.HTTPClient.
func (g guard) Do(req *http.Request) (*http.Response, error) {
	resp, err := g.client.Do(req) //nolint:gosec // the endpoint is the one that the provider's spec names
	if err != nil {
		return nil, err
	}
	if f := bounded.FaultOf(resp); f != nil && resp.StatusCode < 300 {
		_ = resp.Body.Close()
		return nil, f
	}
	return resp, nil
}
