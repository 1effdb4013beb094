package operator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// probes serve /healthz and /readyz from the start of the process to its end. The manager
// could serve them only after the API server has answered.
type probes struct {
	server *http.Server
	synced atomic.Bool
}

// errNotSynced: the caches are not filled yet.
var errNotSynced = errors.New("the API server has not answered yet, or the caches are not filled yet")

// serveProbes starts to serve at an address, unless it is Disabled. The process is alive
// while it answers, and ready once its caches are filled.
func serveProbes(ctx context.Context, address string) (*probes, error) {
	p := &probes{}
	if address == Disabled {
		return p, nil
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serving probes: %w", err)
	}
	mux := http.NewServeMux()
	for path, check := range map[string]healthz.Checker{"/healthz": healthz.Ping, "/readyz": p.ready} {
		handler := http.StripPrefix(path, &healthz.Handler{Checks: map[string]healthz.Checker{checkNames[path]: check}})
		mux.Handle(path, handler)
		mux.Handle(path+"/", handler)
	}
	// A probe is a short request without a body.
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 16}
	go func() { _ = p.server.Serve(listener) }() // it ends with close
	return p, nil
}

// checkNames are the names of the checks, as /readyz?verbose lists them.
var checkNames = map[string]string{"/healthz": "ping", "/readyz": "caches"}

func (p *probes) ready(*http.Request) error {
	if p.synced.Load() {
		return nil
	}
	return errNotSynced
}

// follow makes the process ready when the manager's caches are filled.
func (p *probes) follow(mgr manager.Manager) error {
	return mgr.Add(everywhere(func(ctx context.Context) error {
		p.synced.Store(mgr.GetCache().WaitForCacheSync(ctx))
		return nil
	}))
}

func (p *probes) close() {
	if p.server != nil {
		_ = p.server.Close()
	}
}

// everywhere is a runnable that also runs on a standby.
type everywhere func(context.Context) error

// Start implements manager.Runnable.
func (f everywhere) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (everywhere) NeedLeaderElection() bool { return false }
