package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

// childEnv marks a process that MaybeRunChild turns into the gateway.
const childEnv = "APITOKEN_E2E_GATEWAY"

// limits of the embedded servers, higher than any test needs.
const (
	maxConnections = 1000
	maxRequests    = 500
	maxParts       = 10000 // of one multipart upload, the limit of S3
	healthPath     = "/healthz"
)

// childConfig is the first line the child reads on its standard input.
type childConfig struct {
	Dir       string
	Host      string
	AccessKey string
	SecretKey string
}

// childReady is the line the child writes to file descriptor 3 once both servers answer.
type childReady struct {
	IAM, S3 string
	Sidecar bool
}

// MaybeRunChild turns this process into the gateway, and never returns, when
// Start has started it as such. Call it first thing in main or TestMain.
func MaybeRunChild() {
	if os.Getenv(childEnv) == "" {
		return
	}
	if err := runChild(); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// runChild serves until its standard input ends, so that it cannot outlive its parent.
func runChild() error {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	var cfg childConfig
	if err := json.Unmarshal(line, &cfg); err != nil {
		return fmt.Errorf("decoding the configuration: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	return serve(ctx, cfg)
}

// serve runs IAM first, and S3 once IAM's private socket exists, because the
// S3 server checks for it only every two seconds.
func serve(ctx context.Context, cfg childConfig) error {
	sockDir, err := os.MkdirTemp("", "gw") // not below Dir: the path of a socket is limited to 108 bytes
	if err != nil {
		return err
	}
	defer os.RemoveAll(sockDir)
	sock := filepath.Join(sockDir, "iam.sock")
	iamAddr, s3Addr, err := freeAddresses(cfg.Host)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 2)
	go func() { ended <- embedgw.RunIAMAPI(ctx, iamConfig(cfg, iamAddr, sock)) }()
	if err := waitFor(ctx, ended, func() bool { return answers(ctx, iamAddr) && listens(ctx, sock) }); err != nil {
		return err
	}
	store, sidecar, err := openStore(filepath.Join(cfg.Dir, "data"), filepath.Join(cfg.Dir, "sidecar"))
	if err != nil {
		return err
	}
	go func() { ended <- embedgw.RunVersityGW(ctx, store, s3Config(cfg, s3Addr, sock)) }()
	if err := waitFor(ctx, ended, func() bool { return answers(ctx, s3Addr) }); err != nil {
		return err
	}
	if err := announce(childReady{IAM: iamAddr, S3: s3Addr, Sidecar: sidecar}); err != nil {
		return err
	}
	err = <-ended
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(errors.New("a server ended by itself"), err)
}

func iamConfig(cfg childConfig, addr, sock string) *embedgw.IAMConfig {
	return &embedgw.IAMConfig{
		RootUserAccess: cfg.AccessKey, RootUserSecret: cfg.SecretKey,
		Ports: []string{addr}, HealthPath: healthPath,
		MaxConnections: maxConnections, MaxRequests: maxRequests, KeepAlive: true, Quiet: true,
		IAMDir:       filepath.Join(cfg.Dir, "iam"),
		PrivatePorts: []string{sock}, PrivateSocketPerm: "0600",
		DisableOIDCThumbprintAutoFetch: true,
	}
}

func s3Config(cfg childConfig, addr, sock string) *embedgw.Config {
	return &embedgw.Config{
		RootUserAccess: cfg.AccessKey, RootUserSecret: cfg.SecretKey,
		Ports: []string{addr}, HealthPath: healthPath,
		MaxConnections: maxConnections, MaxRequests: maxRequests, MultipartMaxParts: maxParts,
		KeepAlive: true, Quiet: true,
		StandaloneIAMEndpoint: sock,
	}
}

// openStore keeps object metadata in user xattrs, or in files next to the data if
// the file system does not support xattrs. It changes the working directory (posix.New does).
func openStore(data, sidecar string) (backend.Backend, bool, error) {
	opts := posix.PosixOpts{Concurrency: 100}
	if err := (meta.XattrMeta{}).Test(data); err == nil {
		be, err := posix.New(data, meta.XattrMeta{}, opts)
		return be, false, err
	}
	if err := os.MkdirAll(sidecar, 0o700); err != nil {
		return nil, false, err
	}
	store, err := meta.NewSideCar(sidecar)
	if err != nil {
		return nil, false, err
	}
	opts.SideCarDir = sidecar
	be, err := posix.New(data, store, opts)
	return be, true, err
}

// freeAddresses returns two free addresses of the host. Another process
// can take one before the server does; Start then tries again.
func freeAddresses(host string) (string, string, error) {
	first, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", "", err
	}
	second, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", "", errors.Join(err, first.Close())
	}
	return first.Addr().String(), second.Addr().String(), errors.Join(first.Close(), second.Close())
}

func answers(ctx context.Context, addr string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+healthPath, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

func listens(ctx context.Context, sock string) bool {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", sock)
	return err == nil && conn.Close() == nil
}

// waitFor polls until ready, or until a server ended, or for 20 seconds.
func waitFor(ctx context.Context, ended <-chan error, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case err := <-ended:
			return errors.Join(errors.New("a server ended while starting"), err)
		case <-ctx.Done():
			return fmt.Errorf("waiting for a server: %w", ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

func announce(ready childReady) error {
	out := os.NewFile(3, "ready")
	if out == nil {
		return errors.New("file descriptor 3 is missing")
	}
	return errors.Join(json.NewEncoder(out).Encode(ready), out.Close())
}
