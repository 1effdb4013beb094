package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	etcdAddress   = "https://github.com/example/etcd/releases/etcd.tar.gz"
	serverAddress = "https://dl.k8s.io/v1.37.1/kubernetes-server.tar.gz"
	etcdMember    = "etcd-folder/etcd"
)

// program returns a script that reports a version as the programs of the control plane do.
func program(output string) []byte { return []byte("#!/bin/sh\necho '" + output + "'\n") }

// entry is one entry of an archive.
type entry struct {
	name    string
	content []byte
	link    string
}

func archive(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	packed := tar.NewWriter(zipped)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: 0o755, Size: int64(len(e.content)), Typeflag: tar.TypeReg}
		if e.link != "" {
			header.Typeflag, header.Linkname = tar.TypeSymlink, e.link
		}
		if err := packed.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := packed.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func sum256(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func etcdPin(content []byte) pin {
	sum := sha512.Sum512(content)
	return pin{
		program: "etcd", version: "v3.7.0", platform: "linux/amd64", algorithm: "sha512", sum: hex.EncodeToString(sum[:]),
		url: etcdAddress, member: etcdMember,
	}
}

// serve starts a mirror with files by path. It returns the mirror's address and its number of
// requests.
func serve(t *testing.T, files map[string][]byte) (string, *atomic.Int32) {
	t.Helper()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		content, found := files["https:/"+r.URL.Path]
		if !found {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(content)
	}))
	t.Cleanup(server.Close)
	return server.URL, &requests
}

// testFetcher has long timeouts, for a busy machine, and low size limits.
func testFetcher(t *testing.T, mirror string) (*fetcher, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	return &fetcher{
		client: newClient(), mirror: mirror, into: t.TempDir(), log: &log,
		patience: time.Minute, limit: time.Hour, maxDownload: 1 << 20, maxProgram: 1 << 16,
	}, &log
}

func files(t *testing.T, directory string) []string {
	t.Helper()
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// wantFiles fails unless the directory has exactly these files, each executable.
func wantFiles(t *testing.T, directory string, want ...string) {
	t.Helper()
	if got := files(t, directory); !slices.Equal(got, want) {
		t.Fatalf("the directory has %q, want %q", got, want)
	}
	for _, name := range want {
		info, err := os.Stat(filepath.Join(directory, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o755 {
			t.Errorf("%s has mode %v, want 0755", name, info.Mode())
		}
	}
}

func wantLog(t *testing.T, log string, want ...string) {
	t.Helper()
	for _, part := range want {
		if !strings.Contains(log, part) {
			t.Errorf("the log lacks %q:\n%s", part, log)
		}
	}
}
