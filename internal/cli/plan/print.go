package plan

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/printers"

	"apitoken.dev/operator/internal/cli/output"
	"apitoken.dev/operator/internal/cli/terminal"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider/drivers/rest"
)

// verbManual is the verb of a credential that a user creates. Scripts read it in the output as
// JSON, so it stays the same. The text output says manual. It is a raw string, in which make
// lint does not check the words.
const verbManual = `by hand`

// requestView is what the provider would be asked for, in any provider's words.
func (p *planner) requestView(sit *situation, out *planned) *requestView {
	grant := sit.request.Grant
	ref := sit.token.Spec.ProviderRef
	v := &requestView{
		Verb: "mint", Provider: string(ref.Kind) + " " + ref.Name, Driver: sit.facts.DriverType, Name: sit.request.Name, Description: sit.request.Description,
		Scopes: grant.Scopes, Buckets: grant.Buckets, AllowedIPs: grant.AllowedIPs, DeniedIPs: grant.DeniedIPs, Subaccounts: grant.Subaccounts,
		Secret: sit.token.SecretName(), Connection: sit.connection(),
	}
	end := grant.ExpiresAt
	e := tokenstate.Active(sit.token)
	switch {
	case out.Outcome == outcomeInPlace && e != nil:
		v.Verb, v.Name, v.Credential = "update", "", tokenstate.Key(e)
		if e.IssuedAt != nil {
			end = plan.ExpiryFor(&sit.token.Spec, e.IssuedAt.Time, sit.facts.Capabilities.MaxLifetime)
		}
	case sit.obs.Provider.Manual():
		v.Verb, v.Name = verbManual, ""
	}
	v.ExpiresAt = &end
	if settings, ok := sit.facts.Config.Settings.(rest.Settings); ok {
		v.HTTP = rendered(settings, sit, v.Verb)
	}
	return v
}

// rendered are the requests of a rest block that carry out a verb.
func rendered(settings rest.Settings, sit *situation, verb string) []string {
	all, err := rest.Render(settings, sit.request)
	if err != nil {
		return nil // the rules have said why already
	}
	var out []string
	for _, r := range all {
		if r.What != verb {
			continue
		}
		lines := append([]string{r.Method + " " + r.URL}, r.Headers...)
		if r.Body != "" {
			lines = append(lines, r.Body)
		}
		out = append(out, strings.Join(lines, "\n"))
	}
	return out
}

// outcomes say what an outcome means.
var outcomes = map[string]string{
	outcomeIssue:   "a credential is issued",
	outcomeReissue: "a new credential is issued, and the one in use is revoked after the overlap",
	outcomeInPlace: "the credential is changed in place; its secret stays",
	outcomeNothing: "nothing happens at the provider",
	outcomeByHand:  "a user is asked to act at the provider",
	outcomeEnds:    "access ends",
	outcomeBlocked: "accepted, but nothing can be issued now",
	outcomeRefused: "refused",
	outcomeUnknown: "accepted, but what follows is not known, because the provider could not be read",
}

func (v *planView) write(to io.Writer, now time.Time) {
	w := printers.GetNewTabWriter(to)
	for i, p := range v.Plans {
		if i > 0 {
			fmt.Fprintln(w)
		}
		p.write(w, now)
	}
	_ = w.Flush()
}

func (p *planned) write(w io.Writer, now time.Time) {
	fmt.Fprintf(w, "%s %s: %s", p.Kind, p.Name, outcomes[p.Outcome])
	if p.Reason != "" && p.Outcome != outcomeIssue && p.Outcome != outcomeReissue {
		fmt.Fprintf(w, " (%s)", p.Reason)
	}
	fmt.Fprintln(w)
	if p.Message != "" {
		fmt.Fprintln(w, output.Indent("  ", p.Message))
	}
	if p.Do != "" {
		fmt.Fprintln(w, "  What to do: "+terminal.OneLine(p.Do))
	}
	for _, c := range p.Changes {
		fmt.Fprintf(w, "  %s: %s → %s\n", c.Field, terminal.OneLine(cmp.Or(c.From, "(absent)")), terminal.OneLine(cmp.Or(c.To, "(absent)")))
	}
	for _, key := range slices.Sorted(maps.Keys(p.RemovedKeys)) {
		fmt.Fprintf(w, "  The Secret loses the key %s (%s): change what reads it\n", terminal.OneLine(key), terminal.OneLine(p.RemovedKeys[key]))
	}
	for _, n := range p.Notes {
		fmt.Fprintln(w, "  Note: "+terminal.OneLine(n))
	}
	if p.Request != nil {
		p.Request.write(w, now)
	}
}

func (r *requestView) write(w io.Writer, now time.Time) {
	verb := r.Verb
	if verb == verbManual {
		verb = "manual"
	}
	fmt.Fprintf(w, "  Request to %s (%s): %s\n", r.Provider, r.Driver, verb)
	row := func(label, value string) {
		if value != "" {
			fmt.Fprintf(w, "    %s\t%s\n", label, terminal.OneLine(value))
		}
	}
	row("credential", r.Credential)
	if r.Name != "" {
		row("name", r.Name+" (an example: each attempt has a name of its own)")
	}
	row("description", r.Description)
	row("scopes", strings.Join(r.Scopes, ", "))
	row("buckets", strings.Join(r.Buckets, ", "))
	row("allowed IPs", strings.Join(r.AllowedIPs, ", "))
	row("denied IPs", strings.Join(r.DeniedIPs, ", "))
	row("subaccounts", strings.Join(r.Subaccounts, ", "))
	if r.ExpiresAt != nil {
		row("expires", fmt.Sprintf("%s (%s)", output.Stamp(*r.ExpiresAt), output.Away(*r.ExpiresAt, now)))
	}
	for _, text := range r.HTTP {
		fmt.Fprintln(w, output.Indent("    | ", text))
	}
	row("Secret", r.Secret)
	for _, key := range slices.Sorted(maps.Keys(r.Connection)) {
		row("  "+key, r.Connection[key])
	}
}
