// Command image writes a container image of static Linux binaries as a file for
// `docker load`, `ctr images import` and `kind load image-archive`. It does not need Docker.
// The same binaries result in the same file.
//
//	go run ./cmd/image -name NAME:TAG [-platform linux/amd64] -out FILE PATH_IN_IMAGE=BINARY...
//
// The image starts the first binary. make image runs it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"apitoken.dev/operator/hack/release/image"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// run writes the image that the arguments describe.
func run(args []string) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	ref := flags.String("name", "", "name and tag of the image")
	platform := flags.String("platform", "linux/"+runtime.GOARCH, "platform that the binaries are for")
	out := flags.String("out", "", "file to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *ref == "" || *out == "" || flags.NArg() == 0 {
		return errors.New("name the image (-name), the file (-out) and the binaries (/PATH=FILE)")
	}
	tag, err := name.NewTag(*ref)
	if err != nil || !strings.HasSuffix(*ref, ":"+tag.TagStr()) {
		return fmt.Errorf("-name: %q: write a name with a tag, for example apitoken-operator:dev", *ref)
	}
	p, err := v1.ParsePlatform(*platform)
	if err != nil {
		return fmt.Errorf("-platform: %w", err)
	}
	o := image.Options{Platform: *p, Binaries: map[string][]byte{}}
	if err := readBinaries(&o, flags.Args()); err != nil {
		return err
	}
	img, err := image.Build(o)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(*out, tag, img)
}

// readBinaries reads PATH=FILE arguments; the first is the entrypoint.
func readBinaries(o *image.Options, args []string) error {
	for _, arg := range args {
		inside, file, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("%q: write /PATH=FILE", arg)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		o.Binaries[inside] = content
		if o.Entrypoint == "" {
			o.Entrypoint = inside
		}
	}
	return nil
}
