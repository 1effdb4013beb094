// Command release makes the files of a release: binaries for every platform, the
// chart, a single manifest, a bill of materials for each binary and checksums. The
// same sources, version and Go give the same bytes.
//
//	go run . [-version v1.2.3] [-image REPOSITORY] [-out DIRECTORY] [-platforms os/arch,...]
//
// It is run in hack/release.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

// options of a release.
type options struct {
	// root of the sources.
	root string
	// out is where the files go; what is there is removed.
	out string
	// version of the release; of git when empty.
	version string
	// image is the repository of the manager's image.
	image string
	// platforms to build for; all when empty.
	platforms []string
	// env is added to the environment of go build.
	env []string
}

func main() {
	o := options{root: filepath.Join("..", "..")}
	var platforms string
	flag.StringVar(&o.out, "out", filepath.Join("..", "..", "bin", "release"), "where the files go: an empty directory, or one below bin, which is emptied")
	flag.StringVar(&o.version, "version", "", "version of the release; git describe says it when empty")
	flag.StringVar(&o.image, "image", "apitoken-operator", "repository of the manager's image, without a tag")
	flag.StringVar(&platforms, "platforms", "", "platforms to build for, for example linux/amd64,linux/arm64; all when empty")
	flag.Parse()
	if platforms != "" {
		o.platforms = strings.Split(platforms, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// run makes the release.
func run(ctx context.Context, o options) error {
	v, err := versionOf(ctx, o.root, o.version)
	if err != nil {
		return err
	}
	if err := checkImage(o.image); err != nil {
		return err
	}
	builds, err := selectBuilds(o.root, o.platforms)
	if err != nil {
		return err
	}
	if err := prepare(o.root, o.out); err != nil {
		return err
	}
	for _, b := range builds {
		fmt.Fprintf(os.Stderr, "building %s for %s/%s\n", b.name, b.os, b.arch)
		if err := b.make(ctx, o, v); err != nil {
			return fmt.Errorf("%s for %s/%s: %w", b.name, b.os, b.arch, err)
		}
	}
	for _, step := range []func(options, version) error{writeManifests, writeChart} {
		if err := step(o, v); err != nil {
			return err
		}
	}
	if err := writeSums(o.out); err != nil {
		return err
	}
	fmt.Println(o.out)
	return nil
}
