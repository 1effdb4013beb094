package testenv

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// controllers are those that tests depend on.
const controllers = "garbage-collector-controller,namespace-controller"

// controllerManager is a running kube-controller-manager.
type controllerManager struct {
	cmd    *exec.Cmd
	dir    string
	log    string
	exited chan struct{}
}

func startControllerManager(program string, kubeconfig []byte) (*controllerManager, error) {
	dir, err := os.MkdirTemp("", "controller-manager-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for kube-controller-manager: %w", err)
	}
	m := &controllerManager{dir: dir, log: filepath.Join(dir, "log"), exited: make(chan struct{})}
	if err := m.start(program, kubeconfig); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("start kube-controller-manager: %w", err)
	}
	return m, nil
}

func (m *controllerManager) start(program string, kubeconfig []byte) error {
	config := filepath.Join(m.dir, "kubeconfig")
	if err := os.WriteFile(config, kubeconfig, 0o600); err != nil {
		return err
	}
	log, err := os.Create(m.log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has its own handle
	flags := []string{
		"--kubeconfig=" + config, "--controllers=" + controllers, "--leader-elect=false", "--use-service-account-credentials",
		"--cert-dir=" + m.dir, "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000",
	}
	m.cmd = exec.Command(program, flags...) //nolint:gosec // G204: a program built from this repository; stop ends it
	m.cmd.Stdout, m.cmd.Stderr = log, log
	// As for etcd and kube-apiserver: the parent handles an interrupt from the keyboard.
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := m.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(m.exited)
		_ = m.cmd.Wait()
	}()
	return nil
}

// stop kills the process. It returns an error if the process had already ended.
func (m *controllerManager) stop() error {
	defer func() { _ = os.RemoveAll(m.dir) }()
	select {
	case <-m.exited:
		return fmt.Errorf("testenv: kube-controller-manager stopped by itself: %s", m.tail())
	default:
	}
	_ = m.cmd.Process.Kill()
	<-m.exited
	return nil
}

// tail is the end of the log.
func (m *controllerManager) tail() string {
	const most = 2000
	content, err := os.ReadFile(m.log)
	if err != nil {
		return err.Error()
	}
	content = bytes.TrimSpace(content)
	return string(content[max(0, len(content)-most):])
}

// isStopTimeout reports whether an error says that a process was killed because it did
// not end in time. Nothing is lost then. The library has no type for this error.
func isStopTimeout(err error) bool {
	return strings.Contains(err.Error(), "timeout waiting for process")
}
