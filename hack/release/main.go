// Command release builds the files of a release: binaries for every platform, the
// image, the chart, a single manifest, a bill of materials for each binary and
// checksums. The same sources, version and Go result in the same bytes.
//
//	go run . [-version v1.2.3] [-image REPOSITORY] [-out DIRECTORY] [-platforms os/arch,...]
//
// With -push it builds nothing, and pushes the image, the chart and the bills of materials
// of a release that was built before. With a key it signs them:
//
//	go run . -push REGISTRY [-key FILE] [-out DIRECTORY]
//
// Run it in hack/release.
//
// GoReleaser (v2.15.1) is not used. It could replace the binaries and their archives, which
// are a quarter of this program. It creates an image only in a registry or in Docker, and no
// chart with the release's version and image. Its checksums name files without their
// directory, so they cannot cover the OCI layout. Without a git repository it creates only
// snapshots. Pinning it adds hundreds of modules, which take minutes to compile.
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
	// out is the directory of the files. It is emptied first.
	out string
	// version of the release; if empty, the version that git describes.
	version string
	// image is the repository of the manager's image.
	image string
	// platforms to build for; all when empty.
	platforms []string
	// env is added to the environment of go build.
	env []string
	// push is the registry, and the path in it, to which the release in out is pushed.
	push string
	// key is the file with the signing key; if empty, nothing is signed.
	key string
}

func main() {
	o := options{root: filepath.Join("..", "..")}
	var platforms string
	flag.StringVar(&o.out, "out", filepath.Join("..", "..", "bin", "release"), "where the files go: an empty directory, or one below bin, which is emptied")
	flag.StringVar(&o.version, "version", "", "version of the release; git describe says it when empty")
	flag.StringVar(&o.image, "image", "apitoken-operator", "repository of the manager's image, without a tag")
	flag.StringVar(&platforms, "platforms", "", "platforms to build for, for example linux/amd64,linux/arm64; all when empty")
	flag.StringVar(&o.push, "push", "", "push the release in -out to this registry, for example registry.example.com/team, and build nothing")
	flag.StringVar(&o.key, "key", os.Getenv("COSIGN_KEY"), "file with the private key that signs what is pushed (also COSIGN_KEY); COSIGN_PASSWORD decrypts it")
	flag.Parse()
	if platforms != "" {
		o.platforms = strings.Split(platforms, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	do := run
	if o.push != "" {
		do = push
	}
	if err := do(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// run builds or pushes the release.
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
	images, err := buildAll(ctx, o, v, builds)
	if err != nil {
		return err
	}
	for _, step := range []func(options, version) error{writeManifests, writeChart} {
		if err := step(o, v); err != nil {
			return err
		}
	}
	if err := writeImages(o, v, images); err != nil {
		return err
	}
	if err := writeSums(o.out); err != nil {
		return err
	}
	fmt.Println(o.out)
	return nil
}

// buildAll builds the archives of all binaries, and returns the images of those that run in a
// cluster.
func buildAll(ctx context.Context, o options, v version, builds []build) ([]platformImage, error) {
	var images []platformImage
	for _, b := range builds {
		fmt.Fprintf(os.Stderr, "building %s for %s/%s\n", b.name, b.os, b.arch)
		binary, err := b.make(ctx, o, v)
		if err != nil {
			return nil, fmt.Errorf("%s for %s/%s: %w", b.name, b.os, b.arch, err)
		}
		if b.name != imageProgram {
			continue
		}
		built, err := imageOf(b, v, binary)
		if err != nil {
			return nil, fmt.Errorf("the image for %s/%s: %w", b.os, b.arch, err)
		}
		images = append(images, built)
	}
	return images, nil
}
