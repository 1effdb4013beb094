// Command demo runs the operator against a real Kubernetes API server and a real
// S3 and IAM server, all on this machine, and prints what happens. Each line that
// begins with ok is a claim that the demo has checked. The first claim that does
// not hold ends the demo with exit code 1.
//
// Start it with: make demo
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"apitoken.dev/operator/test/e2e/gateway"
	"apitoken.dev/operator/test/support/testenv"
)

// exitInterrupted is the exit code of a program that an interrupt ended.
const exitInterrupted = 130

// logLines is how many lines of the operator's log are printed with a failure.
const logLines = 20

var errInterrupted = errors.New("interrupted")

// demo is one run.
type demo struct {
	manager     string
	keep, crash bool

	out     *narrator
	secrets *redactor
	root    string // of the repository
	dir     string // for files of this run
	stops   []func()

	cluster  *cluster
	gateway  *gateway.Gateway
	operator *operator
	running  *process
	minter   gateway.Keys
	samples  []*unstructured.Unstructured
	revoked  []*workload // their keys must be rejected from now on
}

func main() {
	gateway.MaybeRunChild()
	secrets := &redactor{}
	d := &demo{secrets: secrets, out: newNarrator(os.Stdout, secrets)}
	flag.StringVar(&d.manager, "manager", "bin/manager", "the operator's binary")
	flag.BoolVar(&d.keep, "keep", false, "keep everything running until interrupted")
	flag.BoolVar(&d.crash, "crash", false, "also kill the operator while it mints (takes about three minutes more)")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	os.Exit(d.run())
}

// run returns the exit code, after everything that was started has ended.
func (d *demo) run() int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals // later signals are ignored: the demo is already stopping
		cancel(errInterrupted)
	}()
	defer d.stop()
	began := time.Now()
	err := d.prepare()
	if err == nil {
		err = d.tell(ctx)
	}
	code := d.verdict(err, time.Since(began))
	if d.keep && d.running != nil && ctx.Err() == nil {
		d.wait(ctx)
	}
	return code
}

// prepare finds the repository and the operator's binary, and creates a directory for this run.
func (d *demo) prepare() error {
	var err error
	if d.root, err = testenv.ModuleRoot(); err != nil {
		return err
	}
	if d.manager, err = filepath.Abs(d.manager); err != nil {
		return err
	}
	if _, err := os.Stat(d.manager); err != nil {
		return fmt.Errorf("the operator is not built: run make build: %w", err)
	}
	if d.dir, err = os.MkdirTemp("", "apitoken-demo-"); err != nil {
		return err
	}
	d.later(func() {
		if d.keep {
			d.out.print("The files of this run are in " + d.dir + "\n")
			return
		}
		_ = os.RemoveAll(d.dir)
	})
	return nil
}

// tell runs the parts of the story.
func (d *demo) tell(ctx context.Context) error {
	parts := []func(context.Context) error{d.start, d.declare, d.use, d.rotate}
	if d.crash {
		parts = append(parts, d.crashed)
	}
	parts = append(parts, d.end)
	if d.keep {
		parts = append(parts, d.again)
	}
	for _, part := range parts {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// verdict prints the result and returns the exit code.
func (d *demo) verdict(err error, took time.Duration) int {
	var f *failure
	switch {
	case err == nil:
		d.out.print(fmt.Sprintf("\n%s in %.0f seconds.\n", d.out.paint(green, fmt.Sprintf("All %d checks held", d.out.held)), took.Seconds()))
		return 0
	case errors.Is(err, errInterrupted):
		d.out.print("\nInterrupted: stopping everything.\n")
		return exitInterrupted
	case !errors.As(err, &f):
		f = &failure{claim: "the demo can run", seen: err}
	}
	log := ""
	if d.operator != nil {
		log = d.operator.tail(logLines, d.secrets)
	}
	d.out.fail(f, log)
	return 1
}

// later adds a function to call at the end, in the reverse order of the calls of later.
func (d *demo) later(do func()) { d.stops = append(d.stops, do) }

func (d *demo) stop() {
	for i := len(d.stops) - 1; i >= 0; i-- {
		d.stops[i]()
	}
	d.stops = nil
}
