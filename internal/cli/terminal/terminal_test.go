package terminal

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTerminalEscapesControlCharacters(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"text", "Größe: 5 €, 日本\n\tEnde", "Größe: 5 €, 日本\n\tEnde"},
		{"an escape sequence", "a\x1b[2Kb", `a\u001b[2Kb`},
		{"a carriage return", "real\rfake", `real\u000dfake`},
		{"a backspace", "ab\b\bcd", `ab\u0008\u0008cd`},
		{"a sequence that begins with one character", "a\u009b2Kb", `a\u009b2Kb`},
		{"a byte that is no UTF-8", "a\x9b2Kb\xff", `a\x9b2Kb\xff`},
		{"characters without a width", "a\u200bb\u200ec\u2028d\U000e0001", `a\u200bb\u200ec\u2028d\udb40\udc01`},
		{"reversed text", "a\u202eb\u2066c", `a\u202eb\u2066c`},
		{"DEL", "a\x7fb", `a\u007fb`},
		{"the replacement character itself", "a\ufffdb", `a\ufffdb`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for size := 1; size <= len(c.text); size++ {
				var out bytes.Buffer
				w := Writer(&out)
				for rest := c.text; rest != ""; {
					n := min(size, len(rest))
					if _, err := io.WriteString(w, rest[:n]); err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				End(w)
				if diff := cmp.Diff(c.want, out.String()); diff != "" {
					t.Errorf("in pieces of %d (-want +got):\n%s", size, diff)
				}
			}
		})
	}
}

func TestTerminalIsNotWrappedTwice(t *testing.T) {
	w := Writer(io.Discard)
	if Writer(w) != w {
		t.Error("a second writer was made, which would hold back the beginning of a character on its own")
	}
}
