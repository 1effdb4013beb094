// Command blocks prints the commands of a part of a page, as a script for bash.
//
//	blocks -page docs/getting-started.md -section HEADING [-section HEADING...]
//	  [-skip BEGINNING...] [-set NAME=VALUE...]
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"apitoken.dev/operator/hack/docs/commands"
)

func main() {
	script := commands.Script{Set: map[string]string{}}
	var page string
	flag.StringVar(&page, "page", "", "the page")
	flag.Func("section", "heading of a part to print", func(s string) error {
		script.Sections = append(script.Sections, s)
		return nil
	})
	flag.Func("skip", "beginning of a block to leave out", func(s string) error {
		script.Skip = append(script.Skip, s)
		return nil
	})
	flag.Func("set", "NAME=VALUE for a line NAME=... of the page", func(s string) error {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("%q: write NAME=VALUE", s)
		}
		script.Set[name] = value
		return nil
	})
	flag.Parse()
	content, err := os.ReadFile(page)
	if err == nil {
		var text string
		if text, err = script.Of(page, string(content)); err == nil {
			fmt.Print(text)
			return
		}
	}
	fmt.Fprintln(os.Stderr, "blocks:", err)
	os.Exit(1)
}
