package cli_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/exit"
)

// execution is a program that env would start.
type execution struct {
	path          string
	argv, environ []string
}

func TestEnvRunsACommandWithTheCredential(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"))
	var ran *execution
	w.Env.Environ = []string{"HOME=/home/a", "AWS_SESSION_TOKEN=mine", "AWS_ACCESS_KEY_ID=mine", "AWS_PROFILE=mine", "AWS_ENDPOINT_URL=mine"}
	w.Env.Exec = func(path string, argv, environ []string) error {
		ran = &execution{path, argv, environ}
		return nil
	}
	w.expect(w.run("env", "one", "--", "sh", "-c", "true", "--print"), exit.OK, "does not document them (--all uses them): not-a-variable")
	if ran == nil {
		t.Fatal("nothing was started")
	}
	if diff := cmp.Diff([]string{"sh", "-c", "true", "--print"}, ran.argv); diff != "" || !strings.HasSuffix(ran.path, "/sh") {
		t.Errorf("it starts %s %s", ran.path, diff)
	}
	want := []string{
		"HOME=/home/a", "AWS_ACCESS_KEY_ID=AKIAEXAMPLE2", "AWS_DEFAULT_REGION=eu-1", "AWS_ENDPOINT_URL=https://s3.example.com",
		"AWS_ENDPOINT_URL_S3=https://s3.example.com", "AWS_REGION=eu-1", "AWS_SECRET_ACCESS_KEY=" + canary, "BUCKET_NAME=datasets",
	}
	if diff := cmp.Diff(want, ran.environ); diff != "" {
		t.Errorf("the environment (-want +got):\n%s", diff)
	}
	w.expect(w.run("env", "one", "--", "no-such-command-here"), exit.NoCommand, `"no-such-command-here"`)

	w.expect(w.run("env", "one", "--all", "--", "sh"), exit.OK, "warning: left out, because they cannot be environment variables: not-a-variable")

	w.reveals = true
	r := w.expect(w.run("env", "one", "--print"), exit.OK)
	var shown strings.Builder
	for _, entry := range want[1:] {
		key, value, _ := strings.Cut(entry, "=")
		shown.WriteString("export " + key + "='" + value + "'\n")
	}
	if diff := cmp.Diff(shown.String(), r.out); diff != "" {
		t.Error(diff)
	}
	w.reveals = false
	w.createToken("two")
	w.expect(w.run("env", "two", "--", "sh"), exit.NotFound, `there is no Secret "two" yet (NotObserved)`)
	w.OK(w.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, Name: "two"}, Data: map[string][]byte{"A": []byte(canary)}}))
	w.expect(w.run("env", "two", "--", "sh"), exit.Refused, "does not belong to ApiToken")
	if w.run("env", "two", "--print").code != exit.Refused {
		t.Error("a Secret of another owner is printed")
	}
}

func TestEnvQuotesForTheShell(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"))
	secret := &corev1.Secret{}
	w.OK(w.Get(t.Context(), client.ObjectKey{Namespace: w.Ns, Name: "one"}, secret))
	secret.Data = map[string][]byte{"ODD": []byte("it's $HOME `x`\nand more")}
	w.OK(w.Update(t.Context(), secret))
	if got := w.run("env", "one", "--print", "--all").out; got != "export ODD='it'\\''s $HOME `x`\nand more'\n" {
		t.Errorf("it prints %q", got)
	}
}

// Anyone who can write the Secret can add keys. Undocumented keys need a flag. Keys that make programs
// run code are never used.
func TestEnvUsesDocumentedKeysOnly(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"))
	secret := &corev1.Secret{}
	w.OK(w.Get(t.Context(), client.ObjectKey{Namespace: w.Ns, Name: "one"}, secret))
	secret.Data["EXTRA"] = []byte("extra")
	never := []string{"BASH_ENV", "HTTPS_PROXY", "KUBECONFIG", "LD_PRELOAD", "PATH", "PROMPT_COMMAND", "http_proxy"}
	for _, key := range never {
		secret.Data[key] = []byte("/tmp/owned")
	}
	w.OK(w.Update(t.Context(), secret))
	var ran *execution
	w.Env.Environ = []string{"PATH=/bin"}
	w.Env.Exec = func(path string, argv, environ []string) error {
		ran = &execution{path, argv, environ}
		return nil
	}
	for _, c := range []struct {
		args []string
		want bool
		says string
	}{
		{[]string{"env", "one", "--", "sh"}, false, "does not document them (--all uses them): EXTRA"},
		{[]string{"env", "one", "--all", "--", "sh"}, true, "their names change how programs run: " + strings.Join(never, ", ")},
	} {
		w.expect(w.run(c.args...), exit.OK, c.says)
		if got := slices.Contains(ran.environ, "EXTRA=extra"); got != c.want {
			t.Errorf("%v: EXTRA is handed on: %t", c.args, got)
		}
		if !slices.Contains(ran.environ, "PATH=/bin") || strings.Contains(strings.Join(ran.environ, "\n"), "owned") {
			t.Errorf("%v: the environment is %q", c.args, ran.environ)
		}
	}
	w.reveals = true
	if r := w.run("env", "one", "--print", "--all"); strings.Contains(r.out, "owned") {
		t.Errorf("it prints %q", r.out)
	}
	w.reveals = false

	orphan := w.createToken("orphan", func(t *v1alpha1.ApiToken) { t.Spec.ProviderRef.Name = "gone" })
	w.makeReady(orphan)
	w.expect(w.run("env", "orphan", "--", "sh"), exit.Refused, `TokenProvider "gone" does not exist`, "--all")
	w.expect(w.run("env", "orphan", "--all", "--", "sh"), exit.OK)

	// A RoleBinding cannot grant access to a ClusterTokenProvider.
	shared := w.createToken("shared", func(t *v1alpha1.ApiToken) {
		t.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.KindClusterTokenProvider, Name: "object-store"}
	})
	w.makeReady(shared)
	w.allow("dev", "apitoken.dev", []string{"apitokens"}, "get")
	w.allow("dev", "", []string{"secrets"}, "get")
	w.expect(w.run("env", "shared", "--as", "dev", "--", "sh"), exit.Refused, "could not be read, because you may not get clustertokenproviders.apitoken.dev", "apitoken-operator-clustertokenprovider-viewer", "--all")
	w.expect(w.run("doctor", "--as", "dev", "--operator-namespace", w.Ns), exit.OK, "you may not get clustertokenproviders")
}
