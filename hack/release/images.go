package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"

	"apitoken.dev/operator/hack/release/image"
	"apitoken.dev/operator/hack/release/oci"
)

const (
	// layoutDir has the OCI layout that -push pushes.
	layoutDir = "oci"
	// imageProgram is the program that the image runs, and its path there, as in the Dockerfile.
	imageProgram = "manager"
	imagePath    = "/" + imageProgram
)

// platformImage is the image of one platform.
type platformImage struct {
	build
	image v1.Image
}

// imageOf builds the image of a binary.
func imageOf(b build, v version, binary []byte) (platformImage, error) {
	built, err := image.Build(image.Options{
		Platform: v1.Platform{OS: b.os, Architecture: b.arch}, Entrypoint: imagePath,
		Binaries: map[string][]byte{imagePath: binary},
		Labels: map[string]string{"org.opencontainers.image.title": "apitoken-operator",
			"org.opencontainers.image.version": string(v), "org.opencontainers.image.licenses": "Apache-2.0"},
	})
	return platformImage{b, built}, err
}

// chartRepository is the repository of an image's chart: next to the image, below charts.
// helm pull oci://REGISTRY/charts/apitoken-operator finds it.
func chartRepository(image string) string {
	return path.Join(path.Dir(image), "charts", path.Base(chartDir))
}

// writeImages writes the OCI layout with the image, the chart and the bills of
// materials, and the image alone as an archive of such a layout.
func writeImages(o options, v version, images []platformImage) error {
	if len(images) == 0 {
		return nil
	}
	var r oci.Release
	var all []v1.Image
	for _, i := range images {
		all = append(all, i.image)
		bill, err := os.ReadFile(filepath.Join(o.out, i.stem(v)+sbomEnding))
		if err != nil {
			return err
		}
		of, err := partial.Descriptor(i.image)
		if err != nil {
			return err
		}
		attached, err := oci.SBOM(bill, *of)
		if err != nil {
			return err
		}
		r.SBOMs = append(r.SBOMs, attached)
	}
	var err error
	if r.Image, err = image.Index(all); err != nil {
		return err
	}
	if r.ImageTag, err = name.NewTag(o.image + ":" + string(v)); err != nil {
		return err
	}
	archive := filepath.Join(o.out, fmt.Sprintf("apitoken-operator_%s_image.tar", v))
	if err := (oci.Release{Image: r.Image, ImageTag: r.ImageTag}).Archive(archive); err != nil {
		return fmt.Errorf("writing %s: %w", archive, err)
	}
	chart, err := os.ReadFile(filepath.Join(o.out, chartFileName(v)))
	if err != nil {
		return err
	}
	if r.Chart, err = oci.Chart(chart); err != nil {
		return err
	}
	if r.ChartTag, err = name.NewTag(chartRepository(o.image) + ":" + v.chart()); err != nil {
		return err
	}
	return r.Write(filepath.Join(o.out, layoutDir))
}
