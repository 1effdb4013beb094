// Package oci stores a release as an OCI image layout: the image of the operator for
// several platforms, the chart as Helm pushes and pulls it, and the bills of materials
// as artefacts that refer to the image they describe.
package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// emptyType is the media type of an empty config, as the OCI specification defines it for
// artefacts. Its content is {}.
const emptyType types.MediaType = "application/vnd.oci.empty.v1+json"

// Blob is content in a manifest.
type Blob struct {
	Type        types.MediaType
	Content     []byte
	Annotations map[string]string
}

// Artefact is a manifest of something other than a container image.
type Artefact struct {
	// Type is the artifactType; if empty, the type of the config.
	Type string
	// Config is empty ({}) if it has no type.
	Config      Blob
	Layers      []Blob
	Annotations map[string]string
	// Subject is the manifest that the artefact is about: registries list the
	// artefact as one of its referrers.
	Subject *v1.Descriptor
}

// Image returns the artefact as go-containerregistry handles it. The same artefact
// has the same bytes.
func (a Artefact) Image() (v1.Image, error) {
	if a.Config.Type == "" {
		a.Config = Blob{Type: emptyType, Content: []byte("{}")}
	}
	config, err := a.Config.descriptor()
	if err != nil {
		return nil, err
	}
	m := manifest{Manifest: v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: a.Type,
		Config: config, Annotations: a.Annotations, Subject: a.Subject}, config: a.Config.Content, layers: map[v1.Hash]Blob{config.Digest: a.Config}}
	for _, layer := range a.Layers {
		d, err := layer.descriptor()
		if err != nil {
			return nil, err
		}
		m.Layers = append(m.Layers, d)
		m.layers[d.Digest] = layer
	}
	if m.raw, err = json.Marshal(m.Manifest); err != nil {
		return nil, err
	}
	return partial.CompressedToImage(m)
}

func (b Blob) descriptor() (v1.Descriptor, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(b.Content))
	if err != nil {
		return v1.Descriptor{}, err
	}
	return v1.Descriptor{MediaType: b.Type, Size: size, Digest: digest, Annotations: b.Annotations}, nil
}

// manifest implements partial.CompressedImageCore.
type manifest struct {
	v1.Manifest
	raw, config []byte
	layers      map[v1.Hash]Blob
}

// RawConfigFile returns the config. Only signatures have the config of an image.
func (m manifest) RawConfigFile() ([]byte, error) { return m.config, nil }

// RawManifest returns the manifest as it is stored.
func (m manifest) RawManifest() ([]byte, error) { return m.raw, nil }

// MediaType returns the type of the manifest.
func (m manifest) MediaType() (types.MediaType, error) { return m.Manifest.MediaType, nil }

var errNoLayer = errors.New("no such layer")

// LayerByDigest returns a layer, or the config.
func (m manifest) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	layer, ok := m.layers[digest]
	if !ok {
		return nil, fmt.Errorf("%s: %w", digest, errNoLayer)
	}
	return layer.Layer(), nil
}

// Layer returns the content as a layer.
func (b Blob) Layer() v1.Layer { return static.NewLayer(b.Content, b.Type) }
