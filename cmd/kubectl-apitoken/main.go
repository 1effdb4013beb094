// Command kubectl-apitoken is the kubectl plugin: kubectl apitoken. A link to it
// named kubectl_complete-apitoken completes its command line.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // the logins that a kubeconfig may name

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/drivers"
	"apitoken.dev/operator/internal/plugin"
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
		return int(plugin.Failed)
	}
	env := plugin.Env{
		IOStreams: genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
		Clock:     clock.NewReal(), Registry: registry, Environ: os.Environ(), Exec: replace, Version: version,
	}
	if stdin := int(os.Stdin.Fd()); term.IsTerminal(stdin) {
		env.ReadHidden = func() ([]byte, error) { return readHidden(ctx, stdin) }
	}
	return int(plugin.Run(ctx, env, os.Args[0], os.Args[1:]))
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
