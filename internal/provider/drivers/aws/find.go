package aws

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
)

// rootPath holds every user of every cluster, so that a policy can name them all.
const rootPath = "/apitoken/"

// maxPage is how many users one page of a list holds: IAM admits 1000 (IAM API
// reference, ListUsers), and with 500 of them a page stays under bounded.MaxBody.
const maxPage = 500

// path is the IAM path of the users of a namespace.
func path(cluster, namespace string) string { return clusterPath(cluster) + namespace + "/" }

func clusterPath(cluster string) string { return rootPath + cluster + "/" }

// Find implements provider.Client. A user name is unique, so an ID is not needed.
func (c *client) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	if err := ref.Check(); err != nil {
		return nil, err
	}
	got, err := c.iam.GetUser(ctx, &iam.GetUserInput{UserName: aws.String(ref.Name)})
	if err != nil {
		return nil, c.unlessGone(ctx, "iam:GetUser", ref.Name, err)
	}
	if got.User == nil || aws.ToString(got.User.UserName) != ref.Name {
		return nil, nonsense("iam:GetUser", "with another user than the one asked for")
	}
	return c.describe(ctx, *got.User)
}

// List implements provider.Client.
func (c *client) List(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
	prefix := clusterPath(owner.Cluster)
	if owner.Token != "" {
		prefix = path(owner.Cluster, owner.Namespace)
	}
	return func(yield func(provider.Credential, error) bool) {
		for user, err := range c.users(ctx, prefix, provider.CursorOf(ctx)) {
			if err != nil {
				yield(provider.Credential{}, err)
				return
			}
			if !owner.Owns(aws.ToString(user.UserName)) {
				continue
			}
			found, err := c.describe(ctx, user)
			if err != nil {
				yield(provider.Credential{}, err)
				return
			}
			for _, credential := range found {
				if !yield(credential, nil) {
					return
				}
			}
		}
	}
}

// users yields every user whose path begins with prefix, starting at the page of the
// cursor. A nil cursor starts at the first page.
func (c *client) users(ctx context.Context, prefix string, cursor *provider.Cursor) iter.Seq2[types.User, error] {
	return func(yield func(types.User, error) bool) {
		first := &iam.ListUsersInput{PathPrefix: aws.String(prefix), MaxItems: aws.Int32(maxPage)}
		if start := cursor.Start(); start != "" {
			first.Marker = aws.String(start)
		}
		pages := iam.NewListUsersPaginator(c.iam, first)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(types.User{}, failure("iam:ListUsers", err))
				return
			}
			if err := usersOf(page); err != nil {
				yield(types.User{}, err)
				return
			}
			for _, user := range page.Users {
				if !yield(user, nil) {
					return
				}
			}
			cursor.Advance(aws.ToString(page.Marker))
		}
	}
}

// usersOf checks one page of users.
func usersOf(page *iam.ListUsersOutput) error {
	for _, user := range page.Users {
		if aws.ToString(user.UserName) == "" {
			return nonsense("iam:ListUsers", "with users that have no name")
		}
	}
	return whole("iam:ListUsers", page.Users != nil, page.IsTruncated, page.Marker)
}

// describe returns one credential for each access key of a user. A user without keys
// is one Disabled credential; a user that no longer exists has no credential.
func (c *client) describe(ctx context.Context, user types.User) ([]provider.Credential, error) {
	name := aws.ToString(user.UserName)
	keys, err := c.keys(ctx, name)
	if err != nil {
		return nil, c.unlessGone(ctx, "iam:ListAccessKeys", name, err)
	}
	base := provider.Credential{Name: name, State: provider.Disabled, CreatedAt: aws.ToTime(user.CreateDate), ExpiresAt: expiryTag(user.Tags)}
	if len(keys) == 0 {
		return []provider.Credential{base}, nil
	}
	out := make([]provider.Credential, 0, len(keys))
	for _, key := range keys {
		one := base
		one.ID = aws.ToString(key.AccessKeyId)
		one.State = stateOf(key.Status)
		out = append(out, one)
	}
	return out, nil
}

// stateOf is the state of an access key. An Inactive key can be made Active again, and
// an Expired one still belongs to its user (AccessKeyMetadata in the IAM API reference).
// Any other status, even an undocumented one, may grant access.
func stateOf(status types.StatusType) provider.State {
	if status == types.StatusTypeInactive || status == types.StatusTypeExpired {
		return provider.Disabled
	}
	return provider.Live
}

// keys returns the access keys of a user. The error is the SDK's, unchanged, or a
// provider.Error for a response that is not a list.
func (c *client) keys(ctx context.Context, name string) ([]types.AccessKeyMetadata, error) {
	var out []types.AccessKeyMetadata
	pages := iam.NewListAccessKeysPaginator(c.iam, &iam.ListAccessKeysInput{UserName: aws.String(name)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		if err := whole("iam:ListAccessKeys", page.AccessKeyMetadata != nil, page.IsTruncated, page.Marker); err != nil {
			return nil, err
		}
		for _, key := range page.AccessKeyMetadata {
			if aws.ToString(key.AccessKeyId) == "" {
				return nil, nonsense("iam:ListAccessKeys", "with keys that have no id")
			}
			out = append(out, key)
		}
	}
	return out, nil
}

// expiryTag returns the expiry in the tags of a user. It is zero if the tag is missing;
// AWS returns no tags from ListUsers.
func expiryTag(tags []types.Tag) time.Time {
	for _, tag := range tags {
		if aws.ToString(tag.Key) != tagExpires {
			continue
		}
		if t, err := time.Parse(time.RFC3339, aws.ToString(tag.Value)); err == nil {
			return t
		}
	}
	return time.Time{}
}

// unlessGone returns nil if err means that the user does not exist. For an unknown name,
// IAM answers AccessDenied to a minting credential that is limited to the operator's path,
// because an unknown name has no path. In that case the list of users decides.
func (c *client) unlessGone(ctx context.Context, action, name string, err error) error {
	var known *provider.Error
	switch {
	case hasCode(err, "NoSuchEntity"):
		return nil
	case errors.As(err, &known):
		return known
	}
	parsed, foreign := credname.Parse(name)
	if failure(action, err).Code != provider.CodePermissionDenied || foreign != nil {
		return failure(action, err)
	}
	for user, listErr := range c.users(ctx, rootPath+parsed.Cluster, nil) {
		if listErr != nil {
			return listErr
		}
		if aws.ToString(user.UserName) == name {
			return failure(action, err)
		}
	}
	return nil
}
