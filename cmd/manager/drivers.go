package main

import (
	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider/aws"
	"apitoken.dev/operator/internal/provider/registry"
)

// drivers lists every driver of this binary and where a spec holds its settings.
func drivers() (*registry.Registry, error) {
	return registry.New(
		registry.Entry{Driver: awsDriver{aws.New()}, Settings: awsSettings},
	)
}

// awsDriver names the keys of its credentials Secret, so that a missing one is
// told apart from a wrong one.
type awsDriver struct{ *aws.Driver }

// CredentialKeys returns the keys that the credentials Secret has to hold.
func (awsDriver) CredentialKeys() []string { return []string{aws.KeyID, aws.KeySecret} }

func awsSettings(spec *v1alpha1.ProviderSpec) (any, bool) {
	if spec.AWS == nil {
		return nil, false
	}
	return aws.Settings{
		IAMEndpoint:         spec.AWS.IAMEndpoint,
		S3Endpoint:          spec.AWS.S3Endpoint,
		Region:              spec.AWS.Region,
		CABundle:            spec.AWS.CABundle,
		PermissionsBoundary: spec.AWS.PermissionsBoundary,
	}, true
}
