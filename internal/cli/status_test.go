package cli_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"apitoken.dev/operator/test/support/clitest"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli"
	"apitoken.dev/operator/internal/cli/exit"
)

// createFleet creates a Ready, an expiring and a Stalled ApiToken, and pods that use their Secrets.
func createFleet(w *world) {
	w.Helper()
	w.createProvider("object-store")
	w.makeReady(w.createToken("training-data", func(t *v1alpha1.ApiToken) {
		t.Spec.Description = "nightly training"
		t.Spec.Restrictions.AllowedIPs = []v1alpha1.IPRange{"203.0.113.0/24"}
	}), func(t *v1alpha1.ApiToken) {
		t.Status.Credentials = slices.Insert(t.Status.Credentials, 0, v1alpha1.LedgerEntry{ // the operator appends new ones
			Name: w.credential(t.Name, 1), State: v1alpha1.StateRetiring, ID: "AKIAEXAMPLE1", Account: "123456789012", Reason: "Initial",
			IssuedAt: ago(30 * day), ExpiresAt: after(60 * day), RetireAt: after(30 * time.Minute),
		})
	})
	w.makeReady(w.createToken("reports"), func(t *v1alpha1.ApiToken) {
		t.Status.ExpiresAt, t.Status.Credentials[0].ExpiresAt = after(5*day), after(5*day)
		t.Status.RotatesAt = after(day)
	})
	w.makeStalled(w.createToken("uploads", func(t *v1alpha1.ApiToken) { t.Spec.Scopes = []v1alpha1.Scope{"billing:read-only"} }),
		v1alpha1.ReasonScopeNotGrantable, "spec.scopes: billing:read-only: this provider grants objectstorage:object-read-only")
	w.createPod("batch-0", -20*day, func(s *corev1.PodSpec) {
		s.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "training-data"}}}}
	})
	w.createPod("web-1", -day, func(s *corev1.PodSpec) {
		s.Containers[0].Env = []corev1.EnvVar{{Name: "KEY", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: "training-data"}, Key: "AWS_ACCESS_KEY_ID"}}}}
		s.Volumes = []corev1.Volume{{Name: "key", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "training-data"}}}}
	})
	w.createPod("other", -day, func(s *corev1.PodSpec) {
		s.Volumes = []corev1.Volume{{Name: "key", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "reports"}}}}
	})
}

// docs/kubectl-plugin.md contains the golden files.
func TestOutputMatchesGoldenFiles(t *testing.T) {
	w := newWorld(t, "ml")
	createFleet(w)
	for name, c := range map[string]struct {
		args []string
		code exit.Code
	}{
		"list.txt":          {args: []string{"list"}},
		"list-all-wide.txt": {args: []string{"list", "-A", "-o", "wide"}},
		"list-expiring.txt": {args: []string{"list", "-A", "--expiring-within", "720h"}},
		"list-notready.txt": {args: []string{"list", "--not-ready", "--no-headers"}},
		"status.txt":        {args: []string{"status", "training-data"}},
		"status-wrong.txt":  {args: []string{"status", "at/uploads"}, code: exit.Failed},
		"tree.txt":          {args: []string{"tree", "training-data"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			w.golden(name, w.expect(w.run(c.args...), c.code).out)
		})
	}
	t.Run("for programs", func(t *testing.T) {
		expectMachineOutput(w.in(t))
	})
	t.Run("nothing issued", func(t *testing.T) {
		w := newWorld(t, "")
		w.createProvider("object-store")
		one := w.createToken("one")
		one.Status.Conditions = []metav1.Condition{
			condition(v1alpha1.ConditionReady, false, v1alpha1.ReasonScopeNotGrantable, "billing:read-only", one.Generation),
			condition(v1alpha1.ConditionPublished, false, v1alpha1.ReasonNotIssued, "there is no live credential", one.Generation),
		}
		w.OK(w.Status().Update(t.Context(), one))
		if r := w.expect(w.run("status", "one"), exit.Failed, "billing:read-only"); strings.Contains(r.out, "Wait until") {
			t.Errorf("it says to wait for a credential that is not issued:\n%s", r.out)
		}
	})
	t.Run("no CRDs", func(t *testing.T) {
		w := newWorld(t, "")
		s := w.openSession()
		s.Client = clitest.Unserved{Client: s.Client}
		_, one := s.Token(t.Context(), "one")
		_, all := s.Tokens(t.Context(), w.Ns)
		for _, err := range []error{one, all} {
			if got := s.Explain(err); !strings.Contains(got, "the kinds of apitoken.dev are not installed in this cluster") || strings.Contains(got, "there is no") {
				t.Errorf("it says %q", got)
			}
		}
	})
	t.Run("nothing found", func(t *testing.T) {
		w := newWorld(t, "")
		for says, args := range map[string][]string{
			"There are no ApiTokens in namespace " + w.Ns: {"list"},
			"is ready": {"list", "--not-ready"},
			"No ApiToken in namespace " + w.Ns + " ends within 1h": {"list", "--expiring-within=1h"},
		} {
			if r := w.expect(w.run(args...), exit.OK, says); r.out != "" {
				t.Errorf("%v prints %q", args, r.out)
			}
		}
	})
}

func expectMachineOutput(w *world) {
	list := w.decode(w.expect(w.run("list", "-o", "json"), exit.OK).out)
	if list["kind"] != "ApiTokenList" || list["apiVersion"] != "apitoken.dev/v1alpha1" {
		w.Errorf("list prints %v %v", list["apiVersion"], list["kind"])
	}
	var typed v1alpha1.ApiTokenList
	w.OK(yaml.Unmarshal([]byte(w.run("list", "-o", "yaml").out), &typed))
	if len(typed.Items) != 3 || typed.Items[1].Name != "training-data" || typed.Items[1].Kind != "ApiToken" {
		w.Errorf("list -o yaml has %d items: %+v", len(typed.Items), typed.Items)
	}
	names := w.expect(w.run("list", "-o", "name"), exit.OK).out
	if diff := cmp.Diff("apitoken.apitoken.dev/reports\napitoken.apitoken.dev/training-data\napitoken.apitoken.dev/uploads\n", names); diff != "" {
		w.Error(diff)
	}
	if got := w.run("list", "-o", "jsonpath={.items[*].status.expiresAt}").out; got != "2026-12-06T08:00:00Z 2027-02-19T08:00:00Z" {
		w.Errorf("jsonpath prints %q", got)
	}
	status := w.decode(w.expect(w.run("status", "uploads", "-o", "json"), exit.Failed).out)
	if status["ready"] != false || status["reason"] != v1alpha1.ReasonScopeNotGrantable || status["help"] != v1alpha1.ReasonHelp[v1alpha1.ReasonScopeNotGrantable] {
		w.Errorf("status prints %v", status)
	}
	status = w.decode(w.expect(w.run("status", "training-data", "-o", "yaml"), exit.OK).out)
	if status["kind"] != "ApiTokenStatus" || status["apiVersion"] != "plugin.apitoken.dev/v1alpha1" || len(status["credentials"].([]any)) != 2 {
		w.Errorf("status prints %v", status)
	}
	tree := w.decode(w.expect(w.run("tree", "training-data", "-o", "json"), exit.OK).out)
	pods := tree["pods"].([]any)
	if len(pods) != 2 || pods[0].(map[string]any)["outdated"] != true || pods[1].(map[string]any)["outdated"] != nil {
		w.Errorf("tree has the pods %v", pods)
	}
}

// The status of an ApiToken that is being deleted can still have rotatesAt.
func TestNothingRotatesWhileDeleting(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	token := w.makeReady(w.createToken("one", func(t *v1alpha1.ApiToken) { t.Finalizers = []string{v1alpha1.Finalizer} }))
	if out := w.expect(w.run("list"), exit.OK).out; !strings.Contains(out, "in 49d") {
		t.Fatalf("the list does not say when it is rotated:\n%s", out)
	}
	w.OK(w.Delete(t.Context(), token))
	if out := w.expect(w.run("list"), exit.OK, v1alpha1.ReasonDeleting).out; strings.Contains(out, "in 49d") {
		t.Errorf("the list says that it is rotated:\n%s", out)
	}
	if out := w.run("status", "one").out; strings.Contains(out, "rotates") {
		t.Errorf("the status says that it is rotated:\n%s", out)
	}
}

// A wrong command line has its own exit code and changes nothing.
func TestWrongCommandLineIsUsage(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"))
	for says, args := range map[string][]string{
		"did you mean rotate?":                                 {"rotat", "one"},
		"unknown flag: --nonsense":                             {"list", "--nonsense"},
		"name one ApiToken: got no argument":                   {"status"},
		"list takes flags only: got one":                       {"list", "one"},
		"cannot be negative":                                   {"list", "--expiring-within=-1h"},
		`-o: "toml" is not a format: write one of table, `:     {"status", "one", "-o", "toml"},
		`"secret/one" is not an ApiToken: write NAME`:          {"status", "secret/one"},
		"leave them out, or the name: got one":                 {"rotate", "--all", "one"},
		`--rate: "fast" is not allowed: write a whole number`:  {"rotate", "--all", "--rate", "fast"},
		`--expiring-within: "30d" is not allowed: write hours`: {"list", "--expiring-within", "30d"},
		"See kubectl apitoken tree --help":                     {"tree"},
		"-f is missing":                                        {"plan"},
		"then -- and the command to run":                       {"env", "one"},
		"no command":                                           {"env", "one", "--print", "--", "sh"},
		"--timeout":                                            {"rotate", "one", "--timeout=-1s"},
	} {
		t.Run(says, func(t *testing.T) {
			w := w.in(t)
			if r := w.expect(w.run(args...), exit.Usage, says); r.out != "" {
				t.Errorf("it prints %q", r.out)
			}
		})
	}
	for code, args := range map[exit.Code][]string{exit.NotFound: {"status", "two"}, exit.OK: {"--help"}} {
		w.expect(w.run(args...), code)
	}
	w.expect(w.run("status", "one", "-n", "elsewhere"), exit.NotFound, `there is no ApiToken "one" in namespace "elsewhere"`)
	if r := w.run("--version"); r.code != exit.OK || !strings.Contains(r.out, "test") {
		t.Errorf("the version is %+v", r)
	}
}

// A missing right is reported, with a command that shows which rights are needed.
func TestMissingRightIsExplained(t *testing.T) {
	w := newWorld(t, "")
	w.createToken("one")
	for _, args := range [][]string{{"list"}, {"status", "one"}, {"rotate", "one"}} {
		args = append(args, "--as", "guest", "--as-group", "system:authenticated")
		w.expect(w.run(args...), exit.Refused, "forbidden", "kubectl apitoken doctor")
	}
}

func TestNamesAreCompleted(t *testing.T) {
	w := newWorld(t, "")
	w.createProvider("object-store")
	w.makeReady(w.createToken("alpha"))
	w.createToken("alpine")
	w.createToken("beta")
	complete := func(program string, words ...string) string {
		var out strings.Builder
		e := w.Env
		e.In, e.Out, e.ErrOut = strings.NewReader(""), &out, &strings.Builder{}
		cli.Run(t.Context(), e, program, append([]string{"--kubeconfig", w.kubeconfig, "--cache-dir", t.TempDir(), "-n", w.Ns}, words...))
		return out.String()
	}
	want := "alpha\tReady\nalpine\tNotObserved\n:4\n"
	if diff := cmp.Diff(want, complete("/usr/local/bin/kubectl_complete-apitoken", "rotate", "al")); diff != "" {
		t.Error(diff)
	}
	if got := complete("kubectl_complete-apitoken", "list", "-o", ""); !strings.HasPrefix(got, "table\nwide\njson\n") {
		t.Errorf("-o offers %q", got)
	}
	if got := complete("kubectl_complete-apitoken", "list", "-n", w.Ns[:8]); !strings.Contains(got, w.Ns+"\n") {
		t.Errorf("-n offers %q", got)
	}
}
