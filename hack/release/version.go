package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strings"

	"golang.org/x/mod/semver"
)

// version of a release: v1.2.3, or v1.2.3-4-gabcdef after it.
type version string

// chart is the version without its v, as Helm requires.
func (v version) chart() string { return strings.TrimPrefix(string(v), "v") }

// versionOf returns the given version, or the one that git describes if it is empty.
func versionOf(ctx context.Context, root, given string) (version, error) {
	if given == "" {
		cmd := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty", "--match=v[0-9]*")
		cmd.Dir = root
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("git describe: %w; name the version with -version", err)
		}
		given = described(strings.TrimSpace(string(out)))
	}
	if !semver.IsValid(given) || semver.Build(given) != "" || strings.Count(given, ".") < 2 {
		return "", fmt.Errorf("-version: %q is not a version: write v, three numbers and, after a hyphen, a pre-release, for example v1.2.3 or v1.3.0-rc.1", given)
	}
	return version(given), nil
}

var commitOnly = regexp.MustCompile(`^[0-9a-f]{7,40}(-dirty)?$`)

// described converts the output of git describe to a version. Before the first tag the output
// is only the commit, which gets the prefix g, as after a tag: a number must not begin with 0.
func described(s string) string {
	if commitOnly.MatchString(s) {
		return "v0.0.0-g" + s
	}
	return s
}

var imageRepository = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)*$`)

func checkImage(image string) error {
	if !imageRepository.MatchString(image) || !strings.Contains(image, "/") && strings.Contains(image, ":") {
		return fmt.Errorf("-image: %q is not a repository: write registry and path without a tag, for example registry.example.com/apitoken-operator", image)
	}
	return nil
}
