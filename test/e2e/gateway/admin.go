package gateway

import (
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Keys are an access key and its secret.
type Keys struct {
	AccessKeyID, SecretAccessKey string
}

// Root returns the keys of the root user.
func (g *Gateway) Root() Keys {
	return Keys{AccessKeyID: g.RootAccessKey, SecretAccessKey: g.RootSecretKey}
}

// S3 returns a client of the S3 server that never retries, so that a test sees
// the answer to the request it made.
func (g *Gateway) S3(k Keys) *s3.Client {
	return s3.New(s3.Options{
		Region:       Region,
		BaseEndpoint: aws.String(g.S3Endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider(k.AccessKeyID, k.SecretAccessKey, ""),
		UsePathStyle: true,
		Retryer:      aws.NopRetryer{},
	})
}

// IAM returns a client of the IAM server.
func (g *Gateway) IAM(k Keys) *iam.Client {
	return iam.New(iam.Options{
		Region:       Region,
		BaseEndpoint: aws.String(g.IAMEndpoint),
		Credentials:  credentials.NewStaticCredentialsProvider(k.AccessKeyID, k.SecretAccessKey, ""),
	})
}

// CreateBuckets makes buckets as root. Names have at least three characters.
func (g *Gateway) CreateBuckets(ctx context.Context, names ...string) error {
	client := g.S3(g.Root())
	for _, name := range names {
		if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name}); err != nil {
			return fmt.Errorf("making bucket %s: %w", name, err)
		}
	}
	return nil
}

// CreateUser makes an IAM user at the path / with exactly one inline policy,
// read from policyFile, and returns its access key.
func (g *Gateway) CreateUser(ctx context.Context, name, policyFile string) (Keys, error) {
	policy, err := os.ReadFile(policyFile)
	if err != nil {
		return Keys{}, err
	}
	client := g.IAM(g.Root())
	if _, err := client.CreateUser(ctx, &iam.CreateUserInput{UserName: &name}); err != nil {
		return Keys{}, fmt.Errorf("making user %s: %w", name, err)
	}
	_, err = client.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
		UserName: &name, PolicyName: &name, PolicyDocument: aws.String(string(policy)),
	})
	if err != nil {
		return Keys{}, fmt.Errorf("giving user %s its policy: %w", name, err)
	}
	key, err := client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		return Keys{}, fmt.Errorf("making a key for user %s: %w", name, err)
	}
	return Keys{
		AccessKeyID:     aws.ToString(key.AccessKey.AccessKeyId),
		SecretAccessKey: aws.ToString(key.AccessKey.SecretAccessKey),
	}, nil
}
