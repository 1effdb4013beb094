package cli_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"apitoken.dev/operator/internal/cli"
	"apitoken.dev/operator/internal/cli/exit"
)

// A Secret and pods that the user cannot read are not shown as "missing" or "none".
func TestTreeSaysWhatItCouldNotRead(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"))
	w.allow("treeviewer", "apitoken.dev", []string{"apitokens", "tokenproviders"}, "get", "list")
	r := w.expect(w.run("tree", "one", "--as", "treeviewer"), exit.OK, "Secret/one  could not be read: you may not get secrets in namespace "+w.Ns,
		"pods: could not read: you may not list pods in namespace "+w.Ns)
	if strings.Contains(r.out, "missing") {
		t.Errorf("it says that the Secret is missing:\n%s", r.out)
	}
	view := w.decode(w.run("tree", "one", "--as", "treeviewer", "-o", "json").out)
	if secret := view["secret"].(map[string]any); secret["unread"] != true {
		t.Errorf("for programs the Secret is %v", secret)
	}
}

// The prompts of revoke and end, and import, report what they could not read.
func TestPodsThatCouldNotBeReadAreNotNone(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeOverlapping("one")
	w.createSecret("old-keys", nil)
	w.allow("owner", "apitoken.dev", []string{"apitokens", "tokenproviders"}, "get", "list", "delete", "patch")
	w.allow("owner", "", []string{"secrets"}, "get")
	const unknown = "use the Secret is unknown: you may not list pods in namespace "
	for _, args := range [][]string{{"revoke", "one"}, {"end", "one", "AKIAPREVIOUS"}, {"import", "old-keys", "--bucket", "datasets", "--provider", "TokenProvider/object-store"}} {
		r := w.run(append(args, "--as", "owner")...)
		if !strings.Contains(r.err, unknown+w.Ns) || !strings.Contains(r.err, "Ask an administrator for the right to list pods") || strings.Contains(r.err, "no pod of the namespace") {
			t.Errorf("%v says: %s", args, r.err)
		}
	}
	w.expect(w.run("revoke", "one"), exit.Refused, "no pod of the namespace uses the Secret")
}

// The API server rejects another Secret name while the ledger has an entry. Without an entry, plan says
// that the old Secret keeps its keys and is no longer updated.
func TestPlanSaysThatTheOldSecretIsNoLongerUpdated(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	token := w.makeReady(w.createToken("one"))
	file := w.writeFile("token.yaml", declared+"  secret: {name: renamed}\n")
	w.expect(w.run("plan", "-f", file), exit.Refused, "the Secret cannot change from one to renamed", "move the workloads to it")
	const note = "Secret one is no longer updated, and its keys are not replaced when they end: move its readers to Secret renamed, then delete it"
	token = w.read(token.Name)
	token.Status.Credentials = nil
	w.OK(w.Status().Update(t.Context(), token))
	w.expect(w.run("plan", "-f", file), exit.OK, note)
	w.allow("renamer", "apitoken.dev", []string{"apitokens", "tokenproviders"}, "get", "patch", "create", "list")
	w.expect(w.run("plan", "-f", file, "--as", "renamer"), exit.OK, "assumed: Secret one is as the operator left it: could not read it, because you may not get secrets")
	secret := &corev1.Secret{}
	secret.Namespace, secret.Name = w.Ns, "one"
	w.OK(w.Delete(t.Context(), secret))
	if r := w.run("plan", "-f", file); strings.Contains(r.out, "no longer updated") {
		t.Errorf("it warns of a Secret that is not there:\n%s", r.out)
	}
}

// A Secret that could not be read is assumed to exist.
func TestPlanIssuesForADeletedSecret(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"))
	secret := &corev1.Secret{}
	secret.Namespace, secret.Name = w.Ns, "one"
	w.OK(w.Delete(t.Context(), secret))
	w.expect(w.run("plan", "-f", w.writeFile("token.yaml", declared)), exit.OK, "a new credential is issued", "the Secret no longer holds the current one")
}

// end offers the keys that it can end. --provider offers providers with their kind.
func TestCompletionOffersKeysAndProviders(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.createProvider("other-store")
	w.makeOverlapping("two")
	complete := func(words ...string) string {
		var out strings.Builder
		e := w.Env
		e.In, e.Out, e.ErrOut = strings.NewReader(""), &out, &strings.Builder{}
		cli.Run(t.Context(), e, "kubectl_complete-apitoken", append([]string{"--kubeconfig", w.kubeconfig, "--cache-dir", t.TempDir(), "-n", w.Ns}, words...))
		return out.String()
	}
	for _, c := range []struct {
		want  string
		words []string
	}{
		{"AKIAPREVIOUS\tRetiring\n:4\n", []string{"end", "two", ""}},
		{":4\n", []string{"end", "two", "AKIAEX"}},
		{"two\tReady\n:4\n", []string{"end", "tw"}},
		{":4\n", []string{"end", "two", "AKIAPREVIOUS", ""}},
		{"TokenProvider/object-store\nTokenProvider/other-store\n:4\n", []string{"rotate", "--provider", "TokenProvider/"}},
		{"TokenProvider/other-store\n:4\n", []string{"import", "--provider", "TokenProvider/ot"}},
	} {
		if got := complete(c.words...); got != c.want {
			t.Errorf("%v offers %q, want %q", c.words, got, c.want)
		}
	}
}
