// Command bench measures what a token costs. It mints many tokens on an in-memory
// provider, through a real API server and with the operator as shipped. In the same
// run it measures a floor: a bare client that makes the same durable writes. Then
// it restarts the operator over all of them, and rotates them all.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"apitoken.dev/operator/internal/operator"
)

// settings are the flags.
type settings struct {
	tokens      int
	rounds      int
	concurrency int
	fairness    bool
	cpuprofile  string
	verbose     bool
}

func main() {
	s, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = profiled(s.cpuprofile, func() error { return run(ctx, s, os.Stdout) })
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string, out io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprintln(out, "Usage: make bench, or with flags: KUBEBUILDER_ASSETS=$(hack/controlplane/build.sh) go run ./test/bench [flags]")
		flags.PrintDefaults()
	}
	flags.IntVar(&s.tokens, "tokens", 500, "`number` of tokens that the operator mints; the floor writes the same number")
	flags.IntVar(&s.rounds, "rounds", 10, "`number` of batches; operator and floor take turns")
	flags.IntVar(&s.concurrency, "concurrency", operator.DefaultClusterPlaces, "`number` of tokens that the floor writes at once, and of places at the provider for the operator")
	flags.BoolVar(&s.fairness, "fairness", false, "measure how long one namespace waits while others load the operator, and nothing else")
	flags.StringVar(&s.cpuprofile, "cpuprofile", "", "write a CPU profile to this `file`; goroutines have the label side=operator or side=floor (go tool pprof -tagfocus)")
	flags.BoolVar(&s.verbose, "v", false, "print the operator's log on stderr; without it, the log is formatted and discarded")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q: only flags are allowed", flags.Arg(0))
	}
	if s.rounds < 1 || s.concurrency < 1 || s.tokens < s.rounds {
		return s, fmt.Errorf("-rounds and -concurrency are at least 1 and -tokens at least -rounds, not %d, %d and %d", s.rounds, s.concurrency, s.tokens)
	}
	return s, nil
}

// logger returns a logger with the format of the binary.
func (s settings) logger() logr.Logger {
	out := io.Discard
	if s.verbose {
		out = os.Stderr
	}
	return logr.FromSlogHandler(slog.NewJSONHandler(out, nil))
}

func profiled(file string, f func() error) error {
	if file == "" {
		return f()
	}
	out, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("-cpuprofile: %w", err)
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		return errors.Join(fmt.Errorf("-cpuprofile: %w", err), out.Close())
	}
	err = f()
	pprof.StopCPUProfile()
	return errors.Join(err, out.Close())
}

func run(ctx context.Context, s settings, out io.Writer) error {
	ctrl.SetLogger(s.logger())
	klog.SetLogger(s.logger())
	if s.fairness {
		return runFairness(ctx, s, out)
	}
	fmt.Fprintln(out, "Starting etcd and kube-apiserver ...")
	b, stop, err := newBench(ctx, s)
	if err != nil {
		return err
	}
	defer stop()
	var r results
	steps := []struct {
		says string
		do   func(context.Context, *results) error
	}{
		{fmt.Sprintf("Warming up both sides with %d tokens each ...", warmup(s)), b.warmUp},
		{fmt.Sprintf("Minting %d tokens in %d rounds, operator and floor in turns ...", s.tokens, s.rounds), b.mintAll},
		{"Restarting the operator over them ...", b.restart},
		{"Rotating all ...", b.rotateAll},
	}
	for _, step := range steps {
		fmt.Fprintln(out, step.says)
		if err := step.do(ctx, &r); err != nil {
			return err
		}
	}
	r.print(out, s)
	return nil
}
