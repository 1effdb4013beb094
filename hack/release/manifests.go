package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// devImage is the image in config/manager, which a release replaces.
const devImage = "image: apitoken-operator:dev"

// manifests are the files to install, in this order, each with its source directory below
// config. install.yaml does not contain the namespace and the CRDs: deleting its objects must
// not delete ApiTokens, or the Secrets that are needed to revoke them.
var manifests = []struct{ name, config, title string }{
	{"namespace.yaml", "namespace", "The namespace of apitoken-operator %s. Delete it last"},
	{"crds.yaml", "crd", "The kinds of apitoken-operator %s. Deleting them deletes every ApiToken"},
	{"install.yaml", "default", "apitoken-operator %s, for a cluster that has namespace.yaml and crds.yaml"},
}

// writeManifests writes the manifests, with the release's image.
func writeManifests(o options, v version) error {
	for _, m := range manifests {
		content, err := kustomize(filepath.Join(o.root, "config", m.config))
		if err != nil {
			return err
		}
		if m.config == "default" {
			if n := bytes.Count(content, []byte(devImage)); n != 1 {
				return fmt.Errorf("config/default names %q %d times, not once", devImage, n)
			}
			content = bytes.Replace(content, []byte(devImage), fmt.Appendf(nil, "image: %s:%s", o.image, v), 1)
		}
		header := fmt.Sprintf("# "+m.title+".\n# Install with: kubectl apply --server-side -f %s\n", v, m.name)
		if err := writeFile(filepath.Join(o.out, m.name), append([]byte(header), content...)); err != nil {
			return err
		}
	}
	return nil
}

func kustomize(dir string) ([]byte, error) {
	options := krusty.MakeDefaultOptions()
	// As kubectl does: namespaces and CRDs before the objects that need them.
	options.Reorder = krusty.ReorderOptionLegacy
	result, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, err
	}
	return result.AsYaml()
}

const chartDir = "charts/apitoken-operator"

// writeChart writes the chart as helm package would, with the release's version
// and image in it, and without times.
func writeChart(o options, v version) error {
	root := filepath.Join(o.root, filepath.FromSlash(chartDir))
	patterns, err := ignores(root)
	if err != nil {
		return err
	}
	var files []file
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if matches(patterns, entry.Name()) {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		f, err := chartFile(root, path, o, v)
		files = append(files, f)
		return err
	})
	if err != nil {
		return fmt.Errorf("packing the chart: %w", err)
	}
	return writeTarGz(filepath.Join(o.out, chartFileName(v)), files)
}

func chartFileName(v version) string { return "apitoken-operator-" + v.chart() + ".tgz" }

// chartFile reads a file of the chart, with the changes for the release.
func chartFile(root, path string, o options, v version) (file, error) {
	name, err := filepath.Rel(root, path)
	if err != nil {
		return file{}, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return file{}, err
	}
	switch name {
	case "Chart.yaml":
		content, err = replaceLines(content, map[string]string{
			"version: 0.0.0-dev": "version: " + v.chart(), "appVersion: dev": "appVersion: " + string(v)})
	case "values.yaml":
		content, err = replaceLines(content, map[string]string{"  repository: apitoken-operator": "  repository: " + o.image})
	}
	if err != nil {
		return file{}, fmt.Errorf("%s: %w", name, err)
	}
	return file{name: "apitoken-operator/" + filepath.ToSlash(name), content: content}, nil
}

// ignores reads the patterns of .helmignore. All of them must be file names.
func ignores(root string) ([]string, error) {
	content, err := os.ReadFile(filepath.Join(root, ".helmignore"))
	if err != nil {
		return nil, err
	}
	patterns := []string{".helmignore"}
	for line := range strings.Lines(string(content)) {
		if line = strings.TrimSuffix(strings.TrimSpace(line), "/"); line != "" && !strings.HasPrefix(line, "#") {
			patterns = append(patterns, line)
		}
	}
	return patterns, nil
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := filepath.Match(pattern, name)
		return ok && err == nil
	})
}

var errLine = errors.New("does not occur exactly once")

// replaceLines replaces whole lines. Each line must occur exactly once.
func replaceLines(content []byte, lines map[string]string) ([]byte, error) {
	all := strings.Split(string(content), "\n")
	for from, to := range lines {
		found := 0
		for i := range all {
			if all[i] == from {
				all[i] = to
				found++
			}
		}
		if found != 1 {
			return nil, fmt.Errorf("the line %q %w", from, errLine)
		}
	}
	return []byte(strings.Join(all, "\n")), nil
}
