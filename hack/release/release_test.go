package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
)

var (
	fresh = flag.Bool("release.fresh", false, "compile everything again for the second release, in an empty build cache")
	all   = flag.Bool("release.all", false, "build for all platforms")
)

const testVersion = "v1.2.3-rc.1"

// Two releases of the same sources, from different directories and at different times, are equal byte
// for byte. Their files have the expected content.
func TestReleaseIsReproducible(t *testing.T) {
	platforms := []string{"linux/amd64"}
	if *all {
		platforms = nil
	}
	sources := readSources(t)
	var outs []string
	for i := range 2 {
		root := filepath.Join(t.TempDir(), strings.Repeat("sources-", i+1))
		writeSources(t, sources, root, time.Date(2001+i, time.May, 6, 7, 8, 9, 0, time.UTC))
		o := options{root: root, out: filepath.Join(t.TempDir(), "out"), version: testVersion, image: "registry.example.com/team/apitoken-operator", platforms: platforms}
		if i == 1 && *fresh {
			o.env = []string{"GOCACHE=" + t.TempDir()}
		}
		if err := run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		outs = append(outs, o.out)
		checkNoTraces(t, o, root)
	}
	sums := make([]string, 2)
	for i, out := range outs {
		sums[i] = checkSums(t, out)
	}
	if diff := cmp.Diff(sums[0], sums[1]); diff != "" {
		t.Errorf("the second release differs:\n%s", diff)
	}
	for _, name := range []string{"install.yaml", "namespace.yaml", "crds.yaml", "apitoken-operator-1.2.3-rc.1.tgz",
		"apitoken-operator_v1.2.3-rc.1_linux_amd64.tar.gz", "apitoken-operator_v1.2.3-rc.1_image.tar", "oci/index.json"} {
		if !strings.Contains(sums[0], "  "+name+"\n") {
			t.Errorf("there is no %s in\n%s", name, sums[0])
		}
	}
	checkManager(t, outs[0])
	checkImages(t, outs[0])
	checkManifests(t, outs[0])
	checkChart(t, outs[0])
}

// readSources reads the files that git tracks or would add.
func readSources(t *testing.T) map[string][]byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string][]byte{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(cmd.Dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted in the work tree only
		}
		if err != nil {
			t.Fatal(err)
		}
		sources[name] = content
	}
	return sources
}

func writeSources(t *testing.T, sources map[string][]byte, to string, at time.Time) {
	t.Helper()
	for name, content := range sources {
		path := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

// checkSums compares every file with its checksum and returns the list.
func checkSums(t *testing.T, out string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(out, sumsFile))
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(out, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	if len(lines) != files-1 {
		t.Errorf("%d checksums for %d files", len(lines), files-1)
	}
	for _, line := range lines {
		sum, name, _ := strings.Cut(line, "  ")
		file, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(file)); got != sum {
			t.Errorf("%s has the checksum %s, not %s", name, got, sum)
		}
	}
	return string(content)
}

// checkNoTraces fails if a file contains the path of its build.
func checkNoTraces(t *testing.T, o options, root string) {
	t.Helper()
	archives, err := filepath.Glob(filepath.Join(o.out, "*.tar.gz"))
	if err != nil || len(archives) == 0 {
		t.Fatalf("%d archives: %v", len(archives), err)
	}
	for _, archive := range archives {
		for name, content := range untar(t, archive) {
			if bytes.Contains(content, []byte(root)) {
				t.Errorf("%s in %s tells where it was built", name, archive)
			}
		}
	}
}

func untar(t *testing.T, path string) map[string][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return readTar(t, path, unzipped)
}

// readTar returns the files of an archive, and checks their times.
func readTar(t *testing.T, path string, content io.Reader) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if !header.ModTime.Equal(epoch()) {
			t.Errorf("%s in %s has the time %s", header.Name, path, header.ModTime)
		}
		if out[header.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// checkManager checks the version that the binary prints, and its bill of materials.
func checkManager(t *testing.T, out string) {
	t.Helper()
	stem := filepath.Join(out, "apitoken-operator_"+testVersion+"_linux_amd64")
	files := untar(t, stem+".tar.gz")
	if len(files["LICENSE"]) == 0 || len(files["manager"]) == 0 {
		t.Fatalf("the archive lacks LICENSE or manager")
	}
	bom := new(cdx.BOM)
	f, err := os.Open(stem + ".cdx.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := cdx.NewBOMDecoder(f, cdx.BOMFileFormatJSON).Decode(bom); err != nil {
		t.Fatal(err)
	}
	if got, want := (*bom.Metadata.Component.Hashes)[0].Value, fmt.Sprintf("%x", sha256.Sum256(files["manager"])); got != want {
		t.Errorf("the bill is of %s, the binary is %s", got, want)
	}
	if bom.Metadata.Timestamp != "" || bom.Metadata.Component.Version != testVersion {
		t.Errorf("the bill is of version %q, at %q", bom.Metadata.Component.Version, bom.Metadata.Timestamp)
	}
	for _, name := range []string{"std", "k8s.io/client-go", "sigs.k8s.io/controller-runtime"} {
		i := slices.IndexFunc(*bom.Components, func(c cdx.Component) bool { return c.Name == name })
		if i < 0 || (*bom.Components)[i].Version == "" || !strings.HasPrefix((*bom.Components)[i].PackageURL, "pkg:golang/"+name+"@") {
			t.Errorf("the bill of materials does not list %s", name)
		}
	}
	if got := (*(*bom.Dependencies)[0].Dependencies); len(got) != len(*bom.Components) {
		t.Errorf("the binary needs %d of its %d components", len(got), len(*bom.Components))
	}
}

// checkManifests checks the kinds in each file. install.yaml has no CRD and no namespace, so that
// deleting it deletes neither.
func checkManifests(t *testing.T, out string) {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"namespace.yaml", "crds.yaml", "install.yaml"} {
		content, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(content)
	}
	for _, want := range []struct {
		text  string
		times map[string]int
	}{
		{"image: registry.example.com/team/apitoken-operator:" + testVersion + "\n", map[string]int{"install.yaml": 1}},
		{"\nkind: Deployment\n", map[string]int{"install.yaml": 1}},
		{"\nkind: ServiceAccount\n", map[string]int{"install.yaml": 1}},
		{"\nkind: Service\n", map[string]int{"install.yaml": 1}},
		{"\nkind: NetworkPolicy\n", map[string]int{"install.yaml": 1}},
		{"\nkind: CustomResourceDefinition\n", map[string]int{"crds.yaml": 3}},
		{"\nkind: Namespace\n", map[string]int{"namespace.yaml": 1}},
		{"pod-security.kubernetes.io/enforce: restricted\n", map[string]int{"namespace.yaml": 1}},
	} {
		for name, content := range files {
			if got := strings.Count(content, want.text); got != want.times[name] {
				t.Errorf("%s has %q %d times, want %d", name, want.text, got, want.times[name])
			}
		}
	}
}

func checkChart(t *testing.T, out string) {
	t.Helper()
	files := untar(t, filepath.Join(out, "apitoken-operator-1.2.3-rc.1.tgz"))
	chart, values := string(files["apitoken-operator/Chart.yaml"]), string(files["apitoken-operator/values.yaml"])
	if !strings.Contains(chart, "\nversion: 1.2.3-rc.1\n") || !strings.Contains(chart, "\nappVersion: "+testVersion+"\n") {
		t.Errorf("Chart.yaml is\n%s", chart)
	}
	if !strings.Contains(values, "  repository: registry.example.com/team/apitoken-operator\n") {
		t.Error("values.yaml does not name the image of the release")
	}
	for _, name := range []string{"README.md", "values.schema.json", "templates/deployment.yaml", "templates/crd-apitokens.yaml", "examples/apitoken.yaml"} {
		if len(files["apitoken-operator/"+name]) == 0 {
			t.Errorf("the chart lacks %s", name)
		}
	}
	for name := range files {
		if strings.HasSuffix(name, ".gotmpl") || strings.HasSuffix(name, ".helmignore") {
			t.Errorf("the chart holds %s", name)
		}
	}
}

func TestOnlySemanticVersionsAreReleased(t *testing.T) {
	for given, want := range map[string]version{
		"v1.2.3":           "v1.2.3",
		"v1.2.3-rc.1":      "v1.2.3-rc.1",
		"v1.2.3-4-g0abc12": "v1.2.3-4-g0abc12",
		"v1":               "",
		"1.2.3":            "",
		"v1.2.3+build":     "", // + cannot be in the tag of an image
		"latest":           "",
		"v1.02.3":          "",
	} {
		got, err := versionOf(t.Context(), ".", given)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", given, got, err)
		}
	}
	for git, want := range map[string]string{
		"0123456":             "v0.0.0-g0123456",
		"abcdef0-dirty":       "v0.0.0-gabcdef0-dirty",
		"v1.2.3-4-g012-dirty": "v1.2.3-4-g012-dirty",
	} {
		if got := described(git); got != want {
			t.Errorf("%s: %s", git, got)
		}
	}
	if got := version("v1.2.3-rc.1").chart(); got != "1.2.3-rc.1" {
		t.Errorf("the chart's version is %s", got)
	}
}

func TestImageNamesHaveNoTag(t *testing.T) {
	for image, good := range map[string]bool{
		"apitoken-operator":                  true,
		"registry.example.com/a/b":           true,
		"registry.example.com:5000/a":        true,
		"registry.example.com/a:v1":          false,
		"apitoken-operator:dev":              false,
		"registry.example.com/a@sha256:abcd": false,
		"Registry/A":                         false,
		"":                                   false,
	} {
		if err := checkImage(image); (err == nil) != good {
			t.Errorf("%q: %v", image, err)
		}
	}
}

func TestUnknownPlatformsAreRejected(t *testing.T) {
	root := t.TempDir()
	if _, err := selectBuilds(root, []string{"plan9/mips"}); !errors.Is(err, errNothing) {
		t.Errorf("an unknown platform: %v", err)
	}
	without, err := selectBuilds(root, nil)
	if err != nil || len(without) != 2 {
		t.Errorf("without the plugin: %v, %v", without, err)
	}
	if err := os.MkdirAll(filepath.Join(root, "cmd", "kubectl-apitoken"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "cmd", "kubectl-apitoken", "main.go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	with, err := selectBuilds(root, nil)
	if err != nil || len(with) != 7 {
		t.Errorf("with the plugin: %v, %v", with, err)
	}
}

// Archives do not depend on the order of the files or the clock.
func TestArchivesAreReproducible(t *testing.T) {
	files := []file{{name: "b", content: []byte("2"), executable: true}, {name: "a", content: []byte("1")}}
	for name, write := range map[string]func(string, []file) error{"tar.gz": writeTarGz, "zip": writeZip} {
		var contents [2][]byte
		for i := range contents {
			path := filepath.Join(t.TempDir(), "archive."+name)
			if err := write(path, files); err != nil {
				t.Fatal(err)
			}
			var err error
			if contents[i], err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
			slices.Reverse(files)
		}
		if !bytes.Equal(contents[0], contents[1]) {
			t.Errorf("%s depends on the order", name)
		}
		if name == "zip" {
			r, err := zip.NewReader(bytes.NewReader(contents[0]), int64(len(contents[0])))
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []struct {
				name string
				mode os.FileMode
			}{{"a", 0o644}, {"b", 0o755}} {
				if f := r.File[i]; f.Name != want.name || f.Mode() != want.mode || !f.Modified.Equal(epoch()) {
					t.Errorf("%s, %s, %s", f.Name, f.Mode(), f.Modified)
				}
			}
		}
	}
}

func TestReplacedLinesMustOccurOnce(t *testing.T) {
	if got, err := replaceLines([]byte("a\nb\n"), map[string]string{"a": "c"}); err != nil || string(got) != "c\nb\n" {
		t.Errorf("%q, %v", got, err)
	}
	for _, content := range []string{"b\n", "a\na\n", " a\n"} {
		if _, err := replaceLines([]byte(content), map[string]string{"a": "c"}); !errors.Is(err, errLine) {
			t.Errorf("%q: %v", content, err)
		}
	}
}
