// Package testenv starts a real Kubernetes API server, with etcd and on request
// the controller manager, for tests and for the demo. The programs come from
// hack/controlplane or from KUBEBUILDER_ASSETS. It is never linked into the operator.
package testenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	// startTimeout is generous: several packages can start a server at once on a small machine.
	startTimeout = 2 * time.Minute
	// stopTimeout is short: a process that does not stop in time is killed, and its data are deleted.
	stopTimeout = 10 * time.Second
)

// Env is a running control plane.
type Env struct {
	// Config talks to the API server as its administrator.
	Config *rest.Config
	// Kubeconfig is the same as Config, in the format of a kubeconfig file.
	Kubeconfig []byte

	server   *envtest.Environment
	manager  *controllerManager
	auditDir string
}

type options struct {
	controllerManager bool
	crdDirectories    []string
	audit             bool
}

// Option changes what Start starts.
type Option func(*options)

// WithControllerManager also starts kube-controller-manager, so that owned objects
// are garbage collected and namespaces can be deleted.
func WithControllerManager() Option {
	return func(o *options) { o.controllerManager = true }
}

// WithoutCRDs leaves out the CRDs in config/crd/bases.
func WithoutCRDs() Option {
	return func(o *options) { o.crdDirectories = nil }
}

// WithCRDDirectory installs the CRDs found in a directory too.
func WithCRDDirectory(dir string) Option {
	return func(o *options) { o.crdDirectories = append(o.crdDirectories, dir) }
}

// Start starts a control plane with the operator's CRDs and stops it when the
// test ends. The test fails when the programs are missing: it never skips.
func Start(tb testing.TB, opts ...Option) *Env {
	tb.Helper()
	env, err := start(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := env.stop(); err != nil {
			tb.Error(err)
		}
	})
	return env
}

// StartMain is Start for a TestMain or a program. The returned function stops the
// control plane, and prints an error to stderr.
func StartMain(opts ...Option) (*Env, func(), error) {
	env, err := start(opts)
	if err != nil {
		return nil, nil, err
	}
	return env, func() {
		if err := env.stop(); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
		}
	}, nil
}

// Client returns a client that reads and writes the API server directly, as
// administrator. A nil scheme means the built-in kinds.
func (e *Env) Client(scheme *runtime.Scheme) client.Client {
	if scheme == nil {
		scheme = clientgoscheme.Scheme
	}
	c, err := client.New(e.Config, client.Options{Scheme: scheme})
	if err != nil {
		panic(fmt.Sprintf("testenv: no client for a server that has answered before: %v", err))
	}
	return c
}

// AsServiceAccount returns a configuration with exactly the rights of a service
// account. The account itself need not exist.
func (e *Env) AsServiceAccount(namespace, name string) *rest.Config {
	cfg := rest.CopyConfig(e.Config)
	cfg.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + namespace + ":" + name,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
	}
	return cfg
}

func start(opts []Option) (*Env, error) {
	root, err := ModuleRoot()
	if err != nil {
		return nil, err
	}
	o := options{crdDirectories: []string{filepath.Join(root, "config", "crd", "bases")}}
	for _, opt := range opts {
		opt(&o)
	}
	programs := []string{"etcd", "kube-apiserver"}
	if o.controllerManager {
		programs = append(programs, "kube-controller-manager")
	}
	assets, err := findAssets(root, programs)
	if err != nil {
		return nil, err
	}
	env := &Env{server: newServer(assets, o.crdDirectories)}
	if o.audit {
		if env.auditDir, err = audit(env.server); err != nil {
			return nil, errors.Join(fmt.Errorf("testenv: %w", err), os.RemoveAll(env.auditDir))
		}
	}
	if err := env.run(assets, o.controllerManager); err != nil {
		return nil, errors.Join(fmt.Errorf("testenv: %w", err), env.stop())
	}
	return env, nil
}

func newServer(assets string, crdDirectories []string) *envtest.Environment {
	existing := false // overrides USE_EXISTING_CLUSTER: tests delete the objects they find
	server := &envtest.Environment{
		UseExistingCluster:       &existing,
		ErrorIfCRDPathMissing:    true,
		CRDDirectoryPaths:        crdDirectories,
		ControlPlaneStartTimeout: startTimeout,
		ControlPlaneStopTimeout:  stopTimeout,
	}
	server.CRDInstallOptions.MaxTime = startTimeout
	server.ControlPlane.GetAPIServer().Path = filepath.Join(assets, "kube-apiserver")
	server.ControlPlane.Etcd = &envtest.Etcd{Path: filepath.Join(assets, "etcd")}
	return server
}

func (e *Env) run(assets string, withManager bool) error {
	cfg, err := e.server.Start()
	if err != nil {
		return fmt.Errorf("start the API server: %w", err)
	}
	e.Config, e.Kubeconfig = cfg, e.server.KubeConfig
	if !withManager {
		return nil
	}
	// After the CRDs, so that the garbage collector knows them from the start.
	e.manager, err = startControllerManager(filepath.Join(assets, "kube-controller-manager"), e.Kubeconfig)
	return err
}

func (e *Env) stop() error {
	var failed error
	if e.manager != nil {
		failed = e.manager.stop()
	}
	if err := e.server.Stop(); err != nil && !isStopTimeout(err) {
		failed = errors.Join(failed, fmt.Errorf("testenv: stop the API server: %w", err))
	}
	if e.auditDir != "" {
		failed = errors.Join(failed, os.RemoveAll(e.auditDir))
	}
	return failed
}

// Main is the TestMain of a package whose tests share one API server, which it
// puts into env. It returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(testenv.Main(m, &env)) }
func Main(m *testing.M, env **Env, opts ...Option) int {
	started, stop, err := StartMain(opts...)
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	*env = started
	return m.Run()
}
