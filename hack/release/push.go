package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"apitoken.dev/operator/hack/release/oci"
	"apitoken.dev/operator/hack/release/publish"
	"apitoken.dev/operator/hack/release/sign"
)

// push pushes the release that run made before. It builds nothing, so the pushed release is the
// one that was checked.
func push(ctx context.Context, o options) error {
	r, err := oci.Read(filepath.Join(o.out, layoutDir))
	if os.IsNotExist(err) {
		return fmt.Errorf("there is no release in %s: run make release first", o.out)
	}
	if err != nil {
		return err
	}
	logf := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	key, err := readKey(o.key)
	if err != nil {
		return fmt.Errorf("-key %s: %w", o.key, err)
	}
	if err := publish.Push(ctx, r, publish.Options{Registry: o.push, Key: key, Log: logf}); err != nil {
		return err
	}
	if key == nil {
		logf("nothing was signed: name a key with -key or COSIGN_KEY, and push again")
	}
	return nil
}

// readKey returns nil if no file is named.
func readKey(file string) (*sign.Key, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return sign.ParseKey(text, []byte(os.Getenv("COSIGN_PASSWORD")))
}
