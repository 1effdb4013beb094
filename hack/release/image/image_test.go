package image

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const source = "package main\n\nfunc main() {}\n"

// compile builds a program that does nothing.
func compile(t *testing.T, arch string) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "program")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", out, filepath.Join(dir, "main.go"))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=", "GOWORK=off")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func build(t *testing.T, arch string, content []byte) v1.Image {
	t.Helper()
	img, err := Build(Options{
		Platform: v1.Platform{OS: "linux", Architecture: arch}, Entrypoint: "/usr/bin/program",
		Binaries: map[string][]byte{"/usr/bin/program": content}, Labels: map[string]string{"org.opencontainers.image.version": "v1.2.3"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digest(t *testing.T, of interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	hash, err := of.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return hash.String()
}

func TestImageIsReproducible(t *testing.T) {
	content := compile(t, "amd64")
	if first, second := digest(t, build(t, "amd64", content)), digest(t, build(t, "amd64", bytes.Clone(content))); first != second {
		t.Errorf("the same binary gives %s and %s", first, second)
	}
}

func TestImageHasWhatAStaticBinaryExpects(t *testing.T) {
	program := compile(t, "amd64")
	img := build(t, "amd64", program)
	index, err := Index([]v1.Image{img})
	if err != nil {
		t.Fatal(err)
	}
	checkValid(t, index)
	type entry struct {
		Mode     int64
		Uid, Gid int
	}
	got, contents := map[string]entry{}, map[string][]byte{}
	rootfs := mutate.Extract(img)
	defer rootfs.Close()
	for r := tar.NewReader(rootfs); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !header.ModTime.Equal(Epoch()) {
			t.Errorf("%s has the time %s", header.Name, header.ModTime)
		}
		got[header.Name] = entry{header.Mode, header.Uid, header.Gid}
		if contents[header.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]entry{
		"etc": {0o755, 0, 0}, "etc/passwd": {0o644, 0, 0}, "etc/group": {0o644, 0, 0}, "etc/nsswitch.conf": {0o644, 0, 0},
		"etc/ssl": {0o755, 0, 0}, "etc/ssl/certs": {0o755, 0, 0}, "etc/ssl/certs/ca-certificates.crt": {0o644, 0, 0},
		"home": {0o755, 0, 0}, "home/nonroot": {0o700, 65532, 65532}, "tmp": {0o1777, 0, 0},
		"usr": {0o755, 0, 0}, "usr/bin": {0o755, 0, 0}, "usr/bin/program": {0o755, 0, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files of the image (-want +got):\n%s", diff)
	}
	if !bytes.Equal(contents["usr/bin/program"], program) {
		t.Error("the binary is not the one that was given")
	}
	if !strings.Contains(string(contents["etc/passwd"]), ":65532:65532:") {
		t.Errorf("the user is missing: %s", contents["etc/passwd"])
	}
	checkRoots(t, contents["etc/ssl/certs/ca-certificates.crt"])
}

// checkValid stores the index as an OCI layout, reads it back and validates it.
func checkValid(t *testing.T, index v1.ImageIndex) {
	t.Helper()
	path, err := layout.Write(t.TempDir(), index)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(stored); err != nil {
		t.Error(err)
	}
}

// checkRoots fails unless the file has every root that Mozilla trusts without a constraint.
func checkRoots(t *testing.T, content []byte) {
	t.Helper()
	names := map[string]bool{}
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		root, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		names[root.Subject.CommonName] = true
	}
	if len(names) < 100 {
		t.Errorf("the bundle has %d roots", len(names))
	}
	for _, name := range []string{"Amazon Root CA 1", "ISRG Root X1", "GTS Root R1"} {
		if !names[name] {
			t.Errorf("the bundle does not have %s", name)
		}
	}
}

func TestImageRunsAsNobodyWithItsConfiguration(t *testing.T) {
	config, err := build(t, "arm64", compile(t, "arm64")).ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{
		User: "65532:65532", Entrypoint: []string{"/usr/bin/program"}, WorkingDir: "/",
		Env:    []string{"PATH=/usr/local/bin:/usr/bin:/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
		Labels: map[string]string{"org.opencontainers.image.version": "v1.2.3"},
	}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if config.OS != "linux" || config.Architecture != "arm64" || !config.Created.Equal(Epoch()) {
		t.Errorf("%s/%s, created %s", config.OS, config.Architecture, config.Created)
	}
}

func TestIndexNamesItsPlatforms(t *testing.T) {
	join := func() v1.ImageIndex {
		index, err := Index([]v1.Image{build(t, "amd64", compile(t, "amd64")), build(t, "arm64", compile(t, "arm64"))})
		if err != nil {
			t.Fatal(err)
		}
		return index
	}
	index := join()
	checkValid(t, index)
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, m := range manifest.Manifests {
		platforms = append(platforms, m.Platform.String())
		if m.MediaType != types.OCIManifestSchema1 {
			t.Errorf("%s has the media type %s", m.Platform, m.MediaType)
		}
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, platforms); diff != "" || manifest.MediaType != types.OCIImageIndex {
		t.Errorf("media type %s, platforms (-want +got):\n%s", manifest.MediaType, diff)
	}
	if first, second := digest(t, index), digest(t, join()); first != second {
		t.Errorf("the same binaries give %s and %s", first, second)
	}
	if _, err := Index(nil); err == nil {
		t.Error("an index without images is accepted")
	}
}

// withLoader adds a segment that names a loader, as in a program that is linked with a C library.
func withLoader(t *testing.T, program []byte) []byte {
	t.Helper()
	const offsetOfTable, offsetOfCount, entrySize = 0x20, 0x38, 56
	out := bytes.Clone(program)
	table := binary.LittleEndian.Uint64(out[offsetOfTable:])
	for i := range uint64(binary.LittleEndian.Uint16(out[offsetOfCount:])) {
		kind := out[table+i*entrySize:]
		if elf.ProgType(binary.LittleEndian.Uint32(kind)) == elf.PT_NOTE {
			binary.LittleEndian.PutUint32(kind, uint32(elf.PT_INTERP))
			return out
		}
	}
	t.Fatal("the program has no segment to change")
	return nil
}

func TestProgramThatWouldNotStartIsRefused(t *testing.T) {
	amd64 := compile(t, "amd64")
	dynamic := withLoader(t, amd64)
	cases := map[string]struct {
		platform v1.Platform
		binaries map[string][]byte
		want     string
	}{
		"another architecture": {v1.Platform{OS: "linux", Architecture: "arm64"}, map[string][]byte{"/p": amd64}, "a program for X86_64, not for linux/arm64"},
		"another system":       {v1.Platform{OS: "darwin", Architecture: "arm64"}, map[string][]byte{"/p": amd64}, "images are for linux"},
		"not a program":        {v1.Platform{OS: "linux", Architecture: "amd64"}, map[string][]byte{"/p": []byte("#!/bin/sh\n")}, "no Linux program"},
		"shared libraries":     {v1.Platform{OS: "linux", Architecture: "amd64"}, map[string][]byte{"/p": dynamic}, "CGO_ENABLED=0"},
		"no entrypoint":        {v1.Platform{OS: "linux", Architecture: "amd64"}, map[string][]byte{"/q": amd64}, "entrypoint"},
		"a relative path":      {v1.Platform{OS: "linux", Architecture: "amd64"}, map[string][]byte{"/p": amd64, "q": amd64}, "absolute"},
		"a file of the image":  {v1.Platform{OS: "linux", Architecture: "amd64"}, map[string][]byte{"/p": amd64, "/etc/passwd": amd64}, "taken"},
	}
	for name, tc := range cases {
		_, err := Build(Options{Platform: tc.platform, Binaries: tc.binaries, Entrypoint: "/p"})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}
