package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"apitoken.dev/operator/hack/release/oci"
	"apitoken.dev/operator/hack/release/publish"
)

// registryServer starts a registry in this process, with or without the referrers API.
func registryServer(t *testing.T, referrers bool) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(referrers)))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://") + "/team"
}

// smallSources writes sources with an empty manager, and the real chart and manifests.
func smallSources(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "sources")
	for _, dir := range []string{"charts", "config"} {
		if err := os.CopyFS(filepath.Join(root, dir), os.DirFS(filepath.Join("..", "..", dir))); err != nil {
			t.Fatal(err)
		}
	}
	for file, content := range map[string]string{
		"go.mod":              "module apitoken.dev/operator\n\ngo 1.26.0\n",
		"LICENSE":             "Apache-2.0\n",
		"cmd/manager/main.go": "package main\n\nvar version string\n\nfunc main() { print(version) }\n",
	} {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// released builds a release of smallSources for a registry.
func released(t *testing.T, to string) options {
	t.Helper()
	o := options{root: smallSources(t), out: filepath.Join(t.TempDir(), "out"), version: testVersion, image: to + "/apitoken-operator",
		platforms: []string{"linux/amd64", "linux/arm64"}, push: to}
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return o
}

// pinned runs a program that is pinned in a module of tools, and returns its output.
func pinned(t *testing.T, modfile, name string, args ...string) string {
	t.Helper()
	modfile, err := filepath.Abs(modfile)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"tool", "-modfile=" + modfile, name}, args...)...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "GOWORK=off", "COSIGN_PASSWORD="+password, "HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home)
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, out.String(), failed.String())
	}
	return out.String()
}

func cosign(t *testing.T, args ...string) string {
	t.Helper()
	return pinned(t, filepath.Join("tools", "cosign", "go.mod"), "cosign", args...)
}

const password = "only of this test"

// keyPair creates a key pair with cosign, and returns the files.
func keyPair(t *testing.T) (private, public string) {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "release")
	cosign(t, "generate-key-pair", "--output-key-prefix", prefix)
	return prefix + ".key", prefix + ".pub"
}

// helm pulls the chart, which names the image. cosign verifies the signatures and downloads the bills
// of materials. The registry is the one of the distribution project.
func TestHelmAndCosignAcceptThePushedRelease(t *testing.T) {
	to := distribution(t)
	o := released(t, to)
	var public string
	o.key, public = keyPair(t)
	t.Setenv("COSIGN_PASSWORD", password)
	if err := push(t.Context(), o); err != nil {
		t.Fatal(err)
	}

	dir := t.TempDir()
	helm := filepath.Join("..", "chart", "tools", "helm", "go.mod")
	pinned(t, helm, "helm", "pull", "oci://"+to+"/charts/apitoken-operator", "--version", "1.2.3-rc.1", "--plain-http", "--destination", dir)
	pulled, err := os.ReadFile(filepath.Join(dir, "apitoken-operator-1.2.3-rc.1.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadFile(filepath.Join(o.out, "apitoken-operator-1.2.3-rc.1.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pulled, made) {
		t.Error("helm pulls another chart than the one that was made")
	}
	image := to + "/apitoken-operator:" + testVersion
	if rendered := pinned(t, helm, "helm", "template", "x", filepath.Join(dir, "apitoken-operator-1.2.3-rc.1.tgz")); !strings.Contains(rendered, `image: "`+image+`"`) {
		t.Errorf("the chart does not name the image %s", image)
	}

	verify := []string{"verify", "--key", public, "--insecure-ignore-tlog", "--allow-http-registry", "--output", "json"}
	for _, signed := range []string{image, at(t, image, "linux/arm64"), to + "/charts/apitoken-operator:1.2.3-rc.1"} {
		if out := cosign(t, append(verify, signed)...); !strings.Contains(out, "docker-manifest-digest") {
			t.Errorf("cosign verifies of %s: %s", signed, out)
		}
	}
	for _, arch := range []string{"amd64", "arm64"} {
		bill, err := os.ReadFile(filepath.Join(o.out, "apitoken-operator_"+testVersion+"_linux_"+arch+sbomEnding))
		if err != nil {
			t.Fatal(err)
		}
		got := cosign(t, "download", "sbom", "--allow-http-registry", at(t, image, "linux/"+arch))
		if diff := cmp.Diff(strings.TrimSpace(string(bill)), strings.TrimSpace(got)); diff != "" {
			t.Errorf("the bill of materials of %s: %s", arch, diff)
		}
	}
}

// at returns the manifest of a platform by its digest.
func at(t *testing.T, image, platform string) string {
	t.Helper()
	ref, err := name.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(ref)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range m.Manifests {
		if d.Platform.String() == platform {
			return ref.Context().Digest(d.Digest.String()).String()
		}
	}
	t.Fatalf("%s has no %s", image, platform)
	return ""
}

// content returns the digest of each tag in the registry.
func content(t *testing.T, to string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, repository := range []string{to + "/apitoken-operator", to + "/charts/apitoken-operator"} {
		r, err := name.NewRepository(repository)
		if err != nil {
			t.Fatal(err)
		}
		tags, err := remote.List(r)
		var answer *transport.Error
		if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
			continue // the repository is empty
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range tags {
			d, err := remote.Head(r.Tag(tag))
			if err != nil {
				t.Fatal(err)
			}
			out[repository+":"+tag] = d.Digest.String()
		}
	}
	return out
}

// A second release of the same sources has the same digests, including those of the signatures, with
// and without the referrers API. Both releases list the bills of materials.
func TestASecondPushChangesNothing(t *testing.T) {
	for name, referrers := range map[string]bool{"with the referrers API": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			to := registryServer(t, referrers)
			var contents [2]map[string]string
			key := plainKey(t)
			for i := range contents {
				o := released(t, to)
				o.key = key
				if err := push(t.Context(), o); err != nil {
					t.Fatal(err)
				}
				contents[i] = content(t, to)
			}
			if diff := cmp.Diff(contents[0], contents[1]); diff != "" {
				t.Errorf("- first push, + second push:\n%s", diff)
			}
			image := to + "/apitoken-operator:" + testVersion
			for _, platform := range []string{"linux/amd64", "linux/arm64"} {
				if got := referrersOf(t, at(t, image, platform)); got[string(oci.SBOMType)] != 1 || got["application/vnd.dev.cosign.artifact.sig.v1+json"] != 1 {
					t.Errorf("what refers to the image of %s: %v", platform, got)
				}
			}
		})
	}
}

// referrersOf counts the artefacts that refer to a manifest, by their type.
func referrersOf(t *testing.T, image string) map[string]int {
	t.Helper()
	digest, err := name.NewDigest(image)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Referrers(digest)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, d := range m.Manifests {
		// The registry of this test lists artefacts by the type of their config.
		about, err := remote.Image(digest.Context().Digest(d.Digest.String()))
		if err != nil {
			t.Fatal(err)
		}
		m, err := about.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		out[m.ArtifactType]++
	}
	return out
}

// The cases are releases that must not be pushed.
func TestRefusedPushChangesNothing(t *testing.T) {
	to := registryServer(t, true)
	o := released(t, to)
	if err := push(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	before := content(t, to)

	other := released(t, to)
	other.out = filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(filepath.Join(other.root, "cmd", "manager", "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	elsewhere := o
	elsewhere.push = to + "/elsewhere"
	nothing := o
	nothing.out = t.TempDir()
	badKey := o
	badKey.key = filepath.Join(o.root, "LICENSE")
	for name, c := range map[string]struct {
		o    options
		want string
	}{
		"the version with other content": {other, publish.ErrTaken.Error()},
		"another registry":               {elsewhere, publish.ErrOtherRegistry.Error()},
		"no release":                     {nothing, "run make release first"},
		"a file that is no key":          {badKey, "cosign generate-key-pair"},
	} {
		if err := push(t.Context(), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	if diff := cmp.Diff(before, content(t, to)); diff != "" {
		t.Errorf("the registry changed:\n%s", diff)
	}
}

// After an interrupted push, no tag refers to an unsigned image.
func TestTagsComeLast(t *testing.T) {
	to := registryServer(t, true)
	o := released(t, to)
	r, err := oci.Read(filepath.Join(o.out, layoutDir))
	if err != nil {
		t.Fatal(err)
	}
	key, err := readKey(plainKey(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var said []string
	err = publish.Push(ctx, r, publish.Options{Registry: to, Key: key, Log: func(format string, args ...any) {
		said = append(said, fmt.Sprintf(format, args...))
		if strings.HasPrefix(format, "signed") {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v after %v", err, said)
	}
	for tag := range content(t, to) {
		if strings.HasSuffix(tag, ":"+testVersion) {
			t.Errorf("%s exists after %v", tag, said)
		}
	}
}

// checkImages reads the layout and the archive of the image.
func checkImages(t *testing.T, out string) {
	t.Helper()
	r, err := oci.Read(filepath.Join(out, layoutDir))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.ImageTag.String(), "registry.example.com/team/apitoken-operator:"+testVersion; got != want {
		t.Errorf("the image is %s, not %s", got, want)
	}
	if got, want := r.ChartTag.String(), "registry.example.com/team/charts/apitoken-operator:1.2.3-rc.1"; got != want {
		t.Errorf("the chart is %s, not %s", got, want)
	}
	m, err := r.Image.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.SBOMs) != len(m.Manifests) {
		t.Errorf("%d bills of materials for %d images", len(r.SBOMs), len(m.Manifests))
	}
	img, err := r.Image.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || config.Architecture != "amd64" || config.Config.Labels["org.opencontainers.image.version"] != testVersion {
		t.Errorf("the config of the image: %+v", config)
	}
	digest, err := r.Image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(out, "apitoken-operator_"+testVersion+"_image.tar")
	archive, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	archived := readTar(t, path, bytes.NewReader(archive))
	if !bytes.Contains(archived["index.json"], []byte(digest.String())) || !bytes.Contains(archived["index.json"], []byte(r.ImageTag.String())) {
		t.Errorf("the archive has another image: %s", archived["index.json"])
	}
	for name, content := range archived {
		if hex, ok := strings.CutPrefix(name, "blobs/sha256/"); ok && hex != "" && hex != fmt.Sprintf("%x", sha256.Sum256(content)) {
			t.Errorf("%s is something else", name)
		}
	}
}

// plainKey writes an unencrypted private key, which is the same in every run.
func plainKey(t *testing.T) string {
	t.Helper()
	seed := sha256.Sum256([]byte(t.Name()))
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
