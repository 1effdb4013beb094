package main

import (
	"context"
	"fmt"
)

const (
	object  = "hello.txt"
	content = "written by a pod that has only its Secret\n"
)

// use does what two pods with the two Secrets do.
func (d *demo) use(ctx context.Context) error {
	d.out.heading("Use: what a pod with envFrom: [secretRef] can and cannot do")
	w, err := d.workload(ctx, writerSecret)
	if err != nil {
		return err
	}
	r, err := d.workload(ctx, readerSecret)
	if err != nil {
		return err
	}
	d.out.say("Secret " + team + "/" + writerSecret + ":\n" + describe(w.data))
	for _, c := range []step{
		{writer + " writes s3://" + bucket + "/" + object + " and reads it back", func() (string, error) {
			if err := w.write(ctx, bucket, content); err != nil {
				return "", err
			}
			return fmt.Sprintf("%d identical bytes", len(content)), w.reads(ctx, bucket, content)
		}},
		{writer + " is rejected in s3://" + otherBucket, func() (string, error) { return d.refusedIn(ctx, w, otherBucket) }},
		{reader + " reads s3://" + bucket + "/" + object, func() (string, error) {
			return "", r.reads(ctx, bucket, content)
		}},
		{reader + " cannot write to s3://" + bucket, func() (string, error) {
			code, err := refusal("its write", func() error { return r.write(ctx, bucket, "overwritten") })
			if err == nil {
				err = w.reads(ctx, bucket, content)
			}
			return code, err
		}},
		{reader + " is rejected in s3://" + otherBucket, func() (string, error) { return d.refusedIn(ctx, r, otherBucket) }},
	} {
		if err := d.out.check(ctx, c.claim, c.verify); err != nil {
			return err
		}
	}
	return nil
}

// refusedIn checks that a key cannot write, read or list in a bucket without rights. The
// bucket has an object to read.
func (d *demo) refusedIn(ctx context.Context, w *workload, elsewhere string) (string, error) {
	root := &workload{s3: d.gateway.S3(d.gateway.Root())}
	if err := root.write(ctx, elsewhere, "another user's"); err != nil {
		return "", err
	}
	code := ""
	for _, try := range []struct {
		what    string
		request func() error
	}{
		{"writing", func() error { return w.write(ctx, elsewhere, "overwritten") }},
		{"reading", func() error { _, err := w.read(ctx, elsewhere); return err }},
		{"listing", func() error { return w.list(ctx, elsewhere) }},
	} {
		var err error
		if code, err = refusal(try.what+" s3://"+elsewhere, try.request); err != nil {
			return "", err
		}
	}
	return "writing, reading and listing answer " + code, root.reads(ctx, elsewhere, "another user's")
}
