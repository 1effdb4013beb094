// Package drivers lists the drivers of the operator and where a provider's spec holds
// their settings. The operator and the kubectl plugin share it.
package drivers

import (
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider/drivers/aws"
	"apitoken.dev/operator/internal/provider/drivers/crusoe"
	"apitoken.dev/operator/internal/provider/drivers/ibee"
	"apitoken.dev/operator/internal/provider/drivers/kloudbean"
	"apitoken.dev/operator/internal/provider/drivers/proxyscrape"
	"apitoken.dev/operator/internal/provider/drivers/rest"
	"apitoken.dev/operator/internal/provider/registry"
)

// New returns every driver, and where a spec holds its settings.
func New() (*registry.Registry, error) {
	return registry.New(
		registry.Entry{Driver: awsDriver{aws.New()}, Settings: awsSettings},
		registry.Entry{Driver: ibee.New(), Settings: ibeeSettings},
		registry.Entry{Driver: crusoe.New(clock.NewReal()), Settings: crusoeSettings},
		registry.Entry{Driver: proxyscrape.New(), Settings: proxyScrapeSettings},
		registry.Entry{Driver: kloudbean.New(), Settings: kloudBeanSettings},
		registry.Entry{Driver: rest.New(), Settings: restSettings},
	)
}

// awsDriver names the keys of its credentials Secret, so that a missing one is
// told apart from a wrong one.
type awsDriver struct{ *aws.Driver }

// CredentialKeys returns the keys that the credentials Secret has to hold.
func (awsDriver) CredentialKeys() []string { return []string{aws.KeyID, aws.KeySecret} }

func awsSettings(spec registry.Spec) (any, bool) {
	if spec.AWS == nil {
		return nil, false
	}
	return aws.Settings{
		IAMEndpoint:         spec.AWS.IAMEndpoint,
		S3Endpoint:          spec.AWS.S3Endpoint,
		Region:              spec.AWS.Region,
		PermissionsBoundary: spec.AWS.PermissionsBoundary,
	}, true
}

func ibeeSettings(spec registry.Spec) (any, bool) {
	if spec.IBEE == nil {
		return nil, false
	}
	return ibee.Settings{WorkspaceID: spec.IBEE.WorkspaceID, Endpoint: spec.IBEE.Endpoint, S3Endpoint: spec.IBEE.S3Endpoint}, true
}

func crusoeSettings(spec registry.Spec) (any, bool) {
	if spec.Crusoe == nil {
		return nil, false
	}
	return crusoe.Settings{
		OrganizationID: spec.Crusoe.OrganizationID, Location: spec.Crusoe.Location,
		Endpoint: spec.Crusoe.Endpoint, S3Endpoint: spec.Crusoe.S3Endpoint,
	}, true
}

func proxyScrapeSettings(spec registry.Spec) (any, bool) {
	if spec.ProxyScrape == nil {
		return nil, false
	}
	return proxyscrape.Settings{Endpoint: spec.ProxyScrape.Endpoint}, true
}

func kloudBeanSettings(spec registry.Spec) (any, bool) {
	if spec.KloudBean == nil {
		return nil, false
	}
	return kloudbean.Settings{S3Endpoint: spec.KloudBean.S3Endpoint, Region: spec.KloudBean.Region}, true
}

func restSettings(spec registry.Spec) (any, bool) {
	if spec.Rest == nil {
		return nil, false
	}
	return registry.RestSettings(spec.Rest), true
}
