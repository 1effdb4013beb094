package cli_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/session"
)

// kubectlFlags are the flags of kubectl that hints use, by command.
var kubectlFlags = map[string]string{
	"cluster-info": "", "describe": "-l", "get": "-l -A", "logs": "", "patch": "--type -p", "apply": "--server-side -k -f", "delete": "",
	"create": "--clusterrole --group",
}

// kubectlGlobals are kubectl's global flags. Each takes a value.
const kubectlGlobals = "-n --kubeconfig --context --cluster --user --server --as --as-group"

// expectParsable fails unless the shell and the named program can parse a command line.
func (w *world) expectParsable(line string) {
	w.Helper()
	out, err := exec.CommandContext(w.Context(), "bash", "-c", `printf '%s\0' `+line).Output()
	w.OK(err)
	words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(words) < 2 || words[0] != "kubectl" {
		w.Errorf("no command: %q", line)
		return
	}
	if words[1] != "apitoken" {
		allowed, known := kubectlFlags[words[1]]
		if !known {
			w.Errorf("%q: this test does not know kubectl %s", line, words[1])
		}
		for _, word := range words[2:] {
			flag, _, _ := strings.Cut(word, "=")
			if strings.HasPrefix(flag, "-") && !strings.Contains(" "+allowed+" "+kubectlGlobals+" ", " "+flag+" ") {
				w.Errorf("%q: kubectl %s has no flag %s, as far as this test knows", line, words[1], flag)
			}
		}
		return
	}
	cmd, rest, err := cli.New(session.Env{IOStreams: genericiooptions.NewTestIOStreamsDiscard()}).Find(words[2:])
	w.OK(err)
	if !cmd.HasParent() {
		w.Errorf("%q: there is no such command", line)
		return
	}
	if err := cmd.ParseFlags(rest); err != nil {
		w.Errorf("%q: %v", line, err)
		return
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		w.Errorf("%q: %v", line, err)
	}
	if cmd.Flags().NArg() > 0 && cmd.Flag("namespace").Value.String() == "" {
		w.Errorf("%q names an object and no namespace", line)
	}
}

// hintsIn returns the commands at the ends of lines.
func hintsIn(output string) []string {
	var out []string
	for line := range strings.Lines(output) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") { // a comment in the manifest of import
			continue
		}
		if at := strings.Index(line, ": kubectl "); at >= 0 {
			out = append(out, strings.TrimSpace(line[at+2:]))
		}
	}
	return out
}

// A printed command names the namespace, and its flags exist.
func TestHintsCanBePasted(t *testing.T) {
	w := newWorld(t, "").withRealClock()
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"), func(t *v1alpha1.ApiToken) { t.Status.ExpiresAt = w.fromNow(time.Hour) })
	w.makeReady(w.createToken("retain", func(t *v1alpha1.ApiToken) { t.Spec.DeletionPolicy = v1alpha1.DeletionRetain }))
	w.makeReady(w.createToken("late"), func(t *v1alpha1.ApiToken) {
		t.Status.RotatesAt, t.Status.ExpiresAt = w.fromNow(-2*time.Hour), w.fromNow(day)
	})
	w.createToken("unseen")
	w.makeStalled(w.createToken("hand"), v1alpha1.ReasonActionRequired, "make a credential")
	seen := map[string]bool{}
	for _, args := range [][]string{
		{"status", "none"}, {"status", "unseen"}, {"status", "hand"}, {"suspend", "one"}, {"rotate", "one"}, {"status", "one"}, {"revoke", "retain"},
		{"rotate", "late", "--wait", "--timeout=20ms"}, {"rotate", "hand", "--wait", "--timeout=20ms"}, {"handover", "one"}, {"env", "unseen", "--", "sh"},
		{"doctor"}, {"doctor", "--operator-namespace", w.Ns}, {"doctor", "--as", "stranger"}, {"list", "--as", "stranger"}, {"env", "one", "--as", "stranger", "--", "sh"},
	} {
		r := w.run(args...)
		for _, hint := range hintsIn(r.out + r.err) {
			w.expectParsable(hint)
			words := strings.Fields(hint)
			seen[strings.Join(words[:3], " ")] = true
			if !strings.Contains(hint, "create clusterrolebinding") && !strings.Contains(hint, "--kubeconfig "+w.kubeconfig) {
				t.Errorf("%q is for another cluster than %v", hint, args)
			}
		}
	}
	for _, want := range []string{"kubectl apitoken list", "kubectl apitoken status", "kubectl apitoken resume", "kubectl apitoken handover", "kubectl apitoken doctor", "kubectl patch apitoken"} {
		if !seen[want] {
			t.Errorf("no output had %q: %v", want, seen)
		}
	}
}

// If a right is missing in the namespace of -n, the hint runs doctor in that namespace.
func TestDoctorIsHintedForTheNamespaceOfTheCommand(t *testing.T) {
	w := newWorld(t, "")
	w.expect(w.run("list", "--as", "stranger", "-n", "elsewhere"), exit.Refused, "kubectl apitoken doctor -n elsewhere ")
}
