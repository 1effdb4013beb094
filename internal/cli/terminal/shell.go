package terminal

import (
	"fmt"
	"regexp"
	"strings"
)

// Quote is a value as a shell reads it back exactly. What a terminal could take for
// a command becomes an octal escape in $'…', which is in POSIX since 2024 and in
// bash, zsh, ksh and busybox before that.
func Quote(value string) string {
	if !strings.ContainsFunc(value, IsCommand) {
		return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(value) {
		switch c := value[i]; {
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= 0x20 && c < 0x7f:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	return b.String() + "'"
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// Word is one argument, as a shell reads it back.
func Word(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return Quote(s)
}
