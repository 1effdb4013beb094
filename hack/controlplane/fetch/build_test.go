package main

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// A machine is a copy of hack/controlplane with pins for small files, an empty cache, and a go command
// that does not compile the control plane.
type machine struct {
	t                *testing.T
	scripts, cache   string
	mirror           string
	etcd, kubernetes []byte
}

const fakeGo = `#!/usr/bin/env bash
if [ "$1" != build ]; then exec go "$@"; fi
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\necho built\n' >"$2"
chmod +x "$2"
`

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{
		t: t, scripts: t.TempDir(), cache: t.TempDir(),
		etcd: archive(t, entry{name: etcdMember, content: program("etcd Version: 3.7.0")}),
		kubernetes: archive(t, entry{name: "bin/kube-apiserver", content: program("Kubernetes v1.37.1")},
			entry{name: "bin/kube-controller-manager", content: program("Kubernetes v1.37.1")}),
	}
	for _, name := range []string{
		"build.sh", "go.mod", "go.sum", "fetch/main.go", "fetch/fetch.go", "fetch/download.go", "fetch/pins.go", "fetch/update.go",
	} {
		content, err := os.ReadFile(repositoryFile(t, name))
		if err != nil {
			t.Fatal(err)
		}
		m.write(name, content, 0o755)
	}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	etcd := etcdPin(m.etcd)
	etcd.platform = platform
	apiserver := pin{
		program: "kube-apiserver", version: "v1.37.1", platform: platform, algorithm: "sha256", sum: sum256(m.kubernetes),
		url: serverAddress, member: "bin/kube-apiserver",
	}
	manager := apiserver
	manager.program, manager.member = "kube-controller-manager", "bin/kube-controller-manager"
	m.write("checksums", []byte(etcd.String()+"\n"+apiserver.String()+"\n"+manager.String()+"\n"), 0o644)
	m.write("fakego", []byte(fakeGo), 0o755)
	return m
}

func (m *machine) write(name string, content []byte, mode os.FileMode) {
	m.t.Helper()
	file := filepath.Join(m.scripts, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(file, content, mode); err != nil {
		m.t.Fatal(err)
	}
}

// serve starts a mirror with these files for the machine.
func (m *machine) serve(etcd, kubernetes []byte) *atomic.Int32 {
	mirror, requests := serve(m.t, map[string][]byte{etcdAddress: etcd, serverAddress: kubernetes})
	m.mirror = mirror
	return requests
}

// command returns build.sh as the machine runs it.
func (m *machine) command(environment ...string) *exec.Cmd {
	m.t.Helper()
	// Go's build cache is shared. Only the programs are missing.
	goCache, err := exec.CommandContext(m.t.Context(), "go", "env", "GOCACHE").Output()
	if err != nil {
		m.t.Fatal(err)
	}
	command := exec.CommandContext(m.t.Context(), filepath.Join(m.scripts, "build.sh"))
	command.Env = append(os.Environ(), "GO="+filepath.Join(m.scripts, "fakego"), "XDG_CACHE_HOME="+m.cache,
		"GOCACHE="+strings.TrimSpace(string(goCache)), "KUBEBUILDER_ASSETS=", "CONTROLPLANE_DOWNLOAD=",
		"CONTROLPLANE_MIRROR="+m.mirror, "NO_PROXY=127.0.0.1")
	command.Env = append(command.Env, environment...)
	return command
}

// build runs build.sh and returns the version that each program prints, and the log.
func (m *machine) build(environment ...string) (map[string]string, string) {
	m.t.Helper()
	command := m.command(environment...)
	var log bytes.Buffer
	command.Stderr = &log
	output, err := command.Output()
	if err != nil {
		m.t.Fatalf("build.sh: %v\n%s", err, &log)
	}
	directory := strings.TrimSpace(string(output))
	if !strings.HasPrefix(directory, m.cache+"/apitoken-operator/controlplane-v1.37.1/") {
		m.t.Fatalf("the programs are in %q, not in the cache", directory)
	}
	wantFiles(m.t, m.clean(directory), "etcd", "kube-apiserver", "kube-controller-manager")
	says := map[string]string{}
	for _, name := range files(m.t, directory) {
		said, err := exec.CommandContext(m.t.Context(), filepath.Join(directory, name)).Output()
		if err != nil {
			m.t.Fatal(err)
		}
		says[name] = strings.TrimSpace(string(said))
	}
	return says, log.String()
}

// clean removes the lock of build.sh and returns the directory.
func (m *machine) clean(directory string) string {
	m.t.Helper()
	if err := os.Remove(filepath.Join(directory, ".lock")); err != nil && !os.IsNotExist(err) {
		m.t.Fatal(err)
	}
	return directory
}

func (m *machine) want(says map[string]string, etcd, apiserver, manager string) {
	m.t.Helper()
	want := map[string]string{"etcd": etcd, "kube-apiserver": apiserver, "kube-controller-manager": manager}
	for name, expected := range want {
		if says[name] != expected {
			m.t.Errorf("%s says %q, want %q", name, says[name], expected)
		}
	}
}

func TestControlPlaneIsDownloadedOnce(t *testing.T) {
	m := newMachine(t)
	requests := m.serve(m.etcd, m.kubernetes)
	says, log := m.build()
	m.want(says, "etcd Version: 3.7.0", "Kubernetes v1.37.1", "Kubernetes v1.37.1")
	wantLog(t, log, "downloaded etcd v3.7.0", "downloaded kube-apiserver v1.37.1", "downloaded kube-controller-manager v1.37.1")
	if strings.Contains(log, "building") || requests.Load() != 2 {
		t.Errorf("%d requests, want 2:\n%s", requests.Load(), log)
	}
	_, log = m.build()
	if log != "" || requests.Load() != 2 {
		t.Errorf("the second run made %d more requests and says %q", requests.Load()-2, log)
	}
}

func TestControlPlaneIsBuiltWithoutNetwork(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	m := newMachine(t)
	m.mirror = "http://" + listener.Addr().String()
	says, log := m.build()
	m.want(says, "built", "built", "built")
	wantLog(t, log, "cannot reach "+listener.Addr().String(), "building etcd from source",
		"building kube-apiserver and kube-controller-manager from source", "building kube-controller-manager (3/3)")

	// A built program is not downloaded later, because both share the cache.
	requests := m.serve(m.etcd, m.kubernetes)
	says, _ = m.build()
	m.want(says, "built", "built", "built")
	if requests.Load() != 0 {
		t.Errorf("%d requests, want none", requests.Load())
	}
}

func TestRefusedProgramsAreBuiltAndTheOthersDownloaded(t *testing.T) {
	other := archive(t, entry{name: "bin/kube-apiserver", content: program("Kubernetes v1.37.1 ")})
	cutOff := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/github.com/") {
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(other)
	}))
	t.Cleanup(cutOff.Close)
	cases := []struct {
		name                     string
		prepare                  func(*machine)
		etcd, apiserver, manager string
		log                      []string
	}{
		{"wrong checksum", func(m *machine) { m.serve(m.etcd, other) }, "etcd Version: 3.7.0", "built", "built",
			[]string{"WARNING: wrong checksum", "WARNING: building kube-apiserver and kube-controller-manager from source", "(1/2)"}},
		{"one file is missing", func(m *machine) { m.serve(nil, m.kubernetes) }, "built", "Kubernetes v1.37.1", "Kubernetes v1.37.1",
			[]string{"building etcd from source", "building etcd (1/1)"}},
		{"cut off and wrong", func(m *machine) { m.mirror = cutOff.URL }, "built", "built", "built", []string{"EOF", "WARNING"}},
		{"nothing is pinned", func(m *machine) { m.serve(m.etcd, m.kubernetes); m.write("checksums", []byte("# none\n"), 0o644) },
			"built", "built", "built", []string{"no checksum is pinned for etcd v3.7.0 on " + runtime.GOOS}},
		{"unreadable checksums", func(m *machine) { m.serve(m.etcd, m.kubernetes); m.write("checksums", []byte("etcd\n"), 0o644) },
			"built", "built", "built", []string{"checksums:1: ", "cannot download: building from source"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t)
			c.prepare(m)
			says, log := m.build()
			m.want(says, c.etcd, c.apiserver, c.manager)
			wantLog(t, log, c.log...)
		})
	}
}

func TestDownloadCanBeForbidden(t *testing.T) {
	for _, value := range []string{"no", "0", "false"} {
		m := newMachine(t)
		requests := m.serve(m.etcd, m.kubernetes)
		says, log := m.build("CONTROLPLANE_DOWNLOAD=" + value)
		m.want(says, "built", "built", "built")
		wantLog(t, log, "CONTROLPLANE_DOWNLOAD="+value+": building etcd kube-apiserver kube-controller-manager from source")
		if requests.Load() != 0 {
			t.Errorf("%d requests, want none", requests.Load())
		}
	}
}

// Programs of another platform cannot be run, and are cached in a separate directory.
func TestAnotherPlatformIsBuilt(t *testing.T) {
	m := newMachine(t)
	requests := m.serve(m.etcd, m.kubernetes)
	says, log := m.build("GOOS=plan9")
	m.want(says, "built", "built", "built")
	if requests.Load() != 0 || strings.Contains(log, "download") {
		t.Errorf("%d requests, want none:\n%s", requests.Load(), log)
	}
}

// Ctrl-C during a download ends build.sh, and nothing is built.
func TestInterruptEndsTheScript(t *testing.T) {
	m := newMachine(t)
	asked := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	m.mirror = server.URL
	command := m.command()
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a terminal starts it
	var log bytes.Buffer
	command.Stderr = &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	select {
	case <-asked:
	case <-ended:
		t.Fatalf("build.sh ended before it asked for a file:\n%s", &log)
	}
	if err := syscall.Kill(-command.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-ended
	if code := command.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d, want 130:\n%s", code, &log)
	}
	if strings.Contains(log.String(), "building etcd") {
		t.Errorf("it started a build after the interrupt:\n%s", &log)
	}
	wantFiles(t, m.clean(m.cacheDirectory()))
}

// cacheDirectory returns the one directory of programs in the cache.
func (m *machine) cacheDirectory() string {
	m.t.Helper()
	found, err := filepath.Glob(filepath.Join(m.cache, "apitoken-operator", "controlplane-v1.37.1", "*"))
	if err != nil || len(found) != 1 {
		m.t.Fatalf("the cache has %q (%v), want one directory", found, err)
	}
	return found[0]
}
