// Command kubectl-apitoken is the plugin kubectl apitoken. Under the name
// kubectl_complete-apitoken it completes command lines.
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
	_ "k8s.io/client-go/plugin/pkg/client/auth" // authentication plugins of a kubeconfig
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

// logTo sends the logs of the client library, which -v enables, only to a writer. With -v=8
// they contain the API server's answers.
func logTo(w io.Writer) {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "one_output": "true", "stderrthreshold": "FATAL"} {
		if err := flags.Set(name, value); err != nil {
			panic(err) // these are flags of klog
		}
	}
	klog.SetOutput(w)
	// Discovery logs each failed attempt as an unhandled error, even without -v. The
	// command gets the error too, and prints it once.
	utilruntime.ErrorHandlers = nil
}

// readHidden reads a line without echo. A signal ends it and restores the echo.
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
