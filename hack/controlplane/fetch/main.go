// Fetch downloads programs of the control plane from their releases, for build.sh,
// which builds from source what is missing afterwards.
//
//	go run ./fetch -into DIR PROGRAM...
//	go run ./fetch -update
//
// It takes only what the file checksums pins for the version in go.mod. A program
// appears in DIR whole, verified and executable, or not at all. A failed download
// is reported and is not an error of the command: build.sh then builds the program.
//
// CONTROLPLANE_MIRROR is the address of a mirror that has the files of
// https://HOST/PATH under HOST/PATH. HTTPS_PROXY is used as usual. -update refuses to run
// with a mirror, which could then choose the checksums of its own files.
//
// It is not setup-envtest: its archives have no kube-controller-manager, which tests need for
// garbage collection and the deletion of namespaces. It takes the checksums from an index that it
// downloads too, and it builds nothing where that index cannot be reached.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	patience    = 5 * time.Second
	limit       = 4 * time.Minute
	maxDownload = 1 << 30
	maxProgram  = 512 << 20
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("fetch", flag.ContinueOnError)
	into := flags.String("into", ".", "the `directory` that receives the programs")
	update := flags.Bool("update", false, "write the file checksums from the official lists")
	if err := flags.Parse(args); err != nil {
		return err
	}
	mirror := strings.TrimSuffix(os.Getenv("CONTROLPLANE_MIRROR"), "/")
	if *update && mirror != "" {
		return errors.New("the checksums must not come from the mirror that the programs come from: unset CONTROLPLANE_MIRROR")
	}
	versions, err := readVersions("go.mod")
	if err != nil {
		return err
	}
	pins, err := readPins("checksums")
	if err != nil {
		return err
	}
	f := &fetcher{
		client: newClient(), mirror: mirror,
		into: *into, patience: patience, limit: limit, maxDownload: maxDownload, maxProgram: maxProgram, log: os.Stderr,
	}
	if *update {
		return f.update(ctx, "checksums", versions, pins)
	}
	if flags.NArg() == 0 {
		return fmt.Errorf("no program: name the programs to download")
	}
	f.fetch(ctx, choose(pins, versions, runtime.GOOS+"/"+runtime.GOARCH, flags.Args(), f.say))
	return ctx.Err()
}
