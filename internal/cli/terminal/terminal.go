// Package terminal makes text from others safe to print: no escape sequence in it reaches
// the terminal, and a shell reads a quoted word back exactly.
package terminal

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// writer writes text in which nothing can command a terminal: the answers of a
// provider, the names of objects and the messages of a status come from others, and
// an escape sequence in them could overwrite lines, or write to the clipboard.
//
// What cannot be seen (unicode.IsPrint) is written as \u001b, and bytes that are no
// UTF-8 as \x9b, except spaces, line feeds and tabs: control characters, including those
// of C1 (U+009B begins a sequence as ESC [ does), characters that reverse the
// direction of text (CVE-2021-42574), and characters without a width. People and
// programs still read the same: \u001b means that character in a JSON string, too.
// printers.WriteEscaped of k8s.io/cli-runtime knows only ESC and carriage return.
type writer struct {
	mu  sync.Mutex
	out io.Writer
	// rest is the beginning of a character whose end was not written yet.
	rest []byte
}

// Writer returns a writer to a terminal, or to a program that reads what a user
// would, in which nothing from a cluster or a provider can command the terminal. All
// output of the plugin goes through one.
func Writer(w io.Writer) io.Writer {
	if t, ok := w.(*writer); ok {
		return t
	}
	return &writer{out: w}
}

// End ends the text of writers that Terminal returned.
func End(writers ...io.Writer) {
	for _, w := range writers {
		if t, ok := w.(*writer); ok {
			t.end()
		}
	}
}

// Write implements io.Writer.
func (t *writer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := append(t.rest, p...)
	whole := len(text)
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if last := text[len(text)-n]; utf8.RuneStart(last) {
			if !utf8.FullRune(text[len(text)-n:]) {
				whole = len(text) - n
			}
			break
		}
	}
	t.rest = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(t.out, escape(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// end writes the beginning of a character that never ended.
func (t *writer) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = io.WriteString(t.out, escape(string(t.rest)))
	t.rest = nil
}

// escape replaces what terminal does not write.
func escape(text string) string {
	if !strings.ContainsFunc(text, IsCommand) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case IsCommand(r):
			for _, unit := range utf16.AppendRune(nil, r) { // as JSON writes it
				fmt.Fprintf(&b, `\u%04x`, unit)
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// IsCommand reports whether a terminal may take a character, or a byte that is not UTF-8,
// for a command.
func IsCommand(r rune) bool {
	return r == utf8.RuneError || r != '\n' && r != '\t' && !unicode.IsPrint(r)
}

// OneLine is a value from someone else as a part of a line: it cannot end the line,
// or begin another column.
func OneLine[S ~string](value S) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(string(value))
}
