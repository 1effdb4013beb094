package aws

import "slices"

// The scopes an S3 account can grant, see docs/providers/aws.md.
const (
	scopeAdminReadWrite  = "objectstorage:admin-read-write"
	scopeAdminReadOnly   = "objectstorage:admin-read-only"
	scopeObjectReadWrite = "objectstorage:object-read-write"
	scopeObjectReadOnly  = "objectstorage:object-read-only"
	scopeObjectWriteOnly = "objectstorage:object-write-only"
)

// actions are the S3 actions of one scope, by the kind of resource that their ARN names
// (Service Authorization Reference, "Amazon S3").
type actions struct {
	// bucket actions work on arn:aws:s3:::name.
	bucket []string
	// object actions work on arn:aws:s3:::name/*.
	object []string
	// everyBucket is added to bucket when all buckets are declared.
	everyBucket []string
}

// anyAction is every action of S3.
const anyAction = "s3:*"

// scopeTable is what each scope allows. A test compares it with docs/providers/aws.md.
var scopeTable = map[string]actions{
	scopeObjectReadOnly: {
		bucket: []string{"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketVersions"},
		object: []string{
			"s3:GetObject", "s3:GetObjectAttributes", "s3:GetObjectTagging",
			"s3:GetObjectVersion", "s3:GetObjectVersionAttributes", "s3:GetObjectVersionTagging",
		},
	},
	// Upload and overwrite: neither list nor read nor delete.
	scopeObjectWriteOnly: {
		bucket: []string{"s3:GetBucketLocation"},
		object: []string{
			"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject", "s3:PutObjectTagging",
		},
	},
	// Permanent deletion of a version needs admin-read-write.
	scopeObjectReadWrite: {
		bucket: []string{
			"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions",
		},
		object: []string{
			"s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectTagging",
			"s3:GetObject", "s3:GetObjectAttributes", "s3:GetObjectTagging",
			"s3:GetObjectVersion", "s3:GetObjectVersionAttributes", "s3:GetObjectVersionTagging",
			"s3:ListMultipartUploadParts", "s3:PutObject", "s3:PutObjectTagging",
		},
	},
	// The configuration of buckets and the names of objects, not their content.
	scopeAdminReadOnly: {
		bucket:      []string{"s3:Get*Configuration", "s3:GetBucket*", "s3:ListBucket*"},
		everyBucket: []string{"s3:ListAllMyBuckets"},
	},
	scopeAdminReadWrite: {bucket: []string{anyAction}, object: []string{anyAction}},
}

// grantable returns every scope, sorted.
func grantable() []string {
	out := make([]string, 0, len(scopeTable))
	for scope := range scopeTable {
		out = append(out, scope)
	}
	slices.Sort(out)
	return out
}

// union returns what several scopes allow together, sorted and without duplicates.
func union(scopes []string, everyBucket bool) actions {
	var all actions
	for _, scope := range scopes {
		of := scopeTable[scope]
		all.bucket = append(all.bucket, of.bucket...)
		all.object = append(all.object, of.object...)
		if everyBucket {
			all.bucket = append(all.bucket, of.everyBucket...)
		}
	}
	return actions{bucket: distinct(all.bucket), object: distinct(all.object)}
}

func distinct(list []string) []string {
	if slices.Contains(list, anyAction) {
		return []string{anyAction}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
