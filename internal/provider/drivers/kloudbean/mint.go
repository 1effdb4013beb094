package kloudbean

import (
	"context"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/s3probe"
)

// maxKey is the longest key that is accepted, in bytes: an ID in the status of an ApiToken
// cannot be longer. Keys of S3 servers have a few dozen.
const maxKey = 256

// Mint implements provider.Client. It creates nothing: it checks the keys that a
// user created, so every rejection is explicit.
func (c *client) Mint(ctx context.Context, req provider.MintRequest) (provider.Minted, error) {
	if err := ended(ctx, "check the key"); err != nil {
		return provider.Minted{}, err
	}
	if r := refuse((&Driver{}).Capabilities(), req.Grant); r != nil {
		return provider.Minted{}, provider.NotGranted(r)
	}
	if err := c.checkForm(req); err != nil {
		return provider.Minted{}, err
	}
	keys := s3probe.Keys{ID: req.Submitted[KeyID], Secret: req.Submitted[KeySecret]}
	wanted := permissions[req.Grant.Scopes[0]]
	found, err := s3probe.Probe(ctx, c.bucket(req.Grant), keys, wanted.want)
	if err != nil {
		return provider.Minted{}, err
	}
	if e := c.judge(found, req.Grant); e != nil {
		return provider.Minted{}, e
	}
	return provider.Minted{
		Credential: provider.Credential{Name: req.Name, ID: keys.ID.Reveal(), State: provider.Live},
		Secret:     map[string]provider.Value{KeyID: keys.ID, KeySecret: keys.Secret},
	}, nil
}

// checkForm checks the submitted credential. Its errors repeat no submitted value: any
// of them can be the secret under the wrong key.
func (c *client) checkForm(req provider.MintRequest) error {
	if req.Submitted == nil {
		return provider.Invalid("no credential was submitted: KloudBean has no API, so create the key at " + apiAccess + " > Add token")
	}
	for _, key := range []string{KeyID, KeySecret} {
		switch value := req.Submitted[key].Reveal(); {
		case value == "":
			return provider.Invalid("the submitted Secret has no " + key + ": copy it from the details of the token at " + apiAccess)
		case !wellFormed(value):
			return provider.Invalid("the submitted " + key + " has spaces, line breaks or other characters that no key has, or is too long: copy it again from the details of the token, and nothing else")
		}
	}
	if v := req.Submitted[keyEndpoint]; !v.Empty() && !sameEndpoint(v.Reveal(), c.settings.S3Endpoint) {
		return provider.Invalid("the submitted " + keyEndpoint + " is not spec.kloudbean.s3Endpoint, which is " + c.settings.S3Endpoint +
			": submit a key of that endpoint, or correct the provider")
	}
	if v := req.Submitted[keyBucket]; !v.Empty() && v.Reveal() != req.Grant.Buckets[0] {
		return provider.Invalid("the submitted " + keyBucket + " is not the bucket of spec.buckets, which is " + req.Grant.Buckets[0] +
			": create the key in that bucket, or correct spec.buckets")
	}
	return nil
}

// wellFormed reports whether a key consists of visible ASCII characters only.
func wellFormed(s string) bool {
	if len(s) > maxKey {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
