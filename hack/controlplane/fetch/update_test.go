package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// officialLists has a checksum for every file that update requests: the checksum of its address.
func officialLists() map[string][]byte {
	lists := map[string][]byte{}
	for _, file := range []string{
		"linux/amd64/kube-apiserver", "linux/arm64/kube-apiserver",
		"linux/amd64/kube-controller-manager", "linux/arm64/kube-controller-manager",
		"linux/amd64/kubectl", "linux/arm64/kubectl", "darwin/amd64/kubectl", "darwin/arm64/kubectl",
	} {
		address := kubernetesReleases + "/v1.37.1/bin/" + file
		lists[address+".sha256"] = []byte(sum256([]byte(address)) + "\n")
	}
	lists[etcdReleases+"/v3.7.0/SHA256SUMS"] = []byte(sum256([]byte("amd64")) + "  etcd-v3.7.0-linux-amd64.tar.gz\n" +
		sum256([]byte("arm64")) + "  etcd-v3.7.0-linux-arm64.tar.gz\n" + sum256([]byte("zip")) + "  etcd-v3.7.0-darwin-arm64.zip\n")
	return lists
}

var testVersions = map[string]string{
	"etcd": "v3.7.0", "kube-apiserver": "v1.37.1", "kube-controller-manager": "v1.37.1", "kubectl": "v1.37.1",
}

func TestUpdateWritesTheOfficialChecksums(t *testing.T) {
	mirror, _ := serve(t, officialLists())
	f, _ := testFetcher(t, mirror)
	file := filepath.Join(t.TempDir(), "checksums")
	replaced, kept, stale := etcdPin(nil), etcdPin(nil), etcdPin(nil)
	kept.platform = "darwin/arm64"
	stale.platform, stale.version = "darwin/amd64", "v3.6.0"
	if err := f.update(t.Context(), file, testVersions, []pin{replaced, kept, stale}); err != nil {
		t.Fatal(err)
	}
	pins, err := readPins(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(pins) != 11 || pins[10] != kept {
		t.Errorf("%d pins, the last is %v, want 11 and %v", len(pins), pins[len(pins)-1], kept)
	}
	manager := choose(pins, testVersions, "linux/arm64", []string{"kube-controller-manager"}, f.say)[0]
	address := kubernetesReleases + "/v1.37.1/bin/linux/arm64/kube-controller-manager"
	if manager.url != address || manager.sum != sum256([]byte(address)) || manager.member != "" {
		t.Errorf("the pin is %v", manager)
	}
	etcd := choose(pins, testVersions, "linux/amd64", []string{"etcd"}, f.say)[0]
	if etcd.sum != sum256([]byte("amd64")) || etcd.url != etcdReleases+"/v3.7.0/etcd-v3.7.0-linux-amd64.tar.gz" ||
		etcd.member != "etcd-v3.7.0-linux-amd64/etcd" {
		t.Errorf("the pin is %v", etcd)
	}
}

// A mirror that also provided the checksums could serve any content.
func TestUpdateRefusesAMirror(t *testing.T) {
	mirror, requests := serve(t, officialLists())
	t.Setenv("CONTROLPLANE_MIRROR", mirror)
	directory := t.TempDir()
	for _, name := range []string{"go.mod", "checksums"} {
		content, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(directory, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(directory)
	if err := run(t.Context(), []string{"-update"}); err == nil || !strings.Contains(err.Error(), "unset CONTROLPLANE_MIRROR") {
		t.Errorf("the update says %v", err)
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("the mirror was asked %d times", n)
	}
}

func TestUpdateWritesAllOrNothing(t *testing.T) {
	apiserver := kubernetesReleases + "/v1.37.1/bin/linux/arm64/kube-apiserver.sha256"
	sums := etcdReleases + "/v3.7.0/SHA256SUMS"
	cases := map[string]func(map[string][]byte){
		"a list is missing":           func(lists map[string][]byte) { delete(lists, apiserver) },
		"a list is a page":            func(lists map[string][]byte) { lists[apiserver] = []byte("<html>") },
		"a list has another file":     func(lists map[string][]byte) { lists[sums] = []byte(sum256(nil) + "  etcd-v3.7.0-linux-amd64.zip\n") },
		"a list has a short checksum": func(lists map[string][]byte) { lists[apiserver] = lists[apiserver][:40] },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			lists := officialLists()
			change(lists)
			mirror, _ := serve(t, lists)
			f, _ := testFetcher(t, mirror)
			directory := t.TempDir()
			file := filepath.Join(directory, "checksums")
			before := "# the file as it was\n"
			if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := f.update(t.Context(), file, testVersions, nil); err == nil {
				t.Error("the update succeeded")
			}
			after, err := os.ReadFile(file)
			if err != nil || string(after) != before {
				t.Errorf("the file is now %q (%v)", after, err)
			}
			if names := files(t, directory); strings.Join(names, " ") != "checksums" {
				t.Errorf("the directory has %q", names)
			}
		})
	}
}
