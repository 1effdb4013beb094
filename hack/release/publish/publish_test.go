package publish

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"apitoken.dev/operator/hack/release/oci"
	"apitoken.dev/operator/hack/release/sign"
)

func newKey(t *testing.T) *sign.Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := sign.ParseKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A push keeps signatures of other keys, and a repeated push adds no second signature.
func TestSignaturesOfOthersStay(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	to := strings.TrimPrefix(server.URL, "http://")
	img, err := random.Image(10, 1)
	if err != nil {
		t.Fatal(err)
	}
	index, err := random.Index(10, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	r := oci.Release{Image: index, Chart: img}
	if r.ImageTag, err = name.NewTag(to + "/a:v1"); err != nil {
		t.Fatal(err)
	}
	if r.ChartTag, err = name.NewTag(to + "/charts/a:1"); err != nil {
		t.Fatal(err)
	}
	of, err := partial.Descriptor(img)
	if err != nil {
		t.Fatal(err)
	}
	other, err := newKey(t).Sign(r.ChartTag.Repository, *of)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := sign.Image(other, *of)
	if err != nil {
		t.Fatal(err)
	}
	tag := sign.Tag(r.ChartTag.Repository, of.Digest)
	if err := remote.Write(tag, theirs); err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	for range 2 {
		if err := Push(t.Context(), r, Options{Registry: to, Key: key, Log: t.Logf}); err != nil {
			t.Fatal(err)
		}
	}
	pushed, err := remote.Image(tag)
	if err != nil {
		t.Fatal(err)
	}
	m, err := pushed.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	ours, err := key.Sign(r.ChartTag.Repository, *of)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Layers) != 2 || !sign.Has(m, other) || !sign.Has(m, ours) {
		t.Errorf("the signatures are %+v", m.Layers)
	}
}
