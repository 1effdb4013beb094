package e2e

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"apitoken.dev/operator/internal/provider/drivers/aws"
)

// present is an object that exists before every test of scopes.
const present = "present.txt"

// operations are the requests that tell the scopes apart.
var operations = map[string]func(ctx context.Context, c *s3.Client, bucket string) error{
	"read": func(ctx context.Context, c *s3.Client, bucket string) error {
		out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: ptr(present)})
		if err != nil {
			return err
		}
		return out.Body.Close()
	},
	"list": func(ctx context.Context, c *s3.Client, bucket string) error {
		_, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
		return err
	},
	"write": func(ctx context.Context, c *s3.Client, bucket string) error {
		_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: ptr("written.txt"), Body: strings.NewReader("new")})
		return err
	},
	"delete": func(ctx context.Context, c *s3.Client, bucket string) error {
		_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: ptr("gone.txt")})
		return err
	},
	"upload in parts": func(ctx context.Context, c *s3.Client, bucket string) error {
		key := ptr("parts-" + rand.Text())
		up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: key})
		if err != nil {
			return err
		}
		_, err = c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &bucket, Key: key, UploadId: up.UploadId})
		return err
	},
	"list uploads": func(ctx context.Context, c *s3.Client, bucket string) error {
		_, err := c.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &bucket})
		return err
	},
	"locate": func(ctx context.Context, c *s3.Client, bucket string) error {
		_, err := c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: &bucket})
		return err
	},
	"read configuration": func(ctx context.Context, c *s3.Client, bucket string) error {
		_, err := c.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: &bucket})
		return err
	},
	"write configuration": func(ctx context.Context, c *s3.Client, bucket string) error {
		_, err := c.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: &bucket, Tagging: &types.Tagging{
			TagSet: []types.Tag{{Key: ptr("k"), Value: ptr("v")}},
		}})
		return err
	},
}

// everywhere are the requests that name no existing bucket.
var everywhere = map[string]func(ctx context.Context, c *s3.Client) error{
	"list all buckets": func(ctx context.Context, c *s3.Client) error {
		_, err := c.ListBuckets(ctx, &s3.ListBucketsInput{})
		return err
	},
	"create a bucket": func(ctx context.Context, c *s3.Client) error {
		_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: ptr("made-" + strings.ToLower(rand.Text()))})
		return err
	},
}

// granted is what each scope allows, independent of the driver's own table.
var granted = map[string]struct{ bucket, everywhere []string }{
	"objectstorage:object-read-only":  {bucket: []string{"read", "list", "locate"}},
	"objectstorage:object-write-only": {bucket: []string{"write", "upload in parts", "locate"}},
	"objectstorage:object-read-write": {bucket: []string{"read", "list", "write", "delete", "upload in parts", "list uploads", "locate"}},
	"objectstorage:admin-read-only": {
		bucket:     []string{"list", "list uploads", "locate", "read configuration"},
		everywhere: []string{"list all buckets"},
	},
	"objectstorage:admin-read-write": {
		bucket: []string{
			"read", "list", "write", "delete", "upload in parts", "list uploads", "locate",
			"read configuration", "write configuration",
		},
		everywhere: []string{"list all buckets", "create a bucket"},
	},
}

func putPresent(t *testing.T) {
	t.Helper()
	root := server.S3(server.Root())
	for _, bucket := range []string{datasets, other} {
		_, err := root.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: ptr(present), Body: strings.NewReader("here")})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestScopesAllowTheirOperationsInTheGrantedBucketOnly(t *testing.T) {
	putPresent(t)
	for scope, want := range granted {
		t.Run(scope, func(t *testing.T) {
			client := server.S3(keysOf(connect(t).mint(grant(scope))))
			for name, operation := range operations {
				wantAllowed(t, name, slices.Contains(want.bucket, name), func() error { return operation(t.Context(), client, datasets) })
				wantAllowed(t, name+" in another bucket", false, func() error { return operation(t.Context(), client, other) })
			}
			for name, operation := range everywhere {
				wantAllowed(t, name, false, func() error { return operation(t.Context(), client) })
			}
		})
	}
}

func TestScopesAllowTheirOperationsInEveryBucket(t *testing.T) {
	putPresent(t)
	for scope, want := range granted {
		t.Run(scope, func(t *testing.T) {
			all := grant(scope)
			all.Buckets = []string{"*"}
			client := server.S3(keysOf(connect(t).mint(all)))
			for name, operation := range operations {
				for _, bucket := range []string{datasets, other} {
					wantAllowed(t, name+" in "+bucket, slices.Contains(want.bucket, name), func() error {
						return operation(t.Context(), client, bucket)
					})
				}
			}
			for name, operation := range everywhere {
				wantAllowed(t, name, slices.Contains(want.everywhere, name), func() error { return operation(t.Context(), client) })
			}
		})
	}
}

// TestEveryScopeIsTested: granted has every scope of the driver.
func TestEveryScopeIsTested(t *testing.T) {
	for _, scope := range aws.New().Capabilities().Scopes {
		if _, ok := granted[scope]; !ok {
			t.Errorf("no test says what %s allows", scope)
		}
	}
}
