// Command kubectl-apitoken is the kubectl plugin: kubectl apitoken. A link to it
// named kubectl_complete-apitoken completes its command line.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // the logins that a kubeconfig may name
	"k8s.io/klog/v2"

	"apitoken.dev/operator/internal/cli"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/terminal"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider/drivers"
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	registry, err := drivers.New()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error: listing the drivers:", err)
		return int(exit.Failed)
	}
	stderr := terminal.Writer(os.Stderr)
	logTo(stderr)
	env := session.Env{
		IOStreams: genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: stderr},
		Clock:     clock.NewReal(), Registry: registry, Environ: os.Environ(), Exec: replace, Version: version,
	}
	if stdin := int(os.Stdin.Fd()); term.IsTerminal(stdin) {
		env.ReadHidden = func() ([]byte, error) { return readHidden(ctx, stdin) }
	}
	return int(cli.Run(ctx, env, os.Args[0], os.Args[1:]))
}

// logTo makes the client library log, with -v, to a writer and nowhere else: with
// -v=8 it logs what the API server answers.
func logTo(w io.Writer) {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "one_output": "true", "stderrthreshold": "FATAL"} {
		if err := flags.Set(name, value); err != nil {
			panic(err) // these are flags of klog
		}
	}
	klog.SetOutput(w)
	// Discovery logs each failed attempt as an unhandled error, also without -v. The
	// command that asked gets the error too, and says it once.
	utilruntime.ErrorHandlers = nil
}

// readHidden reads a line without echo. A signal ends it and brings the echo back.
func readHidden(ctx context.Context, fd int) ([]byte, error) {
	state, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	type answer struct {
		line []byte
		err  error
	}
	read := make(chan answer, 1)
	go func() {
		line, err := term.ReadPassword(fd)
		read <- answer{line, err}
	}()
	select {
	case a := <-read:
		return a.line, a.err
	case <-ctx.Done():
		_ = term.Restore(fd, state)
		return nil, ctx.Err()
	}
}
