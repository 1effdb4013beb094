package oci

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// SBOMType is the media type of a bill of materials in the format CycloneDX.
const SBOMType types.MediaType = "application/vnd.cyclonedx+json"

// SBOM returns a bill of materials as an artefact that refers to the image it
// describes. Its manifest has the form of both the OCI referrers and cosign.
func SBOM(bill []byte, of v1.Descriptor) (v1.Image, error) {
	return Artefact{Type: string(SBOMType), Layers: []Blob{{Type: SBOMType, Content: bill}}, Subject: Subject(of)}.Image()
}

// Subject returns a reference to a manifest. It has only the fields that a reference can have.
func Subject(of v1.Descriptor) *v1.Descriptor {
	return &v1.Descriptor{MediaType: of.MediaType, Size: of.Size, Digest: of.Digest}
}
