package main

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestRightFilesAreInstalled(t *testing.T) {
	etcd := archive(t, entry{name: "etcd-folder/README.md", content: []byte("text")},
		entry{name: etcdMember, content: program("etcd Version: 3.7.0")})
	server := archive(t,
		entry{name: "./kubernetes/server/bin/kube-apiserver", content: program("Kubernetes v1.37.1")},
		entry{name: "kubernetes/server/bin/kube-controller-manager", content: program("Kubernetes v1.37.1")})
	kubectl := program("Client Version: v1.37.1\nKustomize Version: v5.8.1")
	kubectlAddress := "https://dl.k8s.io/release/v1.37.1/bin/linux/amd64/kubectl"
	mirror, requests := serve(t, map[string][]byte{etcdAddress: etcd, serverAddress: server, kubectlAddress: kubectl})

	f, log := testFetcher(t, mirror)
	kubernetes := pin{version: "v1.37.1", algorithm: "sha256", sum: sum256(server), url: serverAddress}
	apiserver, manager, client := kubernetes, kubernetes, kubernetes
	apiserver.program, apiserver.member = "kube-apiserver", "kubernetes/server/bin/kube-apiserver"
	manager.program, manager.member = "kube-controller-manager", "kubernetes/server/bin/kube-controller-manager"
	client.program, client.sum, client.url = "kubectl", sum256(kubectl), kubectlAddress
	f.fetch(t.Context(), []pin{etcdPin(etcd), apiserver, manager, client})

	wantFiles(t, f.into, "etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
	host := strings.TrimPrefix(mirror, "http://")
	wantLog(t, log.String(),
		"downloaded etcd v3.7.0 from "+host+" (sha512 "+etcdPin(etcd).sum[:12]+"…)\n",
		"downloaded kube-apiserver v1.37.1 from "+host+" (sha256 "+sum256(server)[:12]+"…)\n",
		"downloaded kube-controller-manager v1.37.1 from "+host)
	if requests.Load() != 3 {
		t.Errorf("3 files were downloaded with %d requests", requests.Load())
	}
}

func TestWrongChecksumIsRefusedLoudly(t *testing.T) {
	pinned := archive(t, entry{name: etcdMember, content: program("etcd Version: 3.7.0")})
	other := archive(t, entry{name: etcdMember, content: program("etcd Version: 3.7.0 ")})
	mirror, _ := serve(t, map[string][]byte{etcdAddress: other})
	f, log := testFetcher(t, mirror)
	f.fetch(t.Context(), []pin{etcdPin(pinned)})
	wantFiles(t, f.into)
	wantLog(t, log.String(), "WARNING: refused "+mirror+"/github.com/example/etcd", "WARNING: wrong checksum: sha512 is "+etcdPin(other).sum,
		"pinned is "+etcdPin(pinned).sum, "WARNING: building etcd from source")
}

// Each of these servers and archives causes a build from source.
func TestUnusableDownloadsLeaveNothing(t *testing.T) {
	good := archive(t, entry{name: etcdMember, content: program("etcd Version: 3.7.0")})
	send := func(content []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }
	}
	packed := func(entries ...entry) []byte { return archive(t, entries...) }
	big := bytes.Repeat([]byte{'x'}, 1<<16+1)
	outside := filepath.Join(t.TempDir(), "etcd")
	cases := []struct {
		name    string
		content []byte // the pinned content
		handler http.HandlerFunc
		want    string
	}{
		{"cut off", good, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(good)))
			_, _ = w.Write(good[:len(good)/2])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "cut off after"},
		{"cut off between chunks", good, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(good[:len(good)/2])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "cut off after"},
		{"not found", good, http.NotFound, "answered 404 Not Found"},
		{"announced as too large", good, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(1<<20+1))
		}, "1048577 bytes, the most that is accepted is 1048576"},
		{"too large without a length", good, func(w http.ResponseWriter, _ *http.Request) {
			for range 1<<20/len(big) + 1 {
				_, _ = w.Write(big)
			}
		}, "more than 1048576 bytes"},
		{"program too large", packed(entry{name: etcdMember, content: big}), nil, "the program has more than 65536 bytes"},
		{"no program in the archive", packed(entry{name: "etcd-folder/etcdctl", content: good}), nil, "the archive has no " + etcdMember},
		{"no archive", bytes.Repeat([]byte("<html>"), 10), nil, "gzip: invalid header"},
		{"damaged archive", good[:len(good)/2], nil, "unexpected EOF"},
		{"program is a link", packed(entry{name: etcdMember, link: "/bin/sh"}), nil, "not a regular file"},
		{"path above", packed(entry{name: "../../etcd-folder/etcd", content: program("etcd Version: 3.7.0")}), nil, "the archive has no " + etcdMember},
		{"path with dots", packed(entry{name: "etcd-folder/../etcd-folder/etcd", content: program("etcd Version: 3.7.0")}), nil, "the archive has no"},
		{"absolute path", packed(entry{name: outside, content: program("etcd Version: 3.7.0")}), nil, "the archive has no " + etcdMember},
		{"another version", packed(entry{name: etcdMember, content: program("etcd Version: 3.7.1")}), nil, `it reports version "3.7.1", not v3.7.0`},
		{"a later version with the same beginning", packed(entry{name: etcdMember, content: program("etcd Version: 3.7.0-rc.1")}), nil, `"3.7.0-rc.1"`},
		{"for another machine", packed(entry{name: etcdMember, content: []byte("\x7fELF")}), nil, "it does not start"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			handler := c.handler
			if handler == nil {
				handler = send(c.content)
			}
			server := httptest.NewServer(handler)
			t.Cleanup(server.Close)
			f, log := testFetcher(t, server.URL)
			f.fetch(t.Context(), []pin{etcdPin(c.content)})
			wantFiles(t, f.into)
			wantLog(t, log.String(), c.want, "building etcd from source")
			if strings.Contains(log.String(), "downloaded") {
				t.Errorf("it says that it downloaded something:\n%s", log)
			}
		})
	}
	if _, err := os.Lstat(outside); err == nil {
		t.Error("an absolute path in an archive was written")
	}
}

func TestNoNetworkIsOneLineForEachFile(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := listener.Addr().String()
	listener.Close()
	f, log := testFetcher(t, "http://"+host)
	f.fetch(t.Context(), []pin{etcdPin(nil)})
	wantFiles(t, f.into)
	if lines := strings.Count(log.String(), "\n"); lines != 1 {
		t.Errorf("%d lines, want 1:\n%s", lines, log)
	}
	wantLog(t, log.String(), "cannot reach "+host+": dial tcp", "refused: building etcd from source")
}

func TestSilentServerIsGivenUp(t *testing.T) {
	cases := map[string]func(http.ResponseWriter){
		"before its answer": func(http.ResponseWriter) {},
		"in the middle": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("begin"))
			w.(http.Flusher).Flush()
		},
	}
	for name, begin := range cases {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				begin(w)
				<-r.Context().Done()
			}))
			t.Cleanup(server.Close)
			f, log := testFetcher(t, server.URL)
			f.patience = 50 * time.Millisecond
			f.fetch(t.Context(), []pin{etcdPin(nil)})
			wantFiles(t, f.into)
			wantLog(t, log.String(), "nothing received for 50ms: building etcd from source")
		})
	}
}

func TestSlowServerIsGivenUp(t *testing.T) {
	f, _ := testFetcher(t, "")
	f.patience, f.limit = 5*time.Second, 4*time.Minute
	const megabyte = 1 << 20
	cases := []struct {
		name                   string
		before, received, size int64
		want                   string
	}{
		{"fast", 10 * megabyte, 110 * megabyte, 400 * megabyte, ""},
		{"just fast enough", 10 * megabyte, 20 * megabyte, 500 * megabyte, ""},
		{"too slow", 10 * megabyte, 11 * megabyte, 400 * megabyte, "too slow: 32m25s left at this speed"},
		{"slow near the end", 390 * megabyte, 391 * megabyte, 400 * megabyte, ""},
		{"the first bytes", 0, megabyte, 400 * megabyte, ""},
		{"silent", 10 * megabyte, 10 * megabyte, 400 * megabyte, "nothing received for 5s"},
		{"of unknown length", 1, 2, -1, "too slow"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := f.verdict(c.before, c.received, c.size)
			if got := text(err); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
				t.Errorf("verdict is %q, want %q", got, c.want)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A download from a server that sends little is canceled too.
func TestTricklingServerIsGivenUp(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		speed := time.NewTicker(time.Millisecond)
		defer speed.Stop()
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte{0}); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			<-speed.C
		}
	}))
	t.Cleanup(server.Close)
	f, log := testFetcher(t, server.URL)
	f.patience, f.limit = 100*time.Millisecond, time.Second
	f.fetch(t.Context(), []pin{etcdPin(nil)})
	wantFiles(t, f.into)
	wantLog(t, log.String(), "building etcd from source")
}

func TestInterruptLeavesNothing(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.(http.Flusher).Flush()
		interrupt()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	f, log := testFetcher(t, server.URL)
	f.fetch(ctx, []pin{etcdPin(nil)})
	wantFiles(t, f.into)
	if log.Len() > 0 {
		t.Errorf("after an interrupt it says %q", log)
	}
}

func TestRedirectFromHTTPSToHTTPIsRefused(t *testing.T) {
	good := archive(t, entry{name: etcdMember, content: program("etcd Version: 3.7.0")})
	plain, requests := serve(t, map[string][]byte{etcdAddress: good})
	target := "/second"
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/second" {
			_, _ = w.Write(good)
			return
		}
		http.Redirect(w, r, target, http.StatusFound)
	}))
	t.Cleanup(secure.Close)
	f, log := testFetcher(t, secure.URL)
	f.client.Transport = secure.Client().Transport
	f.fetch(t.Context(), []pin{etcdPin(good)})
	wantFiles(t, f.into, "etcd")

	target = plain + "/github.com/example/etcd/releases/etcd.tar.gz"
	f.into = t.TempDir()
	f.fetch(t.Context(), []pin{etcdPin(good)})
	wantFiles(t, f.into)
	wantLog(t, log.String(), "redirected from https to http: building etcd from source")
	if requests.Load() != 0 {
		t.Errorf("the http server had %d requests", requests.Load())
	}
}

// A compressed response would have another checksum.
func TestFilesAreNotDecompressed(t *testing.T) {
	good := archive(t, entry{name: etcdMember, content: program("etcd Version: 3.7.0")})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if accepted := r.Header.Get("Accept-Encoding"); accepted != "" {
			t.Errorf("Accept-Encoding is %q", accepted)
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(good)
	}))
	t.Cleanup(server.Close)
	f, _ := testFetcher(t, server.URL)
	f.fetch(t.Context(), []pin{etcdPin(good)})
	wantFiles(t, f.into, "etcd")
}

func TestTwoChecksumsOfOneFileAreRefused(t *testing.T) {
	good := archive(t, entry{name: etcdMember, content: program("etcd Version: 3.7.0")})
	mirror, _ := serve(t, map[string][]byte{etcdAddress: good})
	f, log := testFetcher(t, mirror)
	other := sha512.Sum512([]byte("other"))
	second := etcdPin(good)
	second.program, second.sum = "kubectl", hex.EncodeToString(other[:])
	f.fetch(t.Context(), []pin{etcdPin(good), second})
	wantLog(t, log.String(), "two checksums are pinned for "+etcdAddress)
	if _, err := os.Stat(filepath.Join(f.into, "kubectl")); err == nil {
		t.Error("a program with another checksum was installed")
	}
}
