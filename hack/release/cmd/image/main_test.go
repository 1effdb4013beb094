package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// compile builds a program that does nothing.
func compile(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source, out := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", out, source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=", "GOWORK=off")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	return out
}

// docker load and ctr images import can read the file.
func TestFileIsLoadableAndReproducible(t *testing.T) {
	program := compile(t)
	var files [2][]byte
	for i := range files {
		out := filepath.Join(t.TempDir(), "image.tar")
		if err := run([]string{"-name", "apitoken-operator:dev", "-platform", "linux/amd64", "-out", out, "/manager=" + program}); err != nil {
			t.Fatal(err)
		}
		var err error
		if files[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
		tag, err := name.NewTag("apitoken-operator:dev")
		if err != nil {
			t.Fatal(err)
		}
		img, err := tarball.ImageFromPath(out, &tag)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(img); err != nil {
			t.Error(err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(config.Config.Entrypoint, " "); got != "/manager" {
			t.Errorf("the image starts %s", got)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the second file differs")
	}
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	program, out := compile(t), filepath.Join(t.TempDir(), "image.tar")
	cases := map[string]struct {
		args []string
		want string
	}{
		"no name":     {[]string{"-out", out, "/p=" + program}, "-name"},
		"no tag":      {[]string{"-name", "operator", "-out", out, "/p=" + program}, "with a tag"},
		"no file":     {[]string{"-name", "operator:dev", "/p=" + program}, "-out"},
		"no binaries": {[]string{"-name", "operator:dev", "-out", out}, "binaries"},
		"no path":     {[]string{"-name", "operator:dev", "-out", out, program}, "/PATH=FILE"},
		"missing":     {[]string{"-name", "operator:dev", "-out", out, "/p=" + program + ".not"}, "no such file"},
	}
	for name, tc := range cases {
		if err := run(tc.args); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a refused call wrote the file")
	}
}
