package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// RunTests runs the tests of a package, a *testing.M, next to a gateway, and returns the
// exit code for TestMain. Each test can use what prepare sets up.
func RunTests(tests interface{ Run() int }, prepare func(context.Context, *Gateway) error) int {
	MaybeRunChild()
	code, err := runTests(tests, prepare)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func runTests(tests interface{ Run() int }, prepare func(context.Context, *Gateway) error) (code int, err error) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "apitoken-e2e")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	g, err := Start(ctx, dir, Options{})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, g.Stop()) }()
	if err := prepare(ctx, g); err != nil {
		return 1, err
	}
	return tests.Run(), nil
}
