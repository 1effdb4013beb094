// Package doctor is kubectl apitoken doctor: it checks the installation, the user's rights,
// the providers and the ApiTokens.
package doctor

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/installation"
	"apitoken.dev/operator/internal/cli/output"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/terminal"
)

// The results of a check.
const (
	resultOK   = "ok"
	resultWarn = "warn"
	resultFail = "fail"
)

// doLeaving is the advice for checks whose cause leaving has already explained.
const doLeaving = "Do what leaving says, above."

// finding is the result of a check.
type finding struct {
	Result  string `json:"result"`
	Check   string `json:"check"`
	Message string `json:"message"`
	// Do says what to do; empty when it is ok.
	Do string `json:"whatToDo,omitempty"`
}

// doctorView is the output of doctor with -o json and -o yaml.
type doctorView struct {
	Result   string    `json:"result"`
	Findings []finding `json:"findings"`
}

// doctorOptions are the flags of doctor.
type doctorOptions struct {
	all      bool
	operator string
	out      *output.Printer
}

// NewCommand returns kubectl apitoken doctor.
func NewCommand(a *session.App) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the installation, your rights, the providers and the ApiTokens, and say what to do",
		Long: "Checks the installation, your rights, the providers and the ApiTokens of a namespace, or of all with -A. It changes nothing.\n" +
			"The exit code is 1 when a check fails. Warnings do not count.",
		Args:              session.ExactArgs(0, "doctor takes flags only"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.RunE(func(ctx context.Context, s *session.Session, _ []string) error {
			return doctor(ctx, s, o)
		}, func() error { return o.out.Check() }),
	}
	cmd.Flags().BoolVarP(&o.all, "all-namespaces", "A", false, "Look at the ApiTokens of all namespaces.")
	cmd.Flags().StringVar(&o.operator, "operator-namespace", installation.DefaultNamespace, "The namespace that the operator runs in.")
	o.out = output.NewPrinter(cmd, session.Scheme(), output.FormatTable)
	return cmd
}

// examination gathers findings.
type examination struct {
	*session.Session
	// scope is the namespace whose objects are checked; empty: all namespaces.
	scope    string
	operator string
	findings []finding
	// gone: leaving found that no operator works, so that every condition is out of date.
	gone bool
	// ending: leaving found that the operator's namespace is being deleted and saw no
	// operator. Nothing can be repaired or installed there.
	ending bool
}

// orLeaving is what to do about the operator: what leaving says, if its namespace is being
// deleted.
func (e *examination) orLeaving(do string) string {
	if e.ending {
		return doLeaving
	}
	return do
}

func (e *examination) ok(check, format string, args ...any) {
	e.findings = append(e.findings, finding{Result: resultOK, Check: check, Message: fmt.Sprintf(format, args...)})
}

func (e *examination) warn(check, do, format string, args ...any) {
	e.findings = append(e.findings, finding{Result: resultWarn, Check: check, Message: fmt.Sprintf(format, args...), Do: do})
}

func (e *examination) fail(check, do, format string, args ...any) {
	e.findings = append(e.findings, finding{Result: resultFail, Check: check, Message: fmt.Sprintf(format, args...), Do: do})
}

// holds reports what conditions say: it is ok only while an operator keeps them up to date.
func (e *examination) holds(check, format string, args ...any) {
	if e.gone {
		e.warn(check, doLeaving, "out of date, because no operator works: "+format, args...)
		return
	}
	e.ok(check, format, args...)
}

// unread reports what could not be looked at: that is never ok, and never none.
func (e *examination) unread(check string, r hint.Access, err error) {
	e.warn(check, e.ToRead(r, err), "could not read: %s", hint.Unreadable(r, err))
}

func doctor(ctx context.Context, s *session.Session, o doctorOptions) error {
	e := &examination{Session: s, scope: s.Namespace, operator: o.operator}
	if o.all {
		e.scope = ""
	}
	if e.server(ctx) {
		served := e.kinds()
		e.leaving(ctx)
		if served {
			e.deployment(ctx)
			e.rights(ctx)
			e.providersReady(ctx)
			e.orphans(ctx)
			e.tokensReady(ctx)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	v := doctorView{Result: worst(e.findings), Findings: e.findings}
	if _, human := o.out.ForPeople(); human {
		for _, f := range e.findings {
			fmt.Fprintf(s.Out, "%-4s  %s: %s\n", f.Result, f.Check, terminal.OneLine(f.Message))
			if f.Do != "" {
				fmt.Fprintln(s.Out, output.Indent("      → ", f.Do))
			}
		}
	} else if err := o.out.View(s.Out, "Examination", v); err != nil {
		return err
	}
	if v.Result == resultFail {
		return exit.Silent(exit.Failed)
	}
	return nil
}

// worst is the worst result.
func worst(findings []finding) string {
	out := resultOK
	for _, f := range findings {
		switch f.Result {
		case resultFail:
			return resultFail
		case resultWarn:
			out = resultWarn
		}
	}
	return out
}
