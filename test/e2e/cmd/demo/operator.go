package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// operatorName is the name of the Deployment and of its ServiceAccount.
	operatorName = "apitoken-operator"
	// operatorNamespace is where config/ installs it.
	operatorNamespace = "apitoken-system"
	// operatorStop limits the time that the operator takes to stop.
	operatorStop = 10 * time.Second
	// operatorStart limits the time to start: generous, for small machines under load.
	operatorStart = time.Minute
)

// operator is how to run the real binary; process is it running.
type operator struct {
	binary     string
	args       []string
	kubeconfig string
	logFile    string
}

type process struct {
	cmd     *exec.Cmd
	metrics string
	exited  chan struct{}
	err     error // of Wait; read after exited
}

// start starts the operator and waits until it is ready.
func (o *operator) start(ctx context.Context) (*process, error) {
	probes, err := freeAddress()
	if err != nil {
		return nil, err
	}
	metrics, err := freeAddress()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(o.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own handle
	args := append([]string{"--kubeconfig=" + o.kubeconfig, "--log-format=text",
		"--health-probe-bind-address=" + probes, "--metrics-bind-address=" + metrics,
		// A loopback address, and curl without a token.
		"--metrics-auth=false", "--metrics-secure=false"}, o.args...)
	p := &process{cmd: exec.Command(o.binary, args...), metrics: metrics, exited: make(chan struct{})}
	// Only the environment that the Deployment sets, and what a process needs.
	p.cmd.Env = []string{"POD_NAMESPACE=" + operatorNamespace, "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the demo handles an interrupt from the keyboard
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	if err := p.awaitReady(ctx, "http://"+probes+"/readyz"); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

func (p *process) awaitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-p.exited:
			cancel(fmt.Errorf("it ended: %w", p.ended()))
		case <-ctx.Done():
		}
	}()
	return eventually(ctx, operatorStart, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
			return errors.Join(fmt.Errorf("/readyz answers %s", res.Status), err)
		}
		return nil
	})
}

// ended returns how the process ended, or nil while it runs.
func (p *process) ended() error {
	select {
	case <-p.exited:
		if p.err != nil {
			return p.err
		}
		return errors.New("exit status 0")
	default:
		return nil
	}
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// stop asks the process to end, and kills it when it does not.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(operatorStop)
	defer timer.Stop()
	select {
	case <-p.exited:
		return p.err
	case <-timer.C:
		p.kill()
		return fmt.Errorf("it did not end within %s of SIGTERM", operatorStop)
	}
}

// lineLength is the maximum length of a printed line of the log.
const lineLength = 600

// tail returns the last lines of the log, redacted before they are cut.
func (o *operator) tail(lines int, secrets *redactor) string {
	content, err := os.ReadFile(o.logFile)
	if err != nil {
		return ""
	}
	var all []string
	for line := range strings.Lines(secrets.redact(string(content))) {
		line = strings.TrimSpace(line)
		if strings.Contains(line, `msg="Starting `) {
			continue // each start writes enough of them to fill the tail
		}
		if len(line) > lineLength {
			line = line[:lineLength] + "..."
		}
		all = append(all, line)
	}
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// freeAddress returns an unused address of the loopback interface.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
