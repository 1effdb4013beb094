package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"apitoken.dev/operator/internal/provider"
)

const fieldEndpoint = "spec.aws.iamEndpoint"

// Server implements provider.Located. Without an endpoint in the settings, it is
// the SDK's default endpoint for the partition of the region.
func (*Driver) Server(ctx context.Context, cfg provider.Config) provider.Server {
	s, err := settingsOf(cfg)
	if err != nil {
		return provider.Server{Declared: true} // Connect reports the error
	}
	if s.IAMEndpoint != "" {
		return provider.ServerAt(fieldEndpoint, s.IAMEndpoint)
	}
	resolved, err := iam.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, iam.EndpointParameters{Region: aws.String(s.Region)})
	if err != nil {
		return provider.Server{Declared: true} // Connect reports the error
	}
	return provider.ServerAt(fieldEndpoint, resolved.URI.String())
}
