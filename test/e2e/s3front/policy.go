package s3front

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Permission is what a key allows in its buckets.
type Permission string

// The permissions that vendors offer.
const (
	// Read lists and reads objects.
	Read Permission = "read"
	// Write writes objects, and neither reads, lists nor deletes them.
	Write Permission = "write"
	// ReadWrite does both, and deletes objects.
	ReadWrite Permission = "read-write"
	// AdminRead lists and reads objects and the configuration of buckets.
	AdminRead Permission = "admin-read"
	// Admin does everything.
	Admin Permission = "admin"
)

// Access is what a key grants access to.
type Access struct {
	Permission Permission
	// Buckets it grants access to; nil: all of them, including those made later.
	Buckets []string
	// AllowedIPs are the addresses and ranges it can be used from; empty: any.
	AllowedIPs []string
	// DeniedIPs are those it must not be used from, even if AllowedIPs has them.
	DeniedIPs []string
	// Until is when it expires; zero: never.
	Until time.Time
}

var (
	reading = []string{"s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket"}
	writing = []string{"s3:AbortMultipartUpload", "s3:GetBucketLocation", "s3:ListMultipartUploadParts", "s3:PutObject"}
)

// actions of each permission (AWS Service Authorization Reference, "Amazon S3").
var actions = map[Permission][]string{
	Read:      reading,
	Write:     writing,
	ReadWrite: slices.Concat(reading, writing, []string{"s3:DeleteObject", "s3:ListBucketMultipartUploads"}),
	AdminRead: slices.Concat(reading, []string{"s3:Get*Configuration", "s3:GetBucket*", "s3:ListAllMyBuckets", "s3:ListBucket*"}),
	Admin:     {"s3:*"},
}

type document struct {
	Version   string
	Statement []statement
}

type statement struct {
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string][]string `json:",omitempty"`
}

// policy returns the access as an IAM policy.
func (a Access) policy() (string, error) {
	allowed, ok := actions[a.Permission]
	if !ok {
		return "", fmt.Errorf("there is no permission %q", a.Permission)
	}
	resources := []string{"arn:aws:s3:::*"}
	if a.Buckets != nil {
		resources = nil
		for _, bucket := range a.Buckets {
			resources = append(resources, "arn:aws:s3:::"+bucket, "arn:aws:s3:::"+bucket+"/*")
		}
	}
	from, err := ranges(a.AllowedIPs)
	if err != nil {
		return "", err
	}
	notFrom, err := ranges(a.DeniedIPs)
	if err != nil {
		return "", err
	}
	condition := map[string]map[string][]string{}
	if !a.Until.IsZero() {
		condition["DateLessThan"] = map[string][]string{"aws:CurrentTime": {a.Until.UTC().Format(time.RFC3339)}}
	}
	if len(from) > 0 {
		condition["IpAddress"] = map[string][]string{"aws:SourceIp": from}
	}
	doc := document{Version: "2012-10-17", Statement: []statement{
		{Effect: "Allow", Action: allowed, Resource: resources, Condition: condition},
	}}
	if len(notFrom) > 0 {
		doc.Statement = append(doc.Statement, statement{
			Effect: "Deny", Action: []string{"s3:*"}, Resource: []string{"*"},
			Condition: map[string]map[string][]string{"IpAddress": {"aws:SourceIp": notFrom}},
		})
	}
	out, err := json.Marshal(doc)
	return string(out), err
}

// ranges checks addresses and ranges: the real server accepts any text, and never
// applies an invalid one.
func ranges(list []string) ([]string, error) {
	out := make([]string, 0, len(list))
	for _, text := range list {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("%q is no address and no range of them", text)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		out = append(out, prefix.Masked().String())
	}
	return out, nil
}
