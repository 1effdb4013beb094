// Package publish pushes a release to a registry. It pushes tags last, so a tag never names a
// manifest whose bill of materials or signature is still missing.
package publish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"apitoken.dev/operator/hack/release/oci"
	"apitoken.dev/operator/hack/release/sign"
)

// Options of Push.
type Options struct {
	// Registry and the path in it for which the release was built.
	Registry string
	// Key signs what is pushed; if nil, nothing is signed.
	Key *sign.Key
	// Log is called for every step.
	Log func(format string, args ...any)
}

// ErrOtherRegistry means that the release names another registry.
var ErrOtherRegistry = errors.New("make the release again for this registry")

// ErrTaken means that the version was pushed before, with other content.
var ErrTaken = errors.New("the tag is taken by other content, and a published version does not change: choose another version")

// pusher pushes with the credentials of the docker configuration.
type pusher struct {
	Options
	remote []remote.Option
}

// Push pushes the image, the chart and the bills of materials of a release, and signs them.
// It is idempotent.
func Push(ctx context.Context, r oci.Release, o Options) error {
	want, err := name.NewRepository(path.Join(o.Registry, path.Base(r.ImageTag.RepositoryStr())))
	if err != nil {
		return fmt.Errorf("registry %q: %w", o.Registry, err)
	}
	if got := r.ImageTag.Repository; got.Name() != want.Name() {
		return fmt.Errorf("the chart and the manifests of the release name the image %s, not %s: %w", got.Name(), want.Name(), ErrOtherRegistry)
	}
	p := pusher{o, []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}}
	for _, of := range []struct {
		tag     name.Tag
		content digester
	}{{r.ImageTag, r.Image}, {r.ChartTag, r.Chart}} {
		if err := p.checkFree(of.tag, of.content); err != nil {
			return err
		}
	}
	if err := p.image(r); err != nil {
		return err
	}
	return p.chart(r)
}

type digester interface{ Digest() (v1.Hash, error) }

// checkFree returns ErrTaken if the tag has other content.
func (p pusher) checkFree(tag name.Tag, content digester) error {
	digest, err := content.Digest()
	if err != nil {
		return err
	}
	found, err := remote.Head(tag, p.remote...)
	if missing(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for %s: %w", tag, err)
	}
	if found.Digest != digest {
		return fmt.Errorf("%s is %s, this release is %s: %w", tag, found.Digest, digest, ErrTaken)
	}
	return nil
}

// missing reports whether the registry answered that a manifest does not exist.
func missing(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}

// image pushes the index with its manifests, then the artefacts that refer to them, then the
// tag.
func (p pusher) image(r oci.Release) error {
	repository := r.ImageTag.Repository
	index, err := partial.Descriptor(r.Image)
	if err != nil {
		return err
	}
	if err := remote.WriteIndex(repository.Digest(index.Digest.String()), r.Image, p.remote...); err != nil {
		return fmt.Errorf("pushing %s: %w", r.ImageTag, err)
	}
	manifests, err := r.Image.IndexManifest()
	if err != nil {
		return err
	}
	signed := append([]v1.Descriptor{*index}, manifests.Manifests...)
	for _, bill := range r.SBOMs {
		pushed, err := p.bill(repository, bill)
		if err != nil {
			return fmt.Errorf("pushing a bill of materials: %w", err)
		}
		signed = append(signed, pushed)
	}
	if err := p.sign(repository, signed...); err != nil {
		return err
	}
	return p.tag(r.ImageTag, r.Image, index.Digest)
}

// bill pushes a bill of materials with the tag where cosign expects it. Registries list it as
// a referrer of the image.
func (p pusher) bill(repository name.Repository, bill v1.Image) (v1.Descriptor, error) {
	m, err := bill.Manifest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	about := m.Subject.Digest
	if err := remote.Write(repository.Tag(about.Algorithm+"-"+about.Hex+".sbom"), bill, p.remote...); err != nil {
		return v1.Descriptor{}, err
	}
	p.Log("pushed the bill of materials of %s", repository.Digest(about.String()))
	d, err := partial.Descriptor(bill)
	if err != nil {
		return v1.Descriptor{}, err
	}
	return *d, nil
}

func (p pusher) chart(r oci.Release) error {
	chart, err := partial.Descriptor(r.Chart)
	if err != nil {
		return err
	}
	repository := r.ChartTag.Repository
	if err := remote.Write(repository.Digest(chart.Digest.String()), r.Chart, p.remote...); err != nil {
		return fmt.Errorf("pushing %s: %w", r.ChartTag, err)
	}
	if err := p.sign(repository, *chart); err != nil {
		return err
	}
	return p.tag(r.ChartTag, r.Chart, chart.Digest)
}

func (p pusher) tag(tag name.Tag, content remote.Taggable, digest v1.Hash) error {
	if err := remote.Tag(tag, content, p.remote...); err != nil {
		return fmt.Errorf("tagging %s: %w", tag, err)
	}
	p.Log("pushed %s@%s", tag, digest)
	return nil
}

// sign pushes a signature of each manifest. It keeps signatures of other keys.
func (p pusher) sign(repository name.Repository, manifests ...v1.Descriptor) error {
	if p.Key == nil {
		return nil
	}
	for _, of := range manifests {
		if err := p.signOne(repository, of); err != nil {
			return fmt.Errorf("signing %s: %w", repository.Digest(of.Digest.String()), err)
		}
		p.Log("signed %s", repository.Digest(of.Digest.String()))
	}
	return nil
}

func (p pusher) signOne(repository name.Repository, of v1.Descriptor) error {
	signature, err := p.Key.Sign(repository, of)
	if err != nil {
		return err
	}
	tag := sign.Tag(repository, of.Digest)
	before, err := remote.Image(tag, p.remote...)
	if missing(err) {
		fresh, err := sign.Image(signature, of)
		if err != nil {
			return err
		}
		return remote.Write(tag, fresh, p.remote...)
	}
	if err != nil {
		return err
	}
	m, err := before.Manifest()
	if err != nil {
		return err
	}
	if sign.Has(m, signature) {
		return nil
	}
	both, err := mutate.Append(before, mutate.Addendum{Layer: signature.Layer(), Annotations: signature.Annotations, MediaType: signature.Type})
	if err != nil {
		return err
	}
	return remote.Write(tag, both, p.remote...)
}
