// Package image builds container images from static binaries: without Docker, without a
// registry, and to the same bytes each time.
//
// It is not ko, which compiles the program itself: the image of a release must contain the
// binary that its archives contain and its bill of materials describes.
package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// User is the unprivileged user that images run as. It is a number because runAsNonRoot needs one.
const User = "65532:65532"

// Epoch is the time of every file in an image, and of the image. A time from the clock would
// change the digests.
func Epoch() time.Time { return time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC) }

// Options of Build.
type Options struct {
	// Platform that the binaries are for: linux, and an architecture.
	Platform v1.Platform
	// Binaries by their absolute path in the image. They are static ELF files.
	Binaries map[string][]byte
	// Entrypoint is the path of the binary that the image starts.
	Entrypoint string
	// Labels of the image, for example org.opencontainers.image.version.
	Labels map[string]string
}

// Build builds an image of one platform. In addition to the binaries it has what a static
// binary expects: a CA bundle, the users root and nonroot, and a /tmp that any user can write.
// The layer and the configuration have OCI media types.
func Build(o Options) (v1.Image, error) {
	if o.Binaries[o.Entrypoint] == nil {
		return nil, fmt.Errorf("the entrypoint %q is not one of the binaries", o.Entrypoint)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Binaries)) {
		if path.Clean(name) != name || !path.IsAbs(name) {
			return nil, fmt.Errorf("%q is not an absolute path", name)
		}
		if err := checkBinary(o.Binaries[name], o.Platform); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	content, err := rootFilesystem(o.Binaries)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	created := v1.Time{Time: Epoch()}
	withConfig, err := mutate.ConfigFile(base, &v1.ConfigFile{
		OS: o.Platform.OS, Architecture: o.Platform.Architecture, Variant: o.Platform.Variant, Created: created,
		RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{
			User: User, Entrypoint: []string{o.Entrypoint}, WorkingDir: "/", Labels: o.Labels,
			Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "SSL_CERT_FILE=" + caBundle},
		},
	})
	if err != nil {
		return nil, err
	}
	return mutate.Append(withConfig, mutate.Addendum{
		Layer: layer, History: v1.History{Created: created, CreatedBy: "hack/release/image"},
	})
}

// Index joins images of several platforms, in the given order.
func Index(images []v1.Image) (v1.ImageIndex, error) {
	if len(images) == 0 {
		return nil, errors.New("an index needs an image")
	}
	adds := make([]mutate.IndexAddendum, 0, len(images))
	for _, img := range images {
		config, err := img.ConfigFile()
		if err != nil {
			return nil, err
		}
		adds = append(adds, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: config.Platform()}})
	}
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), adds...), nil
}
