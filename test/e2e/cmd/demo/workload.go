package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// workload is a pod that has only the values of a Secret in its environment.
type workload struct {
	keyID  string
	bucket string
	data   map[string][]byte
	s3     *s3.Client
}

// workload reads a Secret as the kubelet does for a pod.
func (d *demo) workload(ctx context.Context, secret string) (*workload, error) {
	o := &corev1.Secret{}
	if err := d.cluster.Get(ctx, client.ObjectKey{Namespace: team, Name: secret}, o); err != nil {
		return nil, err
	}
	value := func(key string) string { return string(o.Data[key]) }
	d.secrets.add(value("AWS_SECRET_ACCESS_KEY"))
	for _, key := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "BUCKET_NAME"} {
		if value(key) == "" {
			return nil, fmt.Errorf("key %s of the Secret is missing or empty", key)
		}
	}
	return &workload{
		keyID: value("AWS_ACCESS_KEY_ID"), bucket: value("BUCKET_NAME"), data: o.Data,
		s3: s3.New(s3.Options{
			Region: value("AWS_REGION"), BaseEndpoint: aws.String(value("AWS_ENDPOINT_URL_S3")), UsePathStyle: true,
			Credentials: credentials.NewStaticCredentialsProvider(value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"), ""),
			Retryer:     aws.NopRetryer{}, // every answer is checked
		}),
	}, nil
}

func (w *workload) write(ctx context.Context, bucket, content string) error {
	_, err := w.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(object), Body: strings.NewReader(content)})
	return err
}

func (w *workload) read(ctx context.Context, bucket string) (string, error) {
	got, err := w.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String(object)})
	if err != nil {
		return "", err
	}
	defer got.Body.Close()
	content, err := io.ReadAll(got.Body)
	return string(content), err
}

// reads checks that the object of a bucket has this content.
func (w *workload) reads(ctx context.Context, bucket, want string) error {
	got, err := w.read(ctx, bucket)
	if err != nil {
		return fmt.Errorf("reading s3://%s/%s: %w", bucket, object, err)
	}
	if got != want {
		return fmt.Errorf("s3://%s/%s has %q instead of %q", bucket, object, got, want)
	}
	return nil
}

// list is a request that every key of this demo can make in its bucket.
func (w *workload) list(ctx context.Context, bucket string) error {
	_, err := w.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
	return err
}

// refusal makes a request that must be answered 403 and returns the error code
// of S3. A server can answer 500 to a request in progress while its key is
// deleted; refusal retries such a request.
func refusal(what string, request func() error) (string, error) {
	var err error
	for range 3 {
		err = request()
		if err == nil {
			return "", fmt.Errorf("%s was allowed", what)
		}
		var answer *smithyhttp.ResponseError
		if !errors.As(err, &answer) || answer.HTTPStatusCode() < http.StatusInternalServerError {
			break
		}
	}
	var answer *smithyhttp.ResponseError
	var code smithy.APIError
	if errors.As(err, &answer) && answer.HTTPStatusCode() == http.StatusForbidden && errors.As(err, &code) {
		return code.ErrorCode(), nil
	}
	return "", fmt.Errorf("%s failed, but not with 403: %w", what, err)
}
