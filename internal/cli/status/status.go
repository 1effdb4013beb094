// Package status is kubectl apitoken status.
package status

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/printers"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/complete"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/installation"
	"apitoken.dev/operator/internal/cli/output"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/terminal"
	"apitoken.dev/operator/internal/cli/view"
)

// NewCommand returns kubectl apitoken status.
func NewCommand(a *session.App) *cobra.Command {
	var out *output.Printer
	cmd := &cobra.Command{
		Use:               "status NAME",
		Short:             "Show one ApiToken on one screen: what, where, until when, what happens next, and what is wrong",
		Long:              "Shows one ApiToken on one screen. The exit code is 0 when it is ready, and 1 when it is not.",
		Args:              session.ExactArgs(1, "status NAME: name one ApiToken"),
		ValidArgsFunction: complete.Tokens(a),
		RunE: a.RunE(func(ctx context.Context, s *session.Session, args []string) error {
			return status(ctx, s, args[0], out)
		}, func() error { return out.Check() }),
	}
	out = output.NewPrinter(cmd, session.Scheme(), output.FormatTable)
	return cmd
}

func status(ctx context.Context, s *session.Session, name string, out *output.Printer) error {
	t, err := s.Token(ctx, name)
	if err != nil {
		return err
	}
	v, err := newView(ctx, s, t)
	if err != nil {
		return err
	}
	if _, human := out.ForPeople(); human {
		installation.WarnWhenGone(ctx, s)
		err = v.write(s.Out, s.Clock.Now())
	} else {
		err = out.View(s.Out, "ApiTokenStatus", v)
	}
	if err == nil && !v.Ready {
		return exit.Silent(exit.Failed)
	}
	return err
}

// write prints the screen.
func (v *View) write(to io.Writer, now time.Time) error {
	w := printers.GetNewTabWriter(to)
	fmt.Fprintf(w, "ApiToken %s/%s: %s", v.Metadata.Namespace, v.Metadata.Name, v.State)
	if v.Reason != v.State {
		fmt.Fprintf(w, " (%s)", v.Reason)
	}
	fmt.Fprintln(w)
	v.printTrouble(w)
	v.printAccess(w)
	v.printTimes(w, now)
	v.printLedger(w, now)
	fmt.Fprintln(w, "\nNext")
	if len(v.Next) == 0 {
		fmt.Fprintln(w, "  nothing is due")
	}
	for _, step := range v.Next {
		fmt.Fprintln(w, "  "+terminal.OneLine(step))
	}
	return w.Flush()
}

func (v *View) printTrouble(w io.Writer) {
	if v.Message != "" {
		fmt.Fprintln(w, output.Indent("  ", v.Message))
	}
	if v.Do != "" {
		fmt.Fprintln(w, "  What to do: "+terminal.OneLine(v.Do))
	}
	for _, p := range v.Problems {
		fmt.Fprintf(w, "\n%s (%s)\n%s\n", p.Condition, p.Reason, output.Indent("  ", p.Message))
		fmt.Fprintln(w, "  What to do: "+terminal.OneLine(p.Do))
	}
}

func (v *View) printAccess(w io.Writer) {
	fmt.Fprintln(w, "\nAccess")
	row := func(label, value string) { fmt.Fprintf(w, "  %s\t%s\n", label, terminal.OneLine(value)) }
	if v.Description != "" {
		row("for", v.Description)
	}
	row("provider", v.Provider.Sentence())
	row("scopes", output.Join(v.Scopes))
	if len(v.Buckets) > 0 {
		row("buckets", output.Join(v.Buckets))
	}
	r := v.Restrictions
	if len(r.AllowedIPs) > 0 {
		row("only from", output.Join(r.AllowedIPs))
	}
	if len(r.DeniedIPs) > 0 {
		row("not from", output.Join(r.DeniedIPs))
	}
	if len(r.Subaccounts) > 0 {
		row("subaccounts", output.Join(r.Subaccounts))
	}
	row("Secret", v.Secret)
}

// enforcers says who ends a credential on time.
var enforcers = map[string]string{
	"Provider": "the provider ends it, even when the operator is down",
	"Operator": "the operator ends it, and must be running then",
	"Person":   "a user must delete it, and is asked to",
}

func (v *View) printTimes(w io.Writer, now time.Time) {
	fmt.Fprintln(w, "\nUntil when")
	row := func(label, value string) { fmt.Fprintf(w, "  %s\t%s\n", label, terminal.OneLine(value)) }
	active := slices.ContainsFunc(v.Credentials, func(c view.Credential) bool { return c.State == v1alpha1.StateActive })
	switch {
	case v.ExpiresAt == nil && len(v.Credentials) == 0:
		row("expires", "nothing is issued")
	case v.ExpiresAt == nil && !active:
		row("expires", "no credential is in use")
	default:
		expires := output.At(v.ExpiresAt, now)
		if by := enforcers[v.EndedBy]; by != "" && v.ExpiresAt != nil {
			expires += "; " + by
		}
		row("expires", expires)
	}
	if v.RotatesAt != nil {
		row("rotates", output.At(v.RotatesAt, now))
	}
	if v.LastGap != "" {
		row("last gap", v.LastGap+" without access at the last rotation")
	}
	if v.Deletion == v1alpha1.DeletionRetain {
		row("deletion", "Retain: the credential stays alive when the ApiToken is deleted")
	}
}

func (v *View) printLedger(w io.Writer, now time.Time) {
	fmt.Fprintln(w, "\nLedger")
	if len(v.Credentials) == 0 {
		fmt.Fprintln(w, "  empty: the operator knows of no credential")
		return
	}
	fmt.Fprintln(w, "  STATE\tKEY ID\tISSUED\tEXPIRES\tREVOKED\tBECAUSE\tNAME")
	for i := range v.Credentials {
		c := &v.Credentials[i]
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			terminal.OneLine(c.Shown()), terminal.OneLine(cmp.Or(c.ID, output.None)),
			output.Until(c.IssuedAt, now), output.Until(c.ExpiresAt, now), output.Until(c.RetireAt, now),
			terminal.OneLine(cmp.Or(c.Reason, output.None)), terminal.OneLine(c.Name))
	}
}
