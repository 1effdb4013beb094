// Package commands reads the commands in the documents. Its tests run them, so that they
// work for a reader who copies them.
package commands

import (
	"regexp"
	"strings"
)

// Block is a fenced block of code in a document.
type Block struct {
	Page string
	// Line is that of the first line of code.
	Line int
	// Language is the word after the fence.
	Language string
	// Text has the indentation of the fence taken away.
	Text string
}

var fence = regexp.MustCompile("^( *)(```+|~~~+) *([A-Za-z]*)")

// Blocks lists the fenced blocks of a document, in order.
func Blocks(page, document string) []Block {
	var out []Block
	var open *Block
	indent, closing := "", ""
	for i, line := range strings.Split(document, "\n") {
		if open != nil {
			if strings.TrimSpace(line) == closing {
				out, open = append(out, *open), nil
				continue
			}
			open.Text += strings.TrimPrefix(line, indent) + "\n"
			continue
		}
		if m := fence.FindStringSubmatch(line); m != nil {
			indent, closing = m[1], m[2]
			open = &Block{Page: page, Line: i + 2, Language: m[3]}
		}
	}
	return out
}

// Command is one command, and the output that the document shows for it.
type Command struct {
	Page   string
	Line   int
	Text   string
	Output string
}

// Commands lists the commands of a block. In a console block they follow "$ "; without such
// a line, every line is a command. A block in another language has no commands.
func (b Block) Commands() ([]Command, error) {
	switch b.Language {
	case "sh", "bash", "shell":
		return split(Command{Page: b.Page, Line: b.Line, Text: b.Text})
	case "console":
		if !strings.HasPrefix(b.Text, "$ ") && !strings.Contains(b.Text, "\n$ ") {
			return split(Command{Page: b.Page, Line: b.Line, Text: b.Text})
		}
		return b.session()
	}
	return nil, nil
}

// session reads commands and their outputs in turn.
func (b Block) session() ([]Command, error) {
	var out []Command
	continued := false
	for i, line := range strings.Split(b.Text, "\n") {
		text, typed := strings.CutPrefix(line, "$ ")
		switch {
		case typed:
			out = append(out, Command{Page: b.Page, Line: b.Line + i, Text: text + "\n"})
		case continued:
			typed, text = true, line
			out[len(out)-1].Text += line + "\n"
		case len(out) > 0:
			out[len(out)-1].Output += line + "\n"
		}
		continued = typed && strings.HasSuffix(text, `\`)
	}
	for _, c := range out {
		if _, err := split(c); err != nil {
			return nil, err
		}
	}
	return out, nil
}
