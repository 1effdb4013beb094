package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/terminal"
)

// evil is a text of a hostile provider: it clears the line, moves up, and forges a line.
const evil = "AK\x1b[2K\x1b[1A\rFORGED\u009b1A\u202e\x07"

// createHostileObjects creates objects with control characters in every text.
func createHostileObjects(w *world) {
	w.Helper()
	w.createProvider("object-store", func(p *v1alpha1.TokenProvider) {
		p.Status.Account = evil
		p.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, false, v1alpha1.ReasonCredentialsRejected, evil, 1)}
	})
	w.makeReady(w.createToken("one", func(t *v1alpha1.ApiToken) { t.Spec.Description = evil }), func(t *v1alpha1.ApiToken) {
		for i := range t.Status.Conditions {
			t.Status.Conditions[i].Message = evil
		}
		e := &t.Status.Credentials[0]
		e.ID, e.Account, e.Reason = evil, evil, evil
		t.Status.LastGap = evil
		t.Status.Credentials = append(t.Status.Credentials, v1alpha1.LedgerEntry{
			Name: w.credential(t.Name, 1), State: v1alpha1.StateRetiring, ID: evil + "\nLedger forged", Account: evil, ReservedAt: ago(30 * day), RetireAt: ago(day)})
	})
	w.makeStalled(w.createToken("two"), v1alpha1.ReasonScopeNotGrantable, evil)
	w.makeStalled(w.createToken("three"), v1alpha1.ReasonCreateCredential, evil)
	three := w.read("three")
	three.Status.Conditions = append(three.Status.Conditions, condition(v1alpha1.ConditionActionRequired, true, v1alpha1.ReasonCreateCredential, evil, three.Generation))
	w.OK(w.Status().Update(w.Context(), three))
}

// No text of a provider, a status or a declaration controls the terminal, in any command and format.
func TestNoCommandOfThePluginPassesCommandsToTheTerminal(t *testing.T) {
	w := newWorld(t, "").withRealClock()
	createHostileObjects(w)
	edited := w.writeFile("one.yaml", "apiVersion: apitoken.dev/v1alpha1\nkind: ApiToken\nmetadata: {name: one, namespace: "+w.Ns+"}\nspec:\n"+
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
				if at := strings.IndexFunc(text, terminal.IsCommand); at >= 0 {
					t.Errorf("%q: it writes %q", args, text[max(0, at-60):min(len(text), at+60)])
				}
				if strings.Contains(args[len(args)-1], "{") { // the user's template decides about lines
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

// JSON contains the exact value.
func TestJSONStaysExact(t *testing.T) {
	w := newWorld(t, "")
	createHostileObjects(w)
	var got v1alpha1.ApiTokenList
	w.OK(json.Unmarshal([]byte(w.expect(w.run("list", "-o", "json"), exit.OK).out), &got))
	for i := range got.Items {
		if got.Items[i].Name == "one" && got.Items[i].Status.Credentials[0].ID == evil {
			return
		}
	}
	t.Errorf("no item has the id %q: %+v", evil, got.Items)
}
