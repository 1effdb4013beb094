package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func repositoryFile(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join("..", name)
}

// A pin of another version is never used. After an update of go.mod without new checksums, all
// programs are built from source, and this test fails.
func TestPinsAreOfTheVersionsThatAreBuilt(t *testing.T) {
	versions, err := readVersions(repositoryFile(t, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	pins, err := readPins(repositoryFile(t, "checksums"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, p := range pins {
		if p.version != versions[p.program] {
			t.Errorf("%s %s is pinned, go.mod has %s: run update-checksums.sh", p.program, p.version, versions[p.program])
		}
		if key := p.program + " " + p.platform; seen[key] {
			t.Errorf("%s is pinned twice", key)
		} else {
			seen[key] = true
		}
	}
	for _, want := range []string{"etcd linux/amd64", "kube-apiserver linux/amd64", "kube-controller-manager linux/amd64", "kubectl linux/amd64"} {
		if !seen[want] {
			t.Errorf("%s is not pinned", want)
		}
	}
	script, err := os.ReadFile(repositoryFile(t, "build.sh"))
	if err != nil {
		t.Fatal(err)
	}
	if line := "\nversion=" + versions["kube-apiserver"] + "\n"; !strings.Contains(string(script), line) {
		t.Errorf("build.sh lacks the line %q", strings.TrimSpace(line))
	}
}

func TestOnlyPinsOfThisVersionAndPlatformAreChosen(t *testing.T) {
	good := etcdPin(nil)
	old, elsewhere := good, good
	old.version, elsewhere.platform = "v3.6.0", "linux/arm64"
	versions := map[string]string{"etcd": "v3.7.0", "kubectl": "v1.37.1"}
	var log strings.Builder
	say := func(format string, args ...any) { log.WriteString(strings.TrimSpace(format)) }
	chosen := choose([]pin{old, elsewhere, good}, versions, "linux/amd64", []string{"etcd"}, say)
	if len(chosen) != 1 || chosen[0] != good || log.String() != "" {
		t.Errorf("chose %v (%s)", chosen, log.String())
	}
	if chosen := choose([]pin{old, elsewhere}, versions, "linux/amd64", []string{"etcd"}, say); len(chosen) != 0 {
		t.Errorf("chose %v", chosen)
	}
	wantLog(t, log.String(), "building it from source")
}

func TestPinsAreValidated(t *testing.T) {
	valid := etcdPin(nil).String()
	if p, err := parsePin(valid); err != nil || p.String() != valid {
		t.Fatalf("%q is read as %q: %v", valid, p, err)
	}
	sum := etcdPin(nil).sum
	cases := map[string]string{
		"unknown program":      strings.Replace(valid, "etcd ", "bash ", 1),
		"path as program":      strings.Replace(valid, "etcd ", "../etcd ", 1),
		"short checksum":       strings.Replace(valid, sum, sum[:64], 1),
		"uppercase checksum":   strings.Replace(valid, sum, strings.ToUpper(sum), 1),
		"no checksum":          strings.Replace(valid, "sha512:"+sum, "sha512:", 1),
		"weak algorithm":       strings.Replace(valid, "sha512:"+sum, "md5:d41d8cd98f00b204e9800998ecf8427e", 1),
		"http":                 strings.Replace(valid, "https://", "http://", 1),
		"file":                 strings.Replace(valid, "https://", "file:///", 1),
		"archive without path": strings.TrimSuffix(valid, " "+etcdMember),
		"path without archive": strings.Replace(valid, "etcd.tar.gz", "etcd", 1),
		"path above":           strings.Replace(valid, etcdMember, "../etcd", 1),
		"absolute path":        strings.Replace(valid, etcdMember, "/etcd", 1),
		"missing fields":       "etcd v3.7.0 linux/amd64",
		"too many fields":      valid + " more",
	}
	for name, line := range cases {
		if _, err := parsePin(line); err == nil {
			t.Errorf("%s: %q is accepted", name, line)
		}
	}
	file := filepath.Join(t.TempDir(), "checksums")
	if err := os.WriteFile(file, []byte("# comment\n\nbash v1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readPins(file); err == nil || !strings.HasPrefix(err.Error(), file+":3: ") {
		t.Errorf("the error is %v, want one with the line", err)
	}
}

func TestGoModNeedsTheModulesOfThePrograms(t *testing.T) {
	file := filepath.Join(t.TempDir(), "go.mod")
	if err := os.WriteFile(file, []byte("module m\n\nrequire k8s.io/kubernetes v1.37.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readVersions(file); err == nil || !strings.Contains(err.Error(), "go.etcd.io/etcd/server/v3") {
		t.Errorf("the error is %v", err)
	}
}
