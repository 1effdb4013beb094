package aws

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"apitoken.dev/operator/internal/provider"
)

// policyName is the name of the one inline policy of every user.
const policyName = "apitoken"

// The tags of every user.
const (
	tagCluster = "apitoken.dev/cluster"
	tagOwner   = "apitoken.dev/owner"
	tagExpires = "apitoken.dev/expires-at"
)

// maxTag is the longest value of a tag, in characters (IAM and STS quotas).
const maxTag = 256

// client implements provider.Client.
type client struct {
	iam      *iam.Client
	settings settings
	cluster  string
}

// once turns off the SDK's retries: the request may have been carried out.
func once(o *iam.Options) { o.Retryer = aws.NopRetryer{} }

// Mint implements provider.Client: user, then policy, then access key, so that
// a key never exists without its policy. Only a rejected CreateUser proves that
// nothing exists; after a failure of a later step, the user is found and revoked by name.
func (c *client) Mint(ctx context.Context, req provider.MintRequest) (provider.Minted, error) {
	if err := req.CheckName(); err != nil {
		return provider.Minted{}, err
	}
	doc, refusal := plan(c.settings, req.Grant)
	if refusal != nil {
		return provider.Minted{}, provider.NotGranted(refusal)
	}
	user, err := c.iam.CreateUser(ctx, c.user(req), once)
	if err != nil {
		e := created("iam:CreateUser", err)
		if hasCode(err, "NoSuchEntity") {
			e.Message = "iam:CreateUser: spec.aws.permissionsBoundary names a policy that does not exist (NoSuchEntity)"
		}
		return provider.Minted{}, e
	}
	if user.User == nil || aws.ToString(user.User.UserName) != req.Name {
		return provider.Minted{}, nonsense("iam:CreateUser", "with another user than the one asked for")
	}
	name := aws.String(req.Name)
	_, err = c.iam.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
		UserName: name, PolicyName: aws.String(policyName), PolicyDocument: aws.String(doc),
	}, once)
	if err != nil {
		return provider.Minted{}, failure("iam:PutUserPolicy", err)
	}
	made, err := c.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: name}, once)
	if err != nil {
		return provider.Minted{}, failure("iam:CreateAccessKey", err)
	}
	if made.AccessKey == nil {
		return provider.Minted{}, nonsense("iam:CreateAccessKey", "without a key")
	}
	return c.minted(req, user.User, made.AccessKey)
}

func (c *client) user(req provider.MintRequest) *iam.CreateUserInput {
	tag := func(key, value string) types.Tag {
		return types.Tag{Key: aws.String(key), Value: aws.String(value[:min(len(value), maxTag)])}
	}
	in := &iam.CreateUserInput{
		UserName: aws.String(req.Name),
		Path:     aws.String(path(req.Owner.Cluster, req.Owner.Namespace)),
		Tags: []types.Tag{
			tag(tagCluster, req.Owner.Cluster),
			tag(tagOwner, req.Owner.Namespace+"/"+req.Owner.Token),
			tag(tagExpires, expiry(req.Grant).Format(time.RFC3339)),
		},
	}
	if c.settings.PermissionsBoundary != "" {
		in.PermissionsBoundary = aws.String(c.settings.PermissionsBoundary)
	}
	return in
}

func (c *client) minted(req provider.MintRequest, user *types.User, key *types.AccessKey) (provider.Minted, error) {
	id, secret := aws.ToString(key.AccessKeyId), aws.ToString(key.SecretAccessKey)
	if id == "" || secret == "" {
		return provider.Minted{}, &provider.Error{
			Code: provider.CodeUnknown, Message: "iam:CreateAccessKey: the server answered without a key",
		}
	}
	out := provider.Minted{
		Credential: provider.Credential{
			Name: req.Name, ID: id, State: provider.Live,
			CreatedAt: aws.ToTime(user.CreateDate), ExpiresAt: expiry(req.Grant),
		},
		Secret: map[string]provider.Value{KeyID: provider.NewValue(id), KeySecret: provider.NewValue(secret)},
	}
	if c.settings.atAWS() {
		out.UsableAfter = usableAfter
	}
	return out, nil
}
