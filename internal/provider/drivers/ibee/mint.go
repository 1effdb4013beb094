package ibee

import (
	"context"
	"net/http"
	"slices"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// order is the body of a request for an S3 credential. Every field is sent: the vendor's
// defaults grant the most access.
type order struct {
	Name           string   `json:"name"`
	PermissionType string   `json:"permission_type"`
	BucketScope    string   `json:"bucket_scope"`
	AllowedBuckets []string `json:"allowed_buckets"`
}

// Mint implements provider.Client. One request makes the whole credential.
func (c *client) Mint(ctx context.Context, req provider.MintRequest) (provider.Minted, error) {
	if err := req.CheckName(); err != nil {
		return provider.Minted{}, err
	}
	p, refusal := plan(req.Grant)
	if refusal != nil {
		return provider.Minted{}, provider.NotGranted(refusal)
	}
	switch {
	case p.manual:
		return c.takeOver(ctx, req)
	case req.Submitted != nil:
		return provider.Minted{}, provider.Invalid("S3 credentials are created by the operator, and the submitted credential is not used: delete the handover Secret")
	}
	asked := order{Name: req.Name, PermissionType: p.permission, BucketScope: p.bucketScope, AllowedBuckets: p.buckets}
	var got struct {
		credential
		Secret string `json:"secret_access_key"`
	}
	_, err := c.call(ctx, httpapi.Request{
		What: "create the credential", Method: http.MethodPost, Path: credentialsPath, Body: asked, Into: &got,
	})
	if err != nil {
		return provider.Minted{}, err
	}
	if !accessKeyID.MatchString(got.AccessKeyID) || got.Secret == "" {
		return provider.Minted{}, unclear("could not create the credential: the provider answered without a key")
	}
	if field := deviation(asked, got.credential); field != "" {
		return provider.Minted{}, c.discard(ctx, got.AccessKeyID, field)
	}
	return provider.Minted{
		Credential: got.shown(),
		Secret:     map[string]provider.Value{KeyID: provider.NewValue(got.AccessKeyID), KeySecret: provider.NewValue(got.Secret)},
	}, nil
}

// deviation returns the first field in which a credential differs from the request, or "".
func deviation(asked order, got credential) string {
	sorted := func(list []string) []string { return slices.Sorted(slices.Values(list)) }
	switch {
	case got.Name != asked.Name:
		return "name"
	case got.Status != statusActive:
		return "status"
	case got.PermissionType != asked.PermissionType:
		return "permission_type"
	case got.BucketScope != asked.BucketScope:
		return "bucket_scope"
	case !slices.Equal(sorted(got.AllowedBuckets), sorted(asked.AllowedBuckets)):
		return "allowed_buckets"
	}
	return ""
}

// discard revokes a credential that differs from the request, by its id, because
// its name may be the difference. The error stays in doubt, so that the attempt
// is also revoked by name.
func (c *client) discard(ctx context.Context, id, field string) error {
	message := "the provider created a credential whose " + field + " differs from the request; "
	if err := c.end(ctx, id); err != nil {
		return &provider.Error{Code: provider.CodeUnknown, Err: err, Message: message + "revoking it failed: revoke the access key " + id + " in the portal"}
	}
	return &provider.Error{Code: provider.CodeUnknown, Message: message + "it was revoked at once"}
}
