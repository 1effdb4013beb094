package sign

import (
	"bytes"
	"encoding/base64"
	"encoding/json"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"apitoken.dev/operator/hack/release/oci"
)

// Names from cosign's specification.
const (
	payloadKind      = "cosign container image signature"
	payloadType      = types.MediaType("application/vnd.dev.cosign.simplesigning.v1+json")
	artefactType     = "application/vnd.dev.cosign.artifact.sig.v1+json"
	annotationResult = "dev.cosignproject.cosign/signature"
)

// payload says which manifest is signed.
type payload struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]any `json:"optional"`
}

// Sign returns the signature of a manifest in a repository.
func (k *Key) Sign(repository name.Repository, of v1.Descriptor) (oci.Blob, error) {
	var p payload
	p.Critical.Identity.Reference = repository.Name()
	p.Critical.Image.Digest = of.Digest.String()
	p.Critical.Type = payloadKind
	content, err := json.Marshal(p)
	if err != nil {
		return oci.Blob{}, err
	}
	signature, err := k.sign(content)
	if err != nil {
		return oci.Blob{}, err
	}
	return oci.Blob{Type: payloadType, Content: content,
		Annotations: map[string]string{annotationResult: base64.StdEncoding.EncodeToString(signature)}}, nil
}

// Tag is the tag where cosign expects the signatures of a manifest.
func Tag(repository name.Repository, digest v1.Hash) name.Tag {
	return repository.Tag(digest.Algorithm + "-" + digest.Hex + ".sig")
}

// Image returns the manifest with a signature. Its config is that of an image, as
// cosign writes it, and it is a referrer of the signed manifest.
func Image(signature oci.Blob, of v1.Descriptor) (v1.Image, error) {
	layer, _, err := v1.SHA256(bytes.NewReader(signature.Content))
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(v1.ConfigFile{RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{layer}}})
	if err != nil {
		return nil, err
	}
	return oci.Artefact{Type: artefactType, Config: oci.Blob{Type: types.OCIConfigJSON, Content: config},
		Layers: []oci.Blob{signature}, Subject: oci.Subject(of)}.Image()
}

// Has reports whether a manifest of signatures contains this one.
func Has(m *v1.Manifest, signature oci.Blob) bool {
	for _, layer := range m.Layers {
		if layer.Annotations[annotationResult] == signature.Annotations[annotationResult] {
			return true
		}
	}
	return false
}
