package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"apitoken.dev/operator/internal/provider"
)

// Revoke implements provider.Client. Every request carries the name, and IAM deletes
// a key only of the user that it names. The access keys go first: once they are
// gone there is no access, even if a later step fails.
func (c *client) Revoke(ctx context.Context, ref provider.Ref) error {
	if err := ref.Check(); err != nil {
		return err
	}
	if gone, err := c.endAccess(ctx, ref.Name); gone || err != nil {
		return err
	}
	return c.remove(ctx, ref.Name)
}

// endAccess deletes every access key of a user; gone reports that the user does not exist.
func (c *client) endAccess(ctx context.Context, name string) (gone bool, err error) {
	keys, err := c.keys(ctx, name)
	if err != nil {
		err = c.unlessGone(ctx, "iam:ListAccessKeys", name, err)
		return err == nil, err
	}
	for _, key := range keys {
		_, err := c.iam.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{
			UserName: aws.String(name), AccessKeyId: key.AccessKeyId,
		})
		if err != nil && !hasCode(err, "NoSuchEntity") {
			return false, failure("iam:DeleteAccessKey", err)
		}
	}
	return false, nil
}

// remove deletes the inline policies of a user without keys, then the user.
func (c *client) remove(ctx context.Context, name string) error {
	if gone, err := c.removePolicies(ctx, name); gone || err != nil {
		return err
	}
	_, err := c.iam.DeleteUser(ctx, &iam.DeleteUserInput{UserName: aws.String(name)})
	switch {
	case err == nil:
		return nil
	case hasCode(err, "DeleteConflict"):
		e := failure("iam:DeleteUser", err)
		e.Message = "iam:DeleteUser: the keys are deleted, but the user still has attachments that the operator did not create; remove them in IAM (DeleteConflict)"
		return e
	default:
		return c.unlessGone(ctx, "iam:DeleteUser", name, err)
	}
}

// removePolicies deletes every inline policy of a user; gone reports that the
// user does not exist. If the server cannot list policies, the policy that Mint created
// is deleted.
func (c *client) removePolicies(ctx context.Context, name string) (gone bool, err error) {
	pages := iam.NewListUserPoliciesPaginator(c.iam, &iam.ListUserPoliciesInput{UserName: aws.String(name)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		switch {
		case err != nil && unserved(err):
			return false, c.removePolicy(ctx, name, policyName)
		case err != nil:
			err = c.unlessGone(ctx, "iam:ListUserPolicies", name, err)
			return err == nil, err
		}
		if err := whole("iam:ListUserPolicies", page.PolicyNames != nil, page.IsTruncated, page.Marker); err != nil {
			return false, err
		}
		for _, policy := range page.PolicyNames {
			if policy == "" {
				return false, nonsense("iam:ListUserPolicies", "with policies that have no name")
			}
			if err := c.removePolicy(ctx, name, policy); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

func (c *client) removePolicy(ctx context.Context, name, policy string) error {
	_, err := c.iam.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: aws.String(name), PolicyName: aws.String(policy)})
	if err != nil && !hasCode(err, "NoSuchEntity") {
		return failure("iam:DeleteUserPolicy", err)
	}
	return nil
}
