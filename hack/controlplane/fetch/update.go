package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

const (
	kubernetesReleases = "https://dl.k8s.io/release"
	etcdReleases       = "https://github.com/etcd-io/etcd/releases/download"
	listSize           = 1 << 20
)

const updatedHeader = `# The releases that build.sh may download instead of building from source. One line each:
#
#   PROGRAM VERSION OS/ARCH ALGORITHM:CHECKSUM ADDRESS [PATH IN THE .tar.gz]
#
# A line counts only while VERSION is the one that go.mod pins, so a downloaded program is never
# another version than a built one. A program without a line for a platform is built from source.
# Written by update-checksums.sh from the .sha256 files of dl.k8s.io and from the SHA256SUMS of etcd;
# it keeps other lines of the same version.

`

// update writes the checksums of the versions in go.mod, as the official lists have them.
// It writes nothing unless it can read all of them.
func (f *fetcher) update(ctx context.Context, file string, versions map[string]string, present []pin) error {
	pins, err := f.kubernetesPins(ctx, versions["kube-apiserver"])
	if err != nil {
		return err
	}
	etcd, err := f.etcdPins(ctx, versions["etcd"])
	if err != nil {
		return err
	}
	pins = append(pins, etcd...)
	var content strings.Builder
	content.WriteString(updatedHeader)
	for _, p := range append(pins, others(present, pins, versions)...) {
		if err := p.validate(); err != nil {
			return fmt.Errorf("%s %s: %w", p.program, p.platform, err)
		}
		fmt.Fprintln(&content, p)
	}
	fresh := filepath.Join(filepath.Dir(file), ".checksums.new")
	defer os.Remove(fresh)
	if err := os.WriteFile(fresh, []byte(content.String()), 0o644); err != nil { //nolint:gosec // G306: a file of this repository is public
		return err
	}
	return os.Rename(fresh, file)
}

// others returns the existing pins of the same versions that are not in the official lists.
func others(present, official []pin, versions map[string]string) []pin {
	known := map[string]bool{}
	for _, p := range official {
		known[p.program+" "+p.platform] = true
	}
	var kept []pin
	for _, p := range present {
		if p.version == versions[p.program] && !known[p.program+" "+p.platform] {
			kept = append(kept, p)
		}
	}
	return kept
}

func (f *fetcher) kubernetesPins(ctx context.Context, version string) ([]pin, error) {
	platforms := map[string][]string{
		"kube-apiserver":          {"linux/amd64", "linux/arm64"},
		"kube-controller-manager": {"linux/amd64", "linux/arm64"},
		"kubectl":                 {"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64"},
	}
	var pins []pin
	for _, program := range []string{"kube-apiserver", "kube-controller-manager", "kubectl"} {
		for _, platform := range platforms[program] {
			address := fmt.Sprintf("%s/%s/bin/%s/%s", kubernetesReleases, version, platform, program)
			list, err := f.list(ctx, address+".sha256")
			if err != nil {
				return nil, err
			}
			pins = append(pins, pin{
				program: program, version: version, platform: platform,
				algorithm: "sha256", sum: strings.TrimSpace(list), url: address,
			})
		}
	}
	return pins, nil
}

func (f *fetcher) etcdPins(ctx context.Context, version string) ([]pin, error) {
	release := etcdReleases + "/" + version
	list, err := f.list(ctx, release+"/SHA256SUMS")
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for line := range strings.SplitSeq(list, "\n") {
		if fields := strings.Fields(line); len(fields) == 2 {
			sums[strings.TrimPrefix(fields[1], "*")] = fields[0]
		}
	}
	var pins []pin
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		folder := "etcd-" + version + "-" + strings.ReplaceAll(platform, "/", "-")
		sum, listed := sums[folder+".tar.gz"]
		if !listed {
			return nil, fmt.Errorf("%s/SHA256SUMS has no %s.tar.gz", release, folder)
		}
		pins = append(pins, pin{
			program: "etcd", version: version, platform: platform,
			algorithm: "sha256", sum: sum, url: release + "/" + folder + ".tar.gz", member: folder + "/etcd",
		})
	}
	return pins, nil
}

// list returns a small text file.
func (f *fetcher) list(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, f.limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.address(address), nil)
	if err != nil {
		return "", err
	}
	response, err := f.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answered %s", address, response.Status)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, listSize))
	return string(content), err
}
