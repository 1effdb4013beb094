package kloudbean

import (
	"context"
	"errors"
	"iter"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/s3probe"
)

// client implements provider.Client and provider.Prober.
type client struct {
	settings settings
	// target of the checks, without a bucket.
	target s3probe.Target
}

// bucket is the target with the bucket of a grant that was not refused.
func (c *client) bucket(grant provider.Grant) s3probe.Target {
	target := c.target
	target.Bucket = grant.Buckets[0]
	return target
}

// Find implements provider.Client. Nothing is ever created under a name, and
// there is no API to ask.
func (*client) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	if err := ref.Check(); err != nil {
		return nil, err
	}
	return nil, ended(ctx, "look for the key")
}

// List implements provider.Client. There is no API to ask.
func (*client) List(ctx context.Context, _ provider.Owner) iter.Seq2[provider.Credential, error] {
	return func(yield func(provider.Credential, error) bool) {
		if err := ended(ctx, "list the keys"); err != nil {
			yield(provider.Credential{}, err)
		}
	}
}

// Revoke implements provider.Client. Nothing is ever made under a name; a user
// deletes submitted keys.
func (*client) Revoke(ctx context.Context, ref provider.Ref) error {
	if err := ended(ctx, "revoke the key"); err != nil {
		return err
	}
	if ref.ID == "" {
		return ref.Check()
	}
	return provider.Invalid("the operator cannot delete key " + ref.ID + ": delete it at " + apiAccess + ", in the bucket it was created in")
}

// Accepts implements provider.Prober: it uses the declared access. A key is gone only if
// the server answers that it does not know it; a live key can be denied because of its
// addresses or a policy.
func (c *client) Accepts(ctx context.Context, secret map[string]provider.Value, grant provider.Grant) (bool, error) {
	if r := refuse((&Driver{}).Capabilities(), grant); r != nil {
		e := provider.Invalid("cannot tell whether the key still works: the declaration names no access to test: " + r.Message)
		e.Err = r
		return false, e
	}
	keys := s3probe.Keys{ID: secret[KeyID], Secret: secret[KeySecret]}
	if keys.ID.Empty() || keys.Secret.Empty() {
		return false, provider.Invalid("cannot tell whether the key still works: " + KeyID + " and " + KeySecret + " of it are no longer known. " + confirm)
	}
	answer, err := s3probe.Ask(ctx, c.bucket(grant), keys, permissions[grant.Scopes[0]].want)
	if err != nil {
		return false, err
	}
	if said, open := why[answer]; open {
		return false, &provider.Error{
			Code: provider.CodeUnknown, Message: "cannot tell whether the key still works: " + said + ". " + confirm,
		}
	}
	return answer != s3probe.UnknownKey, nil
}

// confirm tells a user what to do when no probe can prove a deletion.
const confirm = "If the key is deleted at " + apiAccess + ", confirm it"

// why an answer does not prove that a key is gone.
var why = map[s3probe.Answer]string{
	s3probe.Denied:      "the server denies access (AccessDenied), which it also does to a key that exists, for an address or a policy",
	s3probe.WrongSecret: "the server does not accept the signature (SignatureDoesNotMatch), which it also says of a key that exists",
	s3probe.NoBucket:    "the bucket no longer exists (NoSuchBucket)",
}

// ended returns an error, in doubt, when the context has ended.
func ended(ctx context.Context, what string) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	e := &provider.Error{Code: provider.CodeUnavailable, Err: err, Message: "could not " + what + ": its deadline passed"}
	if errors.Is(err, context.Canceled) {
		e.Message = "could not " + what + ": it was canceled"
	}
	return e
}
