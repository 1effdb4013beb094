// Package s3probe finds out what an S3 key can do, and whether a key is gone. Its requests
// leave no object behind if the key can delete. Drivers of manual keys use it.
package s3probe

import (
	"context"
	"crypto/rand"
	"net/http"

	"apitoken.dev/operator/internal/provider"
)

// Prefix begins the name of every object that a probe writes.
const Prefix = ".apitoken-probe/"

// WriteOnlyKey is the object that keys without the right to delete write. It is always
// the same, so that at most one is left in a bucket.
const WriteOnlyKey = Prefix + "write-only"

// content of every object that a probe writes.
const content = "written by apitoken-operator to check a key; it may be deleted\n"

// Target is a bucket on a server.
type Target struct {
	// Endpoint is the URL of the server; requests put the bucket in their path.
	Endpoint string
	// Field names Endpoint in errors, such as spec.aws.s3Endpoint.
	Field string
	// Region that requests are signed for.
	Region string
	Bucket string
	// HTTP carries the requests. It follows no redirect and limits the answers.
	HTTP *http.Client
	// UserAgent of every request, as product/version.
	UserAgent string
}

// Keys sign the requests.
type Keys struct{ ID, Secret provider.Value }

// Want is the access that a key must have. All other access is tested too, except
// deleting, and must be denied.
type Want struct{ Read, Write, Delete bool }

// Answer is the answer of a server to one request.
type Answer string

// The answers of a server; empty means that the request was not sent.
const (
	// Allowed: the request was carried out.
	Allowed Answer = "Allowed"
	// Denied: the key lacks this access, or may not be used from this address (AccessDenied).
	Denied Answer = "Denied"
	// UnknownKey: the server has no such key (InvalidAccessKeyId).
	UnknownKey Answer = "UnknownKey"
	// WrongSecret: the secret does not belong to the key (SignatureDoesNotMatch).
	WrongSecret Answer = "WrongSecret"
	// NoBucket: the server has no such bucket (NoSuchBucket).
	NoBucket Answer = "NoBucket"
)

// Finding has the answers to the requests of a probe.
type Finding struct {
	List, Put, Get, Delete Answer
	// Left is the name of an object that was written and could not be deleted; empty: none.
	Left string
}

// Failed returns the first answer about the key or the bucket as a whole; empty if every
// answer is about one kind of access.
func (f Finding) Failed() Answer {
	for _, a := range []Answer{f.List, f.Put, f.Get, f.Delete} {
		if a != "" && a != Allowed && a != Denied {
			return a
		}
	}
	return ""
}

// Probe tests what a key can do, and stops at the first answer that differs from want. It
// deletes the object that it wrote if the key can. An error is a *provider.Error: there was
// no answer, or none about the key. It is in doubt unless the server rejected the request.
func Probe(ctx context.Context, target Target, keys Keys, want Want) (Finding, error) {
	c := connect(target, keys)
	var f Finding
	var err error
	if f.List, err = c.list(ctx); err != nil || f.List != wanted(want.Read) {
		return f, err
	}
	object := Prefix + rand.Text()
	if want.Write && !want.Delete {
		object = WriteOnlyKey
	}
	if f.Put, err = c.put(ctx, object); err != nil || f.Put != Allowed {
		return f, err
	}
	f.Left = object
	if want.Write {
		err = c.again(ctx, object, want, &f)
	}
	if f.Left != "" && f.Delete == "" {
		// The result of the probe does not depend on this deletion.
		if gone, tidyErr := c.remove(ctx, object); tidyErr == nil && gone == Allowed {
			f.Left = ""
		}
	}
	return f, err
}

// again reads the object that was written, and deletes it if the key must be able to.
func (c conn) again(ctx context.Context, object string, want Want, f *Finding) error {
	var err error
	if f.Get, err = c.get(ctx, object); err != nil || f.Get != wanted(want.Read) || !want.Delete {
		return err
	}
	if f.Delete, err = c.remove(ctx, object); err == nil && f.Delete == Allowed {
		f.Left = ""
	}
	return err
}

// Ask sends one request that a key with the wanted access can make: it lists the bucket,
// or writes WriteOnlyKey if reading is not wanted.
func Ask(ctx context.Context, target Target, keys Keys, want Want) (Answer, error) {
	c := connect(target, keys)
	if want.Read {
		return c.list(ctx)
	}
	return c.put(ctx, WriteOnlyKey)
}

func wanted(access bool) Answer {
	if access {
		return Allowed
	}
	return Denied
}
