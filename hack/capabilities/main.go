// Command capabilities writes the table of docs/providers/README.md from the
// Capabilities of every driver.
//
//	go run ./hack/capabilities [-check] [DOCUMENT]
//
// With -check it writes nothing, and fails when the table is not current.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
)

// The lines around the table.
const (
	begin = "<!-- capabilities: written by go run ./hack/capabilities -->"
	end   = "<!-- capabilities: end -->"
)

var errNotCurrent = errors.New("the table is not current; run: go run ./hack/capabilities")

func main() {
	check := flag.Bool("check", false, "write nothing, and fail when the table is not current")
	flag.Parse()
	document := "docs/providers/README.md"
	if flag.NArg() > 0 {
		document = flag.Arg(0)
	}
	if err := run(document, *check); err != nil {
		fmt.Fprintf(os.Stderr, "capabilities: %s: %v\n", document, err)
		os.Exit(1)
	}
}

func run(document string, check bool) error {
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	rows, err := entries()
	if err != nil {
		return err
	}
	current, err := replace(string(old), table(rows))
	if err != nil || current == string(old) {
		return err
	}
	if check {
		return errNotCurrent
	}
	return os.WriteFile(document, []byte(current), 0o644) //nolint:gosec // a document is public
}

// replace puts the table between the two markers.
func replace(document, table string) (string, error) {
	before, rest, ok := strings.Cut(document, begin+"\n")
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("there are no lines %q and, after it, %q", begin, end)
	}
	return before + begin + "\n" + table + end + after, nil
}
