package testutil

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
)

// Everything is a verbosity that leaves nothing out.
const Everything = 1 << 20

// Log keeps every line that is logged. It is safe for
// concurrent use.
type Log struct {
	mu    sync.Mutex
	lines []string
}

// Logger returns a logger that writes to the log up to a verbosity.
func (l *Log) Logger(verbosity int) logr.Logger {
	return funcr.New(l.add, funcr.Options{Verbosity: verbosity})
}

func (l *Log) add(prefix, args string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, prefix+" "+args)
}

// Count returns how many lines contain all of the parts.
func (l *Log) Count(parts ...string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, line := range l.lines {
		if containsAll(line, parts) {
			n++
		}
	}
	return n
}

// Last returns the last line that contains all of the parts.
func (l *Log) Last(parts ...string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range slices.Backward(l.lines) {
		if containsAll(line, parts) {
			return line
		}
	}
	return ""
}

// String returns everything that was logged.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// detail matches the log levels that only libraries use.
var detail = regexp.MustCompile(`"level"=([2-9]|[0-9]{2})`)

// Tail returns the last n lines, without the lines of detail that libraries log.
func (l *Log) Tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := slices.DeleteFunc(slices.Clone(l.lines), func(line string) bool { return detail.MatchString(line) })
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func containsAll(s string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(s, part) {
			return false
		}
	}
	return true
}
