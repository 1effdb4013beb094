package e2e

import (
	"context"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers/aws"
	"apitoken.dev/operator/test/e2e/gateway"
	"apitoken.dev/operator/test/support/conformance"
)

// iamError is an answer in the form of the IAM API.
func iamError(status int, code string, header http.Header) conformance.Answer {
	return conformance.Answer{Status: status, Header: header, Body: `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>` +
		code + `</Code><Message>` + conformance.RawText + `</Message></Error><RequestId>r</RequestId></ErrorResponse>`}
}

func TestConformance(t *testing.T) {
	way := &conformance.Transport{
		Rejection: iamError(http.StatusForbidden, "AccessDenied", nil),
		TooMany:   iamError(http.StatusBadRequest, "Throttling", http.Header{"Retry-After": {"1"}}),
	}
	conformance.Run(t, conformance.Harness{
		Driver:     aws.New(),
		Config:     config(way),
		Grant:      func() provider.Grant { return grant("objectstorage:object-read-only") },
		SecretKeys: []string{aws.KeyID, aws.KeySecret},
		Wrong:      credentials(gateway.Keys{AccessKeyID: minter.AccessKeyID, SecretAccessKey: "not-the-secret"}),
		Alive: func(ctx context.Context, m provider.Minted) (bool, error) {
			return allowed(func() error {
				_, err := server.S3(keysOf(m)).ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: ptr(datasets)})
				return err
			})
		},
		Refused: map[string]conformance.Refused{
			"a scope of another product": {
				Change: func(r *provider.MintRequest) { r.Grant.Scopes = []string{"billing:read-only"} },
				Reason: provider.RefusedScope, Field: "spec.scopes",
			},
		},
		Faults: way.Faults(),
	})
}

func ptr(s string) *string { return &s }
