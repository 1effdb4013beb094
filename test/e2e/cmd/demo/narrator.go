package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Colours of a terminal.
const (
	green = "32"
	red   = "31"
	bold  = "1"
	faint = "2"
)

// oneLine is how many characters of a claim fit into one line of a narrow terminal,
// next to the mark. The line is overwritten when the check ends.
const oneLine = 68

// narrator prints the story. It masks every secret value that its redactor knows.
type narrator struct {
	out      io.Writer
	terminal bool
	secrets  *redactor
	held     int
}

// newNarrator prints to a file, in colour when it is a terminal.
func newNarrator(f *os.File, secrets *redactor) *narrator {
	info, err := f.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb" && os.Getenv("NO_COLOR") == ""
	return &narrator{out: f, terminal: terminal, secrets: secrets}
}

func (n *narrator) print(s string) { _, _ = io.WriteString(n.out, n.secrets.redact(s)) }

func (n *narrator) paint(colour, s string) string {
	if !n.terminal {
		return s
	}
	return "\033[" + colour + "m" + s + "\033[0m"
}

// heading begins a part of the story.
func (n *narrator) heading(s string) { n.print("\n" + n.paint(bold, s) + "\n") }

// say prints lines that explain or show something.
func (n *narrator) say(lines string) {
	for line := range strings.Lines(strings.TrimRight(lines, "\n") + "\n") {
		n.print("        " + n.paint(faint, strings.TrimRight(line, "\n")) + "\n")
	}
}

// step is a claim and how to verify it.
type step struct {
	claim  string
	verify func() (details string, err error)
}

// failure is a claim that did not hold, and what was seen instead.
type failure struct {
	claim string
	seen  error
}

// Error implements error.
func (f *failure) Error() string { return f.claim + ": " + f.seen.Error() }

// Unwrap implements the interface of package errors.
func (f *failure) Unwrap() error { return f.seen }

// check prints a claim once it is verified, with the details that were seen. It
// returns a failure when the claim does not hold.
func (n *narrator) check(ctx context.Context, claim string, verify func() (details string, err error)) error {
	if n.terminal {
		n.print("   ..   " + n.paint(faint, claim[:min(len(claim), oneLine)]))
	}
	began := time.Now()
	details, err := verify()
	if n.terminal {
		n.print("\r\033[K")
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		n.print("  " + n.paint(red, "FAIL") + "  " + claim + "\n")
		return &failure{claim: claim, seen: err}
	}
	n.held++
	if details != "" {
		details = ": " + details
	}
	took := ""
	if d := time.Since(began); d >= time.Second/2 {
		took = n.paint(faint, fmt.Sprintf(" (%.1fs)", d.Seconds()))
	}
	n.print("   " + n.paint(green, "ok") + "   " + claim + details + took + "\n")
	return nil
}

// fail explains a failure, with the end of the operator's log.
func (n *narrator) fail(f *failure, log string) {
	n.print("\n  " + n.paint(red, "expected") + "  " + f.claim + "\n")
	n.print("  " + n.paint(red, "seen    ") + "  " + f.seen.Error() + "\n")
	if log != "" {
		n.print("\n  The operator's log ends with:\n")
		n.say(log)
	}
}

// eventually calls try until it returns no error, and returns its last error after a timeout.
func eventually(ctx context.Context, within time.Duration, try func() error) error {
	const pause = 100 * time.Millisecond
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			return fmt.Errorf("%w (waited %s)", err, within)
		case <-time.After(pause):
		}
	}
}
