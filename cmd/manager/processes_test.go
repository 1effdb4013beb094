package main

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/simulate/proxyscrapesim"
)

// These tests run the binary in separate processes.

// asManager makes this test binary run as the manager with its arguments.
const asManager = "RUN_AS_MANAGER"

// apiServer is a proxy of the API server that can close connections and counts the reads of
// Secrets.
type apiServer struct {
	url string
	// away: connections are closed before any byte is sent.
	away atomic.Bool

	mu    sync.Mutex
	reads map[string]int
}

// api returns a new proxy of the API server.
func (b *bench) api() *apiServer {
	b.Helper()
	a := &apiServer{reads: map[string]int{}}
	transport, err := rest.TransportFor(env.Config)
	b.OK(err)
	target, err := url.Parse(env.Config.Host)
	b.OK(err)
	if target.Host == "" {
		target = &url.URL{Scheme: "https", Host: env.Config.Host}
	}
	proxy := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(b.Context(), "tcp", "127.0.0.1:0")
	b.OK(err)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			a.read(r.URL.Path)
		}
		proxy.ServeHTTP(w, r)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(&closing{Listener: listener, away: &a.away})
	}()
	b.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	a.url = "http://" + listener.Addr().String()
	return a
}

// closing is a listener that closes new connections while the server is away.
type closing struct {
	net.Listener
	away *atomic.Bool
}

func (l *closing) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || !l.away.Load() {
			return conn, err
		}
		_ = conn.Close()
	}
}

// read counts the read of a Secret.
func (a *apiServer) read(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, secret, ok := strings.Cut(path, "/secrets/"); ok {
		a.reads[secret]++
	}
}

// readsOf returns how often a Secret was read.
func (a *apiServer) readsOf(secret string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reads[secret]
}

// process is one running manager.
type process struct {
	cmd  *exec.Cmd
	ends chan struct{}
	err  error
	log  kit.Output
}

// manager starts the binary for the namespace of the bench. The test fails if it exits with
// an error when it is stopped.
func (b *bench) manager(api *apiServer, args ...string) *process {
	b.Helper()
	p := b.process(append([]string{"--kubeconfig=" + b.kubeconfig(api), "--namespace=" + b.ns, "--namespaces=" + b.ns, "--cluster-identity=" + b.ns,
		"--tenant-endpoints=" + loopback, "--metrics-bind-address=0", "--log-format=text"}, args...)...)
	b.Cleanup(func() { p.stop(b) })
	return p
}

// kubeconfig writes a kubeconfig for an API server.
func (b *bench) kubeconfig(api *apiServer) string {
	b.Helper()
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters["c"] = &clientcmdapi.Cluster{Server: api.url}
	kubeconfig.AuthInfos["u"] = &clientcmdapi.AuthInfo{}
	kubeconfig.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	kubeconfig.CurrentContext = "x"
	file := filepath.Join(b.TempDir(), "kubeconfig")
	b.OK(clientcmd.WriteToFile(*kubeconfig, file))
	return file
}

// process starts the binary.
func (b *bench) process(args ...string) *process {
	b.Helper()
	program, err := os.Executable()
	b.OK(err)
	p := &process{ends: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(b.Context()), program, args...)
	p.cmd.Env = append(os.Environ(), asManager+"=1")
	p.cmd.Stderr = &p.log
	b.OK(p.cmd.Start())
	go func() {
		defer close(p.ends)
		p.err = p.cmd.Wait()
	}()
	return p
}

// stop stops the process as the kubelet does, and checks that it ends without an error.
func (p *process) stop(b *bench) {
	b.Helper()
	select {
	case <-p.ends: // it has ended already
	default:
		b.OK(p.cmd.Process.Signal(syscall.SIGTERM))
	}
	<-p.ends
	if p.err != nil || b.Failed() {
		b.Errorf("a manager ended with %v:\n%s", p.err, p.log.String())
	}
}

// slowly is a provider that answers a mint, and a change in place, only after the other
// manager has read the Secret, because that has seen the reservation or the mark.
type slowly struct {
	http.Handler
	api    *apiServer
	secret string
	held   atomic.Bool
	mints  atomic.Int32
	pause  func(context.Context, time.Duration) error
}

func (s *slowly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		s.mints.Add(1)
	}
	if changes := r.Method != http.MethodGet && r.Method != http.MethodDelete; changes && s.held.Load() {
		before := s.api.readsOf(s.secret)
		for s.api.readsOf(s.secret) == before {
			if s.pause(r.Context(), time.Millisecond) != nil {
				break
			}
		}
	}
	s.Handler.ServeHTTP(w, r)
}

// TestTwoActiveProcessesIssueOneCredential: without leader election, and with a provider
// that is slower than a watch event, each rotation issues one credential, and the ledger
// does not fill up.
func TestTwoActiveProcessesIssueOneCredential(t *testing.T) {
	t.Parallel()
	b := newBenchWithoutOperator(t)
	sim := proxyscrapesim.New(b.clock.Now, "CANARY-minting-token", "account:apikeys:create", "account:apikeys:read", "account:apikeys:update",
		"account:apikeys:delete", "datacenter_shared:read", "residential:read")
	b.minter("proxyscrape-minter", map[string]string{"token": "CANARY-minting-token"})
	slow := &slowly{Handler: sim, api: b.api(), secret: "crawler-proxies", pause: b.clock.Sleep}
	name := b.sample("proxyscrape.yaml", "https://api.proxyscrape.com   # also the default", b.serve(slow))
	alone := []string{"--leader-elect=false", "--health-probe-bind-address=0"}
	b.manager(slow.api, alone...)
	last := b.ready(name, "")
	b.manager(slow.api, alone...)
	slow.held.Store(true)
	const rotations = 3
	for range rotations {
		kit.Change(b.Kit, b.token(name), rotate)
		last = b.ready(name, last.Name)
	}
	kit.Change(b.Kit, b.token(name), func(t *v1alpha1.ApiToken) { t.Spec.Restrictions.AllowedIPs = []v1alpha1.IPRange{"198.51.100.0/24"} })
	if changed := b.ready(name, ""); changed.Name != last.Name {
		t.Errorf("the change in place made the new key %s", changed.Name)
	}
	if got := slow.mints.Load(); got != 1+rotations {
		t.Errorf("%d keys were minted, want the first one and %d", got, rotations)
	}
	var states []string
	for _, e := range b.get(name).Status.Credentials {
		states = append(states, string(e.State))
	}
	slices.Sort(states)
	if want := []string{"Active", "Retiring", "Retiring", "Retiring"}; !slices.Equal(states, want) {
		t.Errorf("the ledger holds %v, want %v", states, want)
	}
	slow.held.Store(false)
	b.ExpectDeleted(b.token(name))
	b.ExpectGone(b.token(name))
}

// TestStartWaitsForTheAPIServer: until the API server answers, the process is alive and not
// ready.
func TestStartWaitsForTheAPIServer(t *testing.T) {
	t.Parallel()
	b := newBenchWithoutOperator(t)
	api := b.api()
	api.away.Store(true)
	var lc net.ListenConfig
	free, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	b.OK(err)
	probes := free.Addr().String()
	b.OK(free.Close())
	p := b.manager(api, "--health-probe-bind-address="+probes)
	answers := func(path string, want int) string {
		select {
		case <-p.ends:
			b.Fatalf("it ended: %v", p.err)
		default:
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+probes+path, http.NoBody)
		b.OK(err)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err.Error()
		}
		b.OK(res.Body.Close())
		if res.StatusCode != want {
			return path + " answers " + res.Status
		}
		return ""
	}
	b.Until(func() string {
		if strings.Count(p.log.String(), "does not answer yet") < 2 {
			return "it does not say that the API server does not answer"
		}
		return ""
	})
	if why := answers("/healthz", http.StatusOK); why != "" {
		t.Error(why)
	}
	if why := answers("/readyz", http.StatusInternalServerError); why != "" {
		t.Error(why)
	}
	api.away.Store(false)
	b.Until(func() string { return answers("/readyz", http.StatusOK) })
}
