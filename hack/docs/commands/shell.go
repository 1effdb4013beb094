package commands

import (
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// split parses a text in the language of bash and lists its statements.
func split(c Command) ([]Command, error) {
	file, err := parse(c.Text)
	if err != nil {
		return nil, fmt.Errorf("%s:%d: this is not a command: %w", c.Page, c.Line, err)
	}
	var out []Command
	for i, statement := range file.Stmts {
		// As it is written, here-documents and all that comes before the next one included.
		end := uint(len(c.Text))
		if i+1 < len(file.Stmts) {
			end = file.Stmts[i+1].Pos().Offset()
		}
		out = append(out, Command{
			Page: c.Page, Line: c.Line + int(statement.Pos().Line()) - 1,
			Text: strings.TrimSpace(c.Text[statement.Pos().Offset():end]) + "\n",
		})
	}
	return out, nil
}

func parse(text string) (*syntax.File, error) {
	return syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
}

// Programs lists the programs that a command starts, sorted, each once. One whose name
// is not written out, such as $EDITOR, is an error.
func Programs(text string) ([]string, error) {
	calls, err := callsIn(text)
	var out []string
	for _, call := range calls {
		name := call.Args[0].Lit()
		if name == "" {
			return nil, fmt.Errorf("the name of a program is not written out in %q", text)
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return slices.Compact(out), err
}

// Calls lists the calls of one program in a command, without redirections.
func Calls(text, program string) ([]string, error) {
	calls, err := callsIn(text)
	var out []string
	for _, call := range calls {
		if call.Args[0].Lit() != program {
			continue
		}
		var s strings.Builder
		if err := syntax.NewPrinter(syntax.SingleLine(true)).Print(&s, call); err != nil {
			return nil, fmt.Errorf("print a call of %s: %w", program, err)
		}
		out = append(out, s.String())
	}
	return out, err
}

func callsIn(text string) ([]*syntax.CallExpr, error) {
	file, err := parse(text)
	if err != nil {
		return nil, err
	}
	var out []*syntax.CallExpr
	syntax.Walk(file, func(node syntax.Node) bool {
		if call, ok := node.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			out = append(out, call)
		}
		return true
	})
	return out, nil
}
