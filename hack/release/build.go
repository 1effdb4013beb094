package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// program is a main package of which binaries are built.
type program struct {
	// name of the binary and, with version and platform, of its archive.
	name string
	// archive begins the archive's name.
	archive string
	// pkg is the package below the root.
	pkg string
	// platforms as os/arch.
	platforms []string
	// optional: it is skipped if its package does not exist.
	optional bool
}

// programs lists the programs of a release.
func programs() []program {
	servers := []string{"linux/amd64", "linux/arm64"}
	return []program{
		{name: imageProgram, archive: "apitoken-operator", pkg: "cmd/manager", platforms: servers},
		{name: "kubectl-apitoken", archive: "kubectl-apitoken", pkg: "cmd/kubectl-apitoken",
			platforms: append(servers, "darwin/amd64", "darwin/arm64", "windows/amd64"), optional: true},
	}
}

// build is one binary for one platform.
type build struct {
	program
	os, arch string
}

var errNothing = errors.New("-platforms: nothing is built for them; the manager is for linux, the plugin for linux, darwin and windows, on amd64 and arm64")

// selectBuilds returns the builds for platforms; for all platforms if none are given.
func selectBuilds(root string, platforms []string) ([]build, error) {
	var out []build
	for _, p := range programs() {
		if main, err := filepath.Glob(filepath.Join(root, p.pkg, "main.go")); p.optional && (err != nil || len(main) == 0) {
			continue
		}
		for _, platform := range p.platforms {
			if len(platforms) > 0 && !slices.Contains(platforms, platform) {
				continue
			}
			system, arch, _ := strings.Cut(platform, "/")
			out = append(out, build{program: p, os: system, arch: arch})
		}
	}
	if len(out) == 0 {
		return nil, errNothing
	}
	return out, nil
}

// stem is the name of the archive without its extension.
func (b build) stem(v version) string {
	return fmt.Sprintf("%s_%s_%s_%s", b.archive, v, b.os, b.arch)
}

func (b build) binary() string {
	if b.os == "windows" {
		return b.name + ".exe"
	}
	return b.name
}

// make builds the binary and writes its archive and its bill of materials. It
// returns the binary.
func (b build) make(ctx context.Context, o options, v version) ([]byte, error) {
	dir, err := os.MkdirTemp("", "release-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, b.binary())
	if err := b.compile(ctx, o, v, path); err != nil {
		return nil, err
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	licence, err := os.ReadFile(filepath.Join(o.root, "LICENSE"))
	if err != nil {
		return nil, err
	}
	files := []file{{name: "LICENSE", content: licence}, {name: b.binary(), content: binary, executable: true}}
	write, ending := writeTarGz, ".tar.gz"
	if b.os == "windows" {
		write, ending = writeZip, ".zip"
	}
	if err := write(filepath.Join(o.out, b.stem(v)+ending), files); err != nil {
		return nil, err
	}
	return binary, writeSBOM(filepath.Join(o.out, b.stem(v)+sbomEnding), b, v, path, binary)
}

// compile builds a static binary that does not depend on the place or time of the build.
func (b build) compile(ctx context.Context, o options, v version, out string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly",
		"-ldflags", "-s -w -buildid= -X main.version="+string(v), "-o", out, "./"+b.pkg)
	cmd.Dir = o.root
	// The microarchitecture is fixed, and the builder's own flags are ignored.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+b.os, "GOARCH="+b.arch, "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off")
	cmd.Env = append(cmd.Env, o.env...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, bytes.TrimSpace(output))
	}
	return nil
}
