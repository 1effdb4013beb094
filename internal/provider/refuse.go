package provider

import (
	"regexp"

	"apitoken.dev/operator/internal/credname"
)

// The keys of an S3 credential in a Secret, as the AWS SDKs read them.
const (
	S3KeyID     = "AWS_ACCESS_KEY_ID"
	S3KeySecret = "AWS_SECRET_ACCESS_KEY"
)

// CheckName returns an error, not in doubt, unless the request has a name that this
// operator makes.
func (r MintRequest) CheckName() error {
	if _, err := credname.Parse(r.Name); err != nil {
		return Invalid("the name of a credential is not one that this operator makes")
	}
	return nil
}

// NotGranted returns the error, not in doubt, of a Mint or an Update that a Refusal forbids.
func NotGranted(r *Refusal) *Error {
	e := Invalid("what was declared cannot be granted: " + r.Field + ": " + r.Message)
	e.Err = r
	return e
}

// bucketName is what the schema of an ApiToken admits.
var bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$`)

// RefuseBucketNames returns a Refusal for the first bucket that is neither * nor a name,
// or nil. A name has no character that means something else in a policy or in a path.
func RefuseBucketNames(grant Grant) *Refusal {
	for _, bucket := range grant.Buckets {
		if bucket != "*" && !bucketName.MatchString(bucket) {
			return &Refusal{
				Reason: RefusedBucket, Field: "spec.buckets", Value: bucket,
				Message: "a bucket is named by letters, digits, dots, underscores and hyphens, and at least two of them",
			}
		}
	}
	return nil
}

// RefuseNoExpiry returns a Refusal for a grant without an end, or nil.
func RefuseNoExpiry(grant Grant) *Refusal {
	if !grant.ExpiresAt.IsZero() {
		return nil
	}
	return &Refusal{
		Reason: RefusedLifetime, Field: "spec.expiresIn", Value: "none",
		Message: "every credential of this provider needs an expiry: declare expiresIn or expiresAt",
	}
}
