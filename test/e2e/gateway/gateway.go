// Package gateway runs versitygw (Apache-2.0), an S3 server and an IAM server
// over plain files, as one child process: a real back end that needs neither
// containers nor an account. The child is this same program started again, so a
// program that uses Start calls MaybeRunChild first.
package gateway

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Region is what both servers are told to be in; IAM knows no other.
const Region = "us-east-1"

// attempts to start, because a free port may be taken before the child opens it.
const attempts = 3

// startTimeout bounds one attempt, and stopTimeout the graceful end.
const (
	startTimeout = 60 * time.Second
	stopTimeout  = 10 * time.Second
)

// Options of Start.
type Options struct {
	// Log gets what the servers print; nil: it is kept and shown when they fail.
	Log io.Writer
	// Host is the address of this machine that both servers listen on; 127.0.0.1 when empty.
	Host string
}

// Gateway is a running pair of servers. Its root user may do anything.
type Gateway struct {
	// IAMEndpoint and S3Endpoint are URLs on Options.Host. IAMEndpoint also answers
	// the STS call GetCallerIdentity.
	IAMEndpoint, S3Endpoint string
	// RootAccessKey and RootSecretKey are made anew by each Start.
	RootAccessKey, RootSecretKey string
	// Sidecar says that the file system of the data has no user xattrs.
	Sidecar bool

	cmd    *exec.Cmd
	stdin  io.Closer
	output *output
	exited chan struct{}
	err    error // of Wait; read after exited
	stop   sync.Once
}

// Start starts the servers with their files below dir, which is made when it is
// not there, and returns when both answer. ctx bounds the start only; Stop ends them.
func Start(ctx context.Context, dir string, opts Options) (*Gateway, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for _, sub := range []string{"data", "iam"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("making the gateway's directories: %w", err)
		}
	}
	var errs []error
	for range attempts {
		g, err := start(ctx, dir, opts)
		if err == nil {
			return g, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func start(ctx context.Context, dir string, opts Options) (*Gateway, error) {
	cfg := childConfig{Dir: dir, Host: cmp.Or(opts.Host, "127.0.0.1"), AccessKey: "ROOT" + rand.Text()[:16], SecretKey: rand.Text()}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ready, readyChild, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.ExtraFiles = []*os.File{readyChild}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the keyboard is for who started it
	out := &output{to: opts.Log}
	cmd.Stdout, cmd.Stderr = out, out
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, errors.Join(err, readyChild.Close())
	}
	if err := errors.Join(cmd.Start(), readyChild.Close()); err != nil {
		return nil, fmt.Errorf("starting the gateway: %w", err)
	}
	g := &Gateway{
		RootAccessKey: cfg.AccessKey, RootSecretKey: cfg.SecretKey,
		cmd: cmd, stdin: stdin, output: out, exited: make(chan struct{}),
	}
	go func() {
		g.err = cmd.Wait()
		close(g.exited)
	}()
	if err := g.await(ctx, stdin, ready, cfg); err != nil {
		return nil, errors.Join(err, g.Stop())
	}
	return g, nil
}

// await hands the configuration to the child and reads where it listens.
func (g *Gateway) await(ctx context.Context, stdin io.Writer, ready *os.File, cfg childConfig) error {
	if err := json.NewEncoder(stdin).Encode(cfg); err != nil {
		return fmt.Errorf("configuring the gateway: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	unblock := context.AfterFunc(ctx, func() { _ = ready.SetReadDeadline(time.Now()) })
	defer unblock()
	var where childReady
	if err := json.NewDecoder(ready).Decode(&where); err != nil {
		return fmt.Errorf("the gateway did not start: %w\n%s", err, g.output.String())
	}
	g.IAMEndpoint, g.S3Endpoint = "http://"+where.IAM, "http://"+where.S3
	g.Sidecar = where.Sidecar
	return nil
}

// Stop ends the servers and waits for them. Calling it again does nothing.
func (g *Gateway) Stop() error {
	var err error
	g.stop.Do(func() {
		err = g.stdin.Close()
		timer := time.NewTimer(stopTimeout)
		defer timer.Stop()
		select {
		case <-g.exited:
			err = errors.Join(err, g.err)
		case <-timer.C:
			err = errors.Join(err, errors.New("the gateway did not stop in time"), g.cmd.Process.Kill())
			<-g.exited
		}
	})
	return err
}

// output collects what the child prints, or hands it on.
type output struct {
	mu  sync.Mutex
	to  io.Writer
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.to != nil {
		return o.to.Write(p)
	}
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
