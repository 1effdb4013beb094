package oci

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// The annotations that name an entry of a layout: containerd imports it under the
// first, other tools under the second.
const (
	annotationName = "io.containerd.image.name"
	annotationTag  = "org.opencontainers.image.ref.name"
)

// Release is the content of a layout.
type Release struct {
	// Image is the index of the operator's image, with a manifest for each platform.
	Image v1.ImageIndex
	// ImageTag is the tag of Image.
	ImageTag name.Tag
	Chart    v1.Image
	ChartTag name.Tag
	// SBOMs refer to manifests of Image.
	SBOMs []v1.Image
}

// Write writes the layout into a directory that does not exist yet.
func (r Release) Write(dir string) error {
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendIndex(r.Image, layout.WithAnnotations(names(r.ImageTag))); err != nil {
		return err
	}
	if r.Chart != nil {
		if err := path.AppendImage(r.Chart, layout.WithAnnotations(names(r.ChartTag))); err != nil {
			return err
		}
	}
	for _, bill := range r.SBOMs {
		if err := path.AppendImage(bill); err != nil {
			return err
		}
	}
	return nil
}

func names(tag name.Tag) map[string]string {
	return map[string]string{annotationName: dockerName(tag.Name()), annotationTag: tag.TagStr()}
}

// dockerName names Docker's own registry as nodes do: docker.io.
func dockerName(full string) string {
	if rest, ok := strings.CutPrefix(full, name.DefaultRegistry+"/"); ok {
		return "docker.io/" + rest
	}
	return full
}

var errLayout = errors.New("is not the layout of a release")

// Read reads a layout that Write wrote.
func Read(dir string) (Release, error) {
	var r Release
	if _, err := os.Stat(dir); err != nil {
		return r, err
	}
	path, err := layout.FromPath(dir)
	if err != nil {
		return r, fmt.Errorf("%s %w: %w", dir, errLayout, err)
	}
	index, err := path.ImageIndex()
	if err != nil {
		return r, err
	}
	entries, err := index.IndexManifest()
	if err != nil {
		return r, err
	}
	for _, entry := range entries.Manifests {
		if err := r.add(path, index, entry); err != nil {
			return r, fmt.Errorf("%s: %w", entry.Digest, err)
		}
	}
	if r.Image == nil || r.Chart == nil {
		return r, fmt.Errorf("%s %w: the image or the chart is missing", dir, errLayout)
	}
	return r, nil
}

func (r *Release) add(path layout.Path, index v1.ImageIndex, entry v1.Descriptor) (err error) {
	if entry.MediaType.IsIndex() {
		if r.Image, err = index.ImageIndex(entry.Digest); err != nil {
			return err
		}
		r.ImageTag, err = name.NewTag(entry.Annotations[annotationName])
		return err
	}
	image, err := path.Image(entry.Digest)
	if err != nil {
		return err
	}
	switch entry.ArtifactType {
	case string(ChartConfigType):
		r.Chart = image
		r.ChartTag, err = name.NewTag(entry.Annotations[annotationName])
		return err
	case string(SBOMType):
		r.SBOMs = append(r.SBOMs, image)
		return nil
	default:
		return fmt.Errorf("artifact type %q: %w", entry.ArtifactType, errLayout)
	}
}
