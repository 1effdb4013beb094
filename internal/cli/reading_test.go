package cli

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/provider"
)

// answers are the functions that look at errors of the API server which are not about
// what exists: each decides on an exit code, or whether a write was refused.
var answers = []string{"codeOf", "explain", "refusal", "withoutValues"}

// TestOnlyReadingDecidesWhatExists: whether an object exists is decided by package reading
// only, which tells "does not exist" from "could not be read".
func TestOnlyReadingDecidesWhatExists(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	banned := []string{"IsNotFound", "IgnoreNotFound", "IsForbidden", "ReasonForError", "HasStatusCause", "IsNoMatchError"}
	found := map[string]bool{}
	set := token.NewFileSet()
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			name := ""
			if f, ok := decl.(*ast.FuncDecl); ok {
				name = f.Name.Name
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok || !slices.Contains(banned, s.Sel.Name) {
					return true
				}
				found[name] = true
				if pass := (name == "read" || name == "otherKind") && s.Sel.Name == "IsNoMatchError"; !pass && !slices.Contains(answers, name) {
					t.Errorf("%s: %s uses %s: read with package reading", set.Position(s.Pos()), name, s.Sel.Name)
				}
				return true
			})
		}
	}
	for _, name := range answers {
		if !found[name] {
			t.Errorf("%s is an exception and needs none", name)
		}
	}
}

// TestTreeSaysWhatItCouldNotRead: a Secret and pods that the user may not read are not "missing" and not "none".
func TestTreeSaysWhatItCouldNotRead(t *testing.T) {
	w := newWorld(t, "")
	w.provider("object-store")
	w.ready(w.token("one"))
	w.allow("treeviewer", "apitoken.dev", []string{"apitokens", "tokenproviders"}, "get", "list")
	r := w.wants(w.run("tree", "one", "--as", "treeviewer"), OK, "Secret/one  could not be read: you may not get secrets in namespace "+w.ns,
		"pods: could not look: you may not list pods in namespace "+w.ns)
	if strings.Contains(r.out, "missing") {
		t.Errorf("it says that the Secret is missing:\n%s", r.out)
	}
	view := w.decode(w.run("tree", "one", "--as", "treeviewer", "-o", "json").out)
	if secret := view["secret"].(map[string]any); secret["unread"] != true {
		t.Errorf("for programs the Secret is %v", secret)
	}
}

// TestPodsThatCouldNotBeReadAreNotNone: the questions of revoke and end, and import, say what they could not look at.
func TestPodsThatCouldNotBeReadAreNotNone(t *testing.T) {
	w := newWorld(t, "")
	w.provider("object-store")
	w.overlapping("one")
	w.old("old-keys", nil)
	w.allow("owner", "apitoken.dev", []string{"apitokens", "tokenproviders"}, "get", "list", "delete", "patch")
	w.allow("owner", "", []string{"secrets"}, "get")
	const unknown = "use the Secret is not known: you may not list pods in namespace "
	for _, args := range [][]string{{"revoke", "one"}, {"end", "one", "AKIAPREVIOUS"}, {"import", "old-keys", "--bucket", "datasets", "--provider", "TokenProvider/object-store"}} {
		r := w.run(append(args, "--as", "owner")...)
		if !strings.Contains(r.err, unknown+w.ns) || !strings.Contains(r.err, "Ask an administrator for the right to list pods") || strings.Contains(r.err, "no pod of the namespace") {
			t.Errorf("%v says: %s", args, r.err)
		}
	}
	w.wants(w.run("revoke", "one"), Refused, "no pod of the namespace uses the Secret")
}

// TestPlanOfAnotherSecretName: the API server refuses it while a credential is listed. Without
// one, plan says that the Secret of the old name keeps its keys and is no longer written.
func TestPlanOfAnotherSecretName(t *testing.T) {
	w := newWorld(t, "")
	w.provider("object-store")
	token := w.ready(w.token("one"))
	file := w.writeFile("token.yaml", declared+"  secret: {name: renamed}\n")
	w.wants(w.run("plan", "-f", file), Refused, "the Secret cannot change from one to renamed", "move the workloads to it")
	const note = "Secret one is no longer written, and none of its keys is replaced when it ends: let what reads it use Secret renamed, then delete it"
	token = w.reads(token.Name)
	token.Status.Credentials = nil
	w.ok(w.Status().Update(t.Context(), token))
	w.wants(w.run("plan", "-f", file), OK, note)
	w.allow("renamer", "apitoken.dev", []string{"apitokens", "tokenproviders"}, "get", "patch", "create", "list")
	w.wants(w.run("plan", "-f", file, "--as", "renamer"), OK, "assumed: Secret one is as the operator left it: could not look, because you may not get secrets")
	secret := &corev1.Secret{}
	secret.Namespace, secret.Name = w.ns, "one"
	w.ok(w.Delete(t.Context(), secret))
	if r := w.run("plan", "-f", file); strings.Contains(r.out, "no longer written") {
		t.Errorf("it warns of a Secret that is not there:\n%s", r.out)
	}
}

// TestPlanOfADeletedSecret: a Secret that is not there leads to a new credential; one that could not be read is assumed to be there.
func TestPlanOfADeletedSecret(t *testing.T) {
	w := newWorld(t, "")
	w.provider("object-store")
	w.ready(w.token("one"))
	secret := &corev1.Secret{}
	secret.Namespace, secret.Name = w.ns, "one"
	w.ok(w.Delete(t.Context(), secret))
	w.wants(w.run("plan", "-f", w.writeFile("token.yaml", declared)), OK, "a new credential is issued", "the Secret no longer holds the current one")
}

// TestCompletionOfKeysAndProviders: end offers the keys that can be ended, and --provider the providers with their kind.
func TestCompletionOfKeysAndProviders(t *testing.T) {
	w := newWorld(t, "")
	w.provider("object-store")
	w.provider("other-store")
	w.overlapping("two")
	complete := func(words ...string) string {
		var out strings.Builder
		e := w.env
		e.In, e.Out, e.ErrOut = strings.NewReader(""), &out, &strings.Builder{}
		Run(t.Context(), e, "kubectl_complete-apitoken", append([]string{"--kubeconfig", w.kubeconfig, "--cache-dir", t.TempDir(), "-n", w.ns}, words...))
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

// TestPlanSaysThatItSawNoOtherNamespace: ApiTokens that the user may not list are not taken to be none without a word.
func TestPlanSaysThatItSawNoOtherNamespace(t *testing.T) {
	w := newWorld(t, "")
	mine := w.token("one", func(t *v1alpha1.ApiToken) {
		t.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.KindClusterTokenProvider, Name: "shared"}
	})
	few := &account.Facts{Capabilities: provider.Capabilities{MaxLive: 1}}
	for name, c := range map[string]struct {
		wrap func(client.Client) client.Client
		want []string
	}{
		"may list all": {func(c client.Client) client.Client { return c }, nil},
		"may list some": {func(c client.Client) client.Client { return oneNamespace{c} }, []string{
			"you may not list clustertokenproviders.apitoken.dev", "you may not list apitokens.apitoken.dev",
		}},
	} {
		p, out := &planner{session: w.session()}, &planned{}
		p.client = c.wrap(p.client)
		from := p.sources(&situation{token: mine}, publishedMeta{}, out)
		_, err := (&observe.Sources{Objects: from, Providers: from, Memory: memory.New(), Clock: w.env.Clock}).Shared(t.Context(), mine, few)
		w.ok(err)
		from.note(&observe.Evidence{Key: account.KeyFor(mine), Facts: *few})
		if len(out.Notes) != len(c.want) {
			t.Errorf("%s: the notes are %q, want %d", name, out.Notes, len(c.want))
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(out.Notes[i], "could not look, because "+want) {
				t.Errorf("%s: note %q does not say %q", name, out.Notes[i], want)
			}
		}
	}
}

// oneNamespace refuses to list all namespaces.
type oneNamespace struct{ client.Client }

// List implements client.Reader.
func (c oneNamespace) List(ctx context.Context, l client.ObjectList, opts ...client.ListOption) error {
	if o := (&client.ListOptions{}).ApplyOptions(opts); o.Namespace == "" {
		return apierrors.NewForbidden(schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "apitokens"}, "", errors.New("no"))
	}
	return c.Client.List(ctx, l, opts...)
}
