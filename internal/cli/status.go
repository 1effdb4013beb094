package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/printers"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/provider/registry"
)

func (a *app) statusCommand() *cobra.Command {
	var out *output
	cmd := &cobra.Command{
		Use:               "status NAME",
		Short:             "Show one ApiToken on one screen: what, where, until when, what happens next, and what is wrong",
		Long:              "Shows one ApiToken on one screen. The exit code is 0 when it is ready, and 1 when it is not.",
		Args:              positional(1, "status NAME: name one ApiToken"),
		ValidArgsFunction: completeTokens(a),
		RunE: a.run(func(ctx context.Context, s *session, args []string) error {
			return s.status(ctx, args[0], out)
		}, func() error { return out.check() }),
	}
	out = newOutput(cmd, scheme(), formatTable)
	return cmd
}

func (s *session) status(ctx context.Context, name string, out *output) error {
	t, err := s.token(ctx, name)
	if err != nil {
		return err
	}
	v, err := s.tokenView(ctx, t)
	if err != nil {
		return err
	}
	if _, human := out.forPeople(); human {
		s.warnOperatorGone(ctx)
		err = v.write(s.Out, s.Clock.Now())
	} else {
		err = out.view(s.Out, "ApiTokenStatus", v)
	}
	if err == nil && !v.Ready {
		return quietly(Failed)
	}
	return err
}

// driverOf is the type of the driver that serves a provider; empty: there is none.
func (a *app) driverOf(o account.Object) string {
	driver, _, err := a.Registry.Resolve(registry.Spec{ProviderSpec: o.Spec})
	if err != nil {
		return ""
	}
	return driver.Type()
}

// write prints the screen.
func (v *tokenView) write(to io.Writer, now time.Time) error {
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
		fmt.Fprintln(w, "  "+oneLine(step))
	}
	return w.Flush()
}

func (v *tokenView) printTrouble(w io.Writer) {
	if v.Message != "" {
		fmt.Fprintln(w, indent("  ", v.Message))
	}
	if v.Do != "" {
		fmt.Fprintln(w, "  What to do: "+oneLine(v.Do))
	}
	for _, p := range v.Problems {
		fmt.Fprintf(w, "\n%s (%s)\n%s\n", p.Condition, p.Reason, indent("  ", p.Message))
		fmt.Fprintln(w, "  What to do: "+oneLine(p.Do))
	}
}

func (v *tokenView) printAccess(w io.Writer) {
	fmt.Fprintln(w, "\nAccess")
	row := func(label, value string) { fmt.Fprintf(w, "  %s\t%s\n", label, oneLine(value)) }
	if v.Description != "" {
		row("for", v.Description)
	}
	row("provider", v.Provider.sentence())
	row("scopes", join(v.Scopes))
	if len(v.Buckets) > 0 {
		row("buckets", join(v.Buckets))
	}
	r := v.Restrictions
	if len(r.AllowedIPs) > 0 {
		row("only from", join(r.AllowedIPs))
	}
	if len(r.DeniedIPs) > 0 {
		row("not from", join(r.DeniedIPs))
	}
	if len(r.Subaccounts) > 0 {
		row("subaccounts", join(r.Subaccounts))
	}
	row("Secret", v.Secret)
}

func (p *providerView) sentence() string {
	parts := []string{string(p.Kind) + " " + p.Name}
	if p.Driver != "" {
		parts = append(parts, p.Driver)
	}
	if p.Account != "" {
		parts = append(parts, "account "+p.Account)
	}
	switch {
	case p.Ready == "True":
		parts = append(parts, "ready")
	case p.Reason != "":
		parts = append(parts, "not ready: "+p.Reason)
	case p.Message != "":
		parts = append(parts, p.Message)
	default:
		parts = append(parts, "not checked yet")
	}
	return strings.Join(parts, ", ")
}

// enforcers says who ends a credential on time.
var enforcers = map[string]string{
	"Provider": "the provider ends it, also when the operator is down",
	"Operator": "the operator ends it: it has to run then",
	"Person":   "a person has to delete it, and is asked to",
}

func (v *tokenView) printTimes(w io.Writer, now time.Time) {
	fmt.Fprintln(w, "\nUntil when")
	row := func(label, value string) { fmt.Fprintf(w, "  %s\t%s\n", label, oneLine(value)) }
	if v.ExpiresAt == nil && len(v.Credentials) == 0 {
		row("expires", "nothing is issued")
	} else {
		expires := at(v.ExpiresAt, now)
		if by := enforcers[v.EndedBy]; by != "" && v.ExpiresAt != nil {
			expires += "; " + by
		}
		row("expires", expires)
	}
	if v.RotatesAt != nil {
		row("rotates", at(v.RotatesAt, now))
	}
	if v.LastGap != "" {
		row("last gap", v.LastGap+" without access at the last rotation")
	}
	if v.Deletion == v1alpha1.DeletionRetain {
		row("deletion", "Retain: the credential stays alive when the ApiToken is deleted")
	}
}

func (v *tokenView) printLedger(w io.Writer, now time.Time) {
	fmt.Fprintln(w, "\nLedger")
	if len(v.Credentials) == 0 {
		fmt.Fprintln(w, "  empty: the operator knows of no credential")
		return
	}
	fmt.Fprintln(w, "  STATE\tKEY ID\tISSUED\tEXPIRES\tREVOKED\tBECAUSE\tNAME")
	for i := range v.Credentials {
		c := &v.Credentials[i]
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			oneLine(c.shown()), oneLine(cmp.Or(c.ID, none)), until(c.IssuedAt, now), until(c.ExpiresAt, now), until(c.RetireAt, now),
			oneLine(cmp.Or(c.Reason, none)), oneLine(c.Name))
	}
}
