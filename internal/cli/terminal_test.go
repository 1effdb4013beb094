package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

func TestTerminalEscapes(t *testing.T) {
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
				w := Terminal(&out)
				for rest := c.text; rest != ""; {
					n := min(size, len(rest))
					if _, err := io.WriteString(w, rest[:n]); err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				endText(w)
				if diff := cmp.Diff(c.want, out.String()); diff != "" {
					t.Errorf("in pieces of %d (-want +got):\n%s", size, diff)
				}
			}
		})
	}
}

func TestTerminalIsNotWrappedTwice(t *testing.T) {
	w := Terminal(io.Discard)
	if Terminal(w) != w {
		t.Error("a second writer was made, which would hold back the beginning of a character on its own")
	}
}

// evil is what a hostile provider answers: it clears the line, goes up, and forges a line of its own.
const evil = "AK\x1b[2K\x1b[1A\rFORGED\u009b1A\u202e\x07"

// haunted fills a namespace with objects whose every text is evil.
func haunted(w *world) {
	w.Helper()
	w.provider("object-store", func(p *v1alpha1.TokenProvider) {
		p.Status.Account = evil
		p.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, false, v1alpha1.ReasonCredentialsRejected, evil, 1)}
	})
	w.ready(w.token("one", func(t *v1alpha1.ApiToken) { t.Spec.Description = evil }), func(t *v1alpha1.ApiToken) {
		for i := range t.Status.Conditions {
			t.Status.Conditions[i].Message = evil
		}
		e := &t.Status.Credentials[0]
		e.ID, e.Account, e.Reason = evil, evil, evil
		t.Status.LastGap = evil
		t.Status.Credentials = append(t.Status.Credentials, v1alpha1.LedgerEntry{
			Name: w.credential(t.Name, 1), State: v1alpha1.StateRetiring, ID: evil + "\nLedger forged", Account: evil, ReservedAt: ago(30 * day), RetireAt: ago(day)})
	})
	w.stalled(w.token("two"), v1alpha1.ReasonScopeNotGrantable, evil)
	w.stalled(w.token("three"), v1alpha1.ReasonCreateCredential, evil)
	three := w.reads("three")
	three.Status.Conditions = append(three.Status.Conditions, condition(v1alpha1.ConditionActionRequired, true, v1alpha1.ReasonCreateCredential, evil, three.Generation))
	w.ok(w.Status().Update(w.Context(), three))
}

// Nothing that a provider, a status or a declaration says reaches the terminal as a command, whatever the plugin is asked for.
func TestNoCommandOfThePluginPassesCommandsToTheTerminal(t *testing.T) {
	w := newWorld(t, "").waits()
	haunted(w)
	edited := w.writeFile("one.yaml", "apiVersion: apitoken.dev/v1alpha1\nkind: ApiToken\nmetadata: {name: one, namespace: "+w.ns+"}\nspec:\n"+
		"  providerRef: {name: object-store}\n  description: "+`"\e[2K\r"`+"\n  scopes: [\"objectstorage:object-read-only\"]\n  buckets: [other]\n")
	for _, args := range [][]string{
		{"list"}, {"list", "-A", "-o", "wide"}, {"list", "-o", "json"}, {"list", "-o", "yaml"}, {"list", "-o", "name"},
		{"list", "-o", "jsonpath={.items[*].status.credentials[*].id}"}, {"list", "-o", "go-template={{range .items}}{{.spec.description}}{{end}}"},
		{"status", "one"}, {"status", "two"}, {"status", "one", "-o", "json"}, {"status", "one", "-o", "yaml"}, {"status", evil},
		{"tree", "one"}, {"tree", "one", "-o", "json"}, {"plan", "one"}, {"plan", "-f", edited}, {"plan", "-f", edited, "-o", "yaml"},
		{"rotate", "one", "--until-revoked", "--timeout=20ms"}, {"rotate", evil}, {"handover", "two"}, {"handover", "three"},
		{"suspend", "one"}, {"resume", "one"}, {"doctor", "-A"}, {"doctor", "-o", "json"}, {"env", "one", "--print"}, {"env", evil, "--print"},
		{"import", evil}, {evil}, {"list", "--" + evil}, {"__complete", "status", ""}, {"revoke", "one"}, {"revoke", "one", "--yes", "--timeout=20ms"},
	} {
		t.Run(args[0], func(t *testing.T) {
			w := w.in(t)
			w.reveals = args[0] == "env"
			r := w.run(args...)
			for _, text := range []string{r.out, r.err} {
				if at := strings.IndexFunc(text, commands); at >= 0 {
					t.Errorf("%q: it writes %q", args, text[max(0, at-60):min(len(text), at+60)])
				}
				if strings.Contains(args[len(args)-1], "{") { // a template of the user's own decides about lines
					continue
				}
				for line := range strings.Lines(text) {
					if strings.HasPrefix(strings.TrimSpace(line), "Ledger forged") {
						t.Errorf("%q: an id makes a line of its own: %q", args, text)
					}
				}
			}
		})
	}
}

// A program that reads JSON gets the exact value.
func TestJSONStaysExact(t *testing.T) {
	w := newWorld(t, "")
	haunted(w)
	var got v1alpha1.ApiTokenList
	w.ok(json.Unmarshal([]byte(w.wants(w.run("list", "-o", "json"), OK).out), &got))
	for i := range got.Items {
		if got.Items[i].Name == "one" && got.Items[i].Status.Credentials[0].ID == evil {
			return
		}
	}
	t.Errorf("no item has the id %q: %+v", evil, got.Items)
}

// A shell reads back exactly what --print shows.
func TestShellReadsPrintedValuesBack(t *testing.T) {
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal("this test needs bash, as the Makefile does")
	}
	for _, value := range []string{"AK\x1b[2K\x1b[1A\rFORGED\u009b1A\u202e\x07", "plain", "it's $HOME `x` \\ \"", "two\nlines", "\xff\x9b", "a'\\\x1b'", "\x01" + "7", "Größe\u202e"} {
		out, err := exec.CommandContext(t.Context(), shell, "-c", "export V="+quoted(value)+"\nprintf %s \"$V\"").Output()
		if err != nil || string(out) != value {
			t.Errorf("%q is read back as %q: %v", value, out, err)
		}
		if strings.ContainsFunc(quoted(value), commands) {
			t.Errorf("%q is shown as %q", value, quoted(value))
		}
	}
}
