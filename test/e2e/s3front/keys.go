package s3front

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/e2e/gateway"
)

// Key is a key that a vendor has made.
type Key struct {
	AccessKeyID string
	Secret      provider.Value
	Access      Access
}

// entry is a vendor's key, and the IAM user that its requests are carried out as.
type entry struct {
	secret  string
	user    string
	iam     gateway.Keys
	deleted bool
}

// Create creates the real key behind a vendor's key: a user with a policy, then its key. A
// deleted key can be created again with the same secret, as by a vendor that disables and
// enables a key.
func (f *Front) Create(ctx context.Context, key Key) error {
	policy, err := key.Access.policy()
	if err != nil {
		return err
	}
	before, known := f.key(key.AccessKeyID)
	again := before.deleted && before.secret == key.Secret.Reveal()
	if known && !again || key.AccessKeyID == "" || key.Secret.Empty() {
		return fmt.Errorf("key %q already existed, or its id or secret is empty", key.AccessKeyID)
	}
	made := entry{secret: key.Secret.Reveal(), user: "vendor-" + strings.ToLower(rand.Text())}
	if made.iam, err = f.makeUser(ctx, made.user, policy); err != nil {
		return errors.Join(fmt.Errorf("making the user behind key %s: %w", key.AccessKeyID, err), f.remove(context.WithoutCancel(ctx), made))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys[key.AccessKeyID] = made
	return nil
}

func (f *Front) makeUser(ctx context.Context, name, policy string) (gateway.Keys, error) {
	if _, err := f.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: &name}); err != nil {
		return gateway.Keys{}, err
	}
	if err := f.setPolicy(ctx, name, policy); err != nil {
		return gateway.Keys{}, err
	}
	made, err := f.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		return gateway.Keys{}, err
	}
	return gateway.Keys{
		AccessKeyID: aws.ToString(made.AccessKey.AccessKeyId), SecretAccessKey: aws.ToString(made.AccessKey.SecretAccessKey),
	}, nil
}

func (f *Front) setPolicy(ctx context.Context, user, policy string) error {
	_, err := f.iam.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &user, PolicyName: &user, PolicyDocument: &policy})
	return err
}

// Change changes the access of a vendor's key.
func (f *Front) Change(ctx context.Context, accessKeyID string, access Access) error {
	policy, err := access.policy()
	if err != nil {
		return err
	}
	k, known := f.key(accessKeyID)
	if !known {
		return fmt.Errorf("there is no key %q", accessKeyID)
	}
	if err := f.setPolicy(ctx, k.user, policy); err != nil {
		return fmt.Errorf("changing the access of key %s: %w", accessKeyID, err)
	}
	return nil
}

// Delete deletes the real key behind a vendor's key, and its user. It can be called again.
func (f *Front) Delete(ctx context.Context, accessKeyID string) error {
	k, known := f.key(accessKeyID)
	if !known {
		return fmt.Errorf("there is no key %q", accessKeyID)
	}
	if err := f.remove(ctx, k); err != nil {
		return fmt.Errorf("deleting the user behind key %s: %w", accessKeyID, err)
	}
	k.deleted = true
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys[accessKeyID] = k
	return nil
}

// Close deletes all remaining keys and users at the real server.
func (f *Front) Close(ctx context.Context) error {
	f.mu.Lock()
	var all []string
	for id := range f.keys {
		all = append(all, id)
	}
	f.mu.Unlock()
	slices.Sort(all)
	var errs []error
	for _, id := range all {
		errs = append(errs, f.Delete(ctx, id))
	}
	return errors.Join(errs...)
}

// remove deletes a user and everything that belongs to it, its keys first.
func (f *Front) remove(ctx context.Context, k entry) error {
	listed, err := f.iam.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: &k.user})
	if err != nil {
		return unlessGone(err)
	}
	for _, key := range listed.AccessKeyMetadata {
		_, err := f.iam.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: &k.user, AccessKeyId: key.AccessKeyId})
		if err := unlessGone(err); err != nil {
			return err
		}
	}
	_, err = f.iam.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: &k.user, PolicyName: &k.user})
	if err := unlessGone(err); err != nil {
		return err
	}
	_, err = f.iam.DeleteUser(ctx, &iam.DeleteUserInput{UserName: &k.user})
	return unlessGone(err)
}

// unlessGone returns nil if the error says that an object does not exist.
func unlessGone(err error) error {
	var gone *types.NoSuchEntityException
	if errors.As(err, &gone) {
		return nil
	}
	return err
}
