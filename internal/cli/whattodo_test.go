package cli_test

import (
	"slices"
	"strings"
	"testing"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/hint"
)

// imperatives are the first words of actions.
var imperatives = strings.Fields("Ask Change Check Compare Correct Create Declare Delete Do Edit Enable Find Fix Install Label Look Lower Make Name Put Raise " +
	"Remove Resume Revoke Rotate Run See Set Settle Start Stop Undo Use Wait Wait: Write If")

func isAction(do string) bool {
	first, _, _ := strings.Cut(do, " ")
	return slices.Contains(imperatives, strings.TrimRight(first, ","))
}

// The action starts with an imperative, and differs from the explanation of the reason.
func TestEveryReasonHasAnAction(t *testing.T) {
	for reason, help := range v1alpha1.ReasonHelp {
		if do := hint.Actions[reason]; do == help || !isAction(do) {
			t.Errorf("what to do about %s is %q", reason, do)
		}
	}
	for reason := range hint.Actions {
		if v1alpha1.ReasonHelp[reason] == "" {
			t.Errorf("there is an action for %s, which is no reason", reason)
		}
	}
	if do := hint.ActionFor("OfANewerOperator"); !isAction(do) {
		t.Errorf("what to do about an unknown reason is %q", do)
	}
}

// No advice of doctor, status or plan is empty or repeats the message.
func TestNoWhatToDoRepeatsTheMessage(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	for reason := range v1alpha1.ReasonHelp {
		name := strings.ToLower(reason)
		w.makeStalled(w.createToken(name), reason, v1alpha1.ReasonHelp[reason])
		view := w.decode(w.run("status", name, "-o", "json").out)
		if do, _ := view["whatToDo"].(string); !isAction(do) || do == view["message"] {
			t.Errorf("status of %s says to do %q", reason, do)
		}
	}
	found := w.decode(w.run("doctor", "--operator-namespace", w.Ns, "-o", "json").out)["findings"].([]any)
	said := 0
	for _, f := range found {
		f := f.(map[string]any)
		do, _ := f["whatToDo"].(string)
		switch {
		case f["result"] == "ok" && do != "":
			t.Errorf("%v is ok, and there is something to do: %q", f["check"], do)
		case f["result"] == "ok":
		case !isAction(do) || strings.Contains(f["message"].(string), do):
			t.Errorf("%v: %v\nwhat to do is %q", f["check"], f["message"], do)
		default:
			said++
		}
	}
	if said < len(v1alpha1.ReasonHelp) {
		t.Errorf("doctor has %d findings with something to do", said)
	}
}
