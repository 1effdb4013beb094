package sign

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

func p256(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func pkcs8(t *testing.T, private any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func inPEM(kind string, content []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
}

func TestKeysOfCosignAndOfOthersAreRead(t *testing.T) {
	private := p256(t)
	sec1, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	locked, err := encrypted.Encrypt(pkcs8(t, private), []byte("password"))
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rivest, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text     []byte
		password string
		want     error
	}{
		"of cosign":          {inPEM("ENCRYPTED SIGSTORE PRIVATE KEY", locked), "password", nil},
		"of an older cosign": {inPEM("ENCRYPTED COSIGN PRIVATE KEY", locked), "password", nil},
		"the wrong password": {inPEM("ENCRYPTED SIGSTORE PRIVATE KEY", locked), "other", errPassword},
		"no password":        {inPEM("ENCRYPTED SIGSTORE PRIVATE KEY", locked), "", errPassword},
		"PKCS #8":            {inPEM("PRIVATE KEY", pkcs8(t, private)), "", nil},
		"SEC 1":              {inPEM("EC PRIVATE KEY", sec1), "", nil},
		"P-384":              {inPEM("PRIVATE KEY", pkcs8(t, p384)), "", errCurve},
		"Ed25519":            {inPEM("PRIVATE KEY", pkcs8(t, edwards)), "", errCurve},
		"RSA":                {inPEM("PRIVATE KEY", pkcs8(t, rivest)), "", errCurve},
		"a public key":       {inPEM("PUBLIC KEY", []byte("x")), "", errKey},
		"broken":             {inPEM("PRIVATE KEY", []byte("secret text")), "", errKey},
		"broken SEC 1":       {inPEM("EC PRIVATE KEY", []byte("secret text")), "", errKey},
		"no PEM":             {[]byte("secret text"), "", errKey},
		"an empty file":      {nil, "", errKey},
	} {
		key, err := ParseKey(c.text, []byte(c.password))
		if !errors.Is(err, c.want) || (c.want == nil) != (key != nil) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret text") {
			t.Errorf("%s: the error shows the file: %v", name, err)
		}
		if key != nil && !key.private.Equal(private) {
			t.Errorf("%s: another key was read", name)
		}
	}
}

// The signature verifies according to cosign's specification, and names the signed digest.
func TestSignatureVerifiesAndIsReproducible(t *testing.T) {
	private := p256(t)
	key := &Key{private}
	repository, err := name.NewRepository("registry.example.com/team/apitoken-operator")
	if err != nil {
		t.Fatal(err)
	}
	of := v1.Descriptor{MediaType: types.OCIImageIndex, Size: 3, Digest: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0a", 32)}}
	signature, err := key.Sign(repository, of)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Critical struct {
			Identity, Image map[string]string
			Type            string
		}
	}
	if err := json.Unmarshal(signature.Content, &got); err != nil {
		t.Fatal(err)
	}
	if got.Critical.Image["docker-manifest-digest"] != of.Digest.String() || got.Critical.Identity["docker-reference"] != repository.Name() ||
		got.Critical.Type != "cosign container image signature" {
		t.Errorf("what is signed: %s", signature.Content)
	}
	raw, err := base64.StdEncoding.DecodeString(signature.Annotations["dev.cosignproject.cosign/signature"])
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(signature.Content)
	if !ecdsa.VerifyASN1(&private.PublicKey, digest[:], raw) {
		t.Error("the signature does not verify")
	}
	again, err := key.Sign(repository, of)
	if err != nil {
		t.Fatal(err)
	}
	img, err := Image(signature, of)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Layers) != 1 || len(config.RootFS.DiffIDs) != 1 || config.RootFS.DiffIDs[0] != m.Layers[0].Digest {
		t.Errorf("the config names the layers %v, the manifest has %v", config.RootFS.DiffIDs, m.Layers)
	}
	if !Has(m, again) {
		t.Error("a second signature of the same differs")
	}
	if m.Subject == nil || m.Subject.Digest != of.Digest {
		t.Errorf("the signature refers to %v", m.Subject)
	}
	if got, want := Tag(repository, of.Digest).TagStr(), "sha256-"+of.Digest.Hex+".sig"; got != want {
		t.Errorf("the tag is %s, not %s", got, want)
	}
}
