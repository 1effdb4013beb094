package cli

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
)

func TestRotate(t *testing.T) {
	w := newWorld(t, "")
	w.provider("object-store")
	w.ready(w.token("one", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 3 }))
	w.wants(w.run("rotate", "one"), OK, "rotation asked for (generation 4)")
	if got := w.reads("one").Spec.Rotation.Generation; got != 4 {
		t.Errorf("spec.rotation.generation is %d", got)
	}
	w.wants(w.run("suspend", "one"), OK, "one suspended", "Its credential ends")
	w.wants(w.run("rotate", "one"), Refused, "kubectl apitoken resume one")
	w.wants(w.run("rotate", "none"), NotFound)
}

// TestRotateConflict: the operator writes between the read and the patch, and so
// does somebody who rotates too.
func TestRotateConflict(t *testing.T) {
	w := newWorld(t, "")
	w.provider("object-store")
	token := w.ready(w.token("one"))
	stale := token.DeepCopy()
	token.Status.LastGap = "1s"
	w.ok(w.Status().Update(t.Context(), token))
	s := w.session()
	raised, err := s.raise(t.Context(), stale.DeepCopy())
	if err != nil || raised.Spec.Rotation.Generation != 1 || w.reads("one").Spec.Rotation.Generation != 1 {
		t.Fatalf("after a write of the operator: %v, %v", raised, err)
	}
	if raised, err = s.raise(t.Context(), stale); err != nil || raised.Spec.Rotation.Generation != 1 || w.reads("one").Spec.Rotation.Generation != 1 {
		t.Errorf("when somebody else has just rotated, it rotates twice: %v, %v", raised, err)
	}
}

// reissue is what the operator does for a rotation that a command waits for.
func (w *world) reissue(name string) func() bool {
	return func() bool {
		t := w.reads(name)
		if t == nil || t.Spec.Rotation.Generation == 0 || !strings.Contains(w.said.String(), notObserved) {
			return false
		}
		old := &t.Status.Credentials[0]
		old.State, old.RetireAt = v1alpha1.StateRetiring, w.soon(-time.Second)
		t.Status.Credentials = append(t.Status.Credentials, v1alpha1.LedgerEntry{
			Name: w.credential(name, 3), State: v1alpha1.StateActive, ID: "AKIAEXAMPLE3", RotationGeneration: t.Spec.Rotation.Generation,
			IssuedAt: w.soon(0), Fingerprint: plan.Fingerprint(&t.Spec),
		})
		t.Status.Revision = 3
		t.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonReady, "the Secret holds credential AKIAEXAMPLE3", t.Generation)}
		return w.Status().Update(w.Context(), t) == nil
	}
}

// retired is what it does after the overlap, once the command says that it waits for it.
func (w *world) retired(name string) func() bool {
	return func() bool {
		t := w.reads(name)
		if !strings.Contains(w.said.String(), "is not revoked yet") {
			return false
		}
		t.Status.Credentials = t.Status.Credentials[1:]
		return w.Status().Update(w.Context(), t) == nil
	}
}

func TestRotateWaits(t *testing.T) {
	w := newWorld(t, "").waits()
	w.provider("object-store")
	w.ready(w.token("one"))
	w.operator(w.reissue("one"), w.retired("one"))
	r := w.wants(w.run("rotate", "one", "--until-revoked", "--timeout=1m"), OK, "NotObserved", "AKIAEXAMPLE2 (Retiring) is not revoked yet")
	want := "apitoken.apitoken.dev/one rotation asked for (generation 1)\napitoken.apitoken.dev/one rotated\napitoken.apitoken.dev/one previous credentials revoked\n"
	if diff := cmp.Diff(want, r.out); diff != "" {
		t.Error(diff)
	}

	w.ready(w.token("two"))
	w.wants(w.run("rotate", "two", "--wait", "--timeout=50ms"), TimedOut, "not done after 50ms", "kubectl apitoken status two")

	w.ready(w.token("three"))
	w.operator(func() bool {
		t := w.reads("three")
		if t.Spec.Rotation.Generation == 0 {
			return false
		}
		w.stalled(t, v1alpha1.ReasonTooManyBuckets, "spec.buckets: too many")
		return true
	})
	w.wants(w.run("rotate", "three", "--wait"), Refused, "TooManyBuckets: spec.buckets: too many", actionFor(v1alpha1.ReasonTooManyBuckets))

	w.ready(w.token("five"))
	w.operator(func() bool {
		t := w.reads("five")
		if t.Spec.Rotation.Generation == 0 {
			return false
		}
		t.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, false, v1alpha1.ReasonActionRequired, "make a credential", t.Generation)}
		return w.Status().Update(w.Context(), t) == nil
	})
	w.wants(w.run("rotate", "five", "--wait"), Failed, "ActionRequired: make a credential", "kubectl apitoken handover five")

	w.ready(w.token("four"))
	w.operator(func() bool {
		return w.reads("four").Spec.Rotation.Generation > 0 && w.Delete(t.Context(), w.reads("four")) == nil
	})
	w.wants(w.run("rotate", "four", "--wait"), Failed, "deleted meanwhile")
}

func TestRevoke(t *testing.T) {
	w := newWorld(t, "").waits()
	w.provider("object-store")
	one := w.ready(w.token("one", func(t *v1alpha1.ApiToken) { t.Finalizers = []string{v1alpha1.Finalizer} }))
	w.pod("worker", -time.Hour, func(s *corev1.PodSpec) {
		s.InitContainers = []corev1.Container{{Name: "init", Image: "example.com/init",
			EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "one"}}}}}}
	})
	for _, answer := range []string{"", "n\n", "\n"} {
		w.wants(w.with(answer, "revoke", "one"), Refused, "AKIAEXAMPLE2 (Active) is revoked at TokenProvider object-store", "pod worker uses the Secret (envFrom)", "nothing was done")
	}
	if got := w.reads("one"); got == nil || got.DeletionTimestamp != nil {
		t.Fatal("it was deleted all the same")
	}
	w.stalled(w.reads("one"), v1alpha1.ReasonScopeNotGrantable, "spec.scopes: from before the deletion")
	if r := w.wants(w.with("", "revoke", "one", "--yes", "--timeout=50ms"), TimedOut, "to be revoked: AKIAEXAMPLE2 (Active)"); strings.Contains(r.err, "from before the deletion") {
		t.Errorf("a message from before the deletion is shown:\n%s", r.err)
	}
	w.operator(func() bool {
		t := w.reads("one")
		if !strings.Contains(w.said.String(), "is being deleted already") {
			return false
		}
		t.Finalizers = nil
		return w.Update(w.Context(), t) == nil
	})
	w.wants(w.run("revoke", "one"), OK, "is being deleted already", "revoked and deleted")
	if got := w.reads("one"); got != nil && got.UID == one.UID {
		t.Error("it is still there")
	}

	w.ready(w.token("two"))
	w.wants(w.with("yes\n", "revoke", "two", "--wait=false"), OK, "deletion asked for")

	w.ready(w.token("three", func(t *v1alpha1.ApiToken) { t.Spec.DeletionPolicy = v1alpha1.DeletionRetain }))
	w.wants(w.run("revoke", "three", "--yes"), Refused, "spec.deletionPolicy", "kubectl patch apitoken")
	if w.reads("three") == nil {
		t.Error("an ApiToken with Retain was deleted")
	}
}

func TestSuspend(t *testing.T) {
	w := newWorld(t, "")
	w.provider("object-store")
	w.ready(w.token("one"))
	for _, step := range []struct {
		command, says string
		suspended     bool
	}{
		{"suspend", "one suspended\n", true}, {"suspend", "one suspended (unchanged)", true},
		{"resume", "one resumed\n", false}, {"resume", "one resumed (unchanged)", false},
	} {
		w.wants(w.run(step.command, "one"), OK, step.says)
		if got := w.reads("one").Spec.Suspend; got != step.suspended {
			t.Errorf("after %s spec.suspend is %t", step.command, got)
		}
	}
}

// execution is what env would start.
type execution struct {
	path          string
	argv, environ []string
}

func TestEnv(t *testing.T) {
	w := newWorld(t, "")
	w.provider("object-store")
	w.ready(w.token("one"))
	var ran *execution
	w.env.Environ = []string{"HOME=/home/a", "AWS_SESSION_TOKEN=mine", "AWS_ACCESS_KEY_ID=mine", "AWS_PROFILE=mine", "AWS_ENDPOINT_URL=mine"}
	w.env.Exec = func(path string, argv, environ []string) error {
		ran = &execution{path, argv, environ}
		return nil
	}
	w.wants(w.run("env", "one", "--", "sh", "-c", "true", "--print"), OK, "does not document them (--all uses them): not-a-variable")
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
	w.wants(w.run("env", "one", "--", "no-such-command-here"), NoCommand, `"no-such-command-here"`)

	w.wants(w.run("env", "one", "--all", "--", "sh"), OK, "warning: left out, because they cannot be environment variables: not-a-variable")

	w.reveals = true
	r := w.wants(w.run("env", "one", "--print"), OK)
	var shown strings.Builder
	for _, entry := range want[1:] {
		key, value, _ := strings.Cut(entry, "=")
		shown.WriteString("export " + key + "='" + value + "'\n")
	}
	if diff := cmp.Diff(shown.String(), r.out); diff != "" {
		t.Error(diff)
	}
	w.reveals = false
	w.token("two")
	w.wants(w.run("env", "two", "--", "sh"), NotFound, `there is no Secret "two" yet (NotObserved)`)
	w.ok(w.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "two"}, Data: map[string][]byte{"A": []byte(canary)}}))
	w.wants(w.run("env", "two", "--", "sh"), Refused, "does not belong to ApiToken")
	if w.run("env", "two", "--print").code != Refused {
		t.Error("somebody else's Secret is printed")
	}
}

func TestQuoting(t *testing.T) {
	w := newWorld(t, "")
	w.provider("object-store")
	w.ready(w.token("one"))
	secret := &corev1.Secret{}
	w.ok(w.Get(t.Context(), client.ObjectKey{Namespace: w.ns, Name: "one"}, secret))
	secret.Data = map[string][]byte{"ODD": []byte("it's $HOME `x`\nand more")}
	w.ok(w.Update(t.Context(), secret))
	if got := w.run("env", "one", "--print", "--all").out; got != "export ODD='it'\\''s $HOME `x`\nand more'\n" {
		t.Errorf("it prints %q", got)
	}
}

// Anyone who can write the Secret can add keys. Those that the driver does not
// document are used only when asked for, and those that run code never.
func TestEnvUsesDocumentedKeysOnly(t *testing.T) {
	w := newWorld(t, "")
	w.provider("object-store")
	w.ready(w.token("one"))
	secret := &corev1.Secret{}
	w.ok(w.Get(t.Context(), client.ObjectKey{Namespace: w.ns, Name: "one"}, secret))
	secret.Data["EXTRA"] = []byte("extra")
	never := []string{"BASH_ENV", "HTTPS_PROXY", "KUBECONFIG", "LD_PRELOAD", "PATH", "PROMPT_COMMAND", "http_proxy"}
	for _, key := range never {
		secret.Data[key] = []byte("/tmp/owned")
	}
	w.ok(w.Update(t.Context(), secret))
	var ran *execution
	w.env.Environ = []string{"PATH=/bin"}
	w.env.Exec = func(path string, argv, environ []string) error {
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
		w.wants(w.run(c.args...), OK, c.says)
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

	orphan := w.token("orphan", func(t *v1alpha1.ApiToken) { t.Spec.ProviderRef.Name = "gone" })
	w.ready(orphan)
	w.wants(w.run("env", "orphan", "--", "sh"), Refused, `TokenProvider "gone" does not exist`, "--all")
	w.wants(w.run("env", "orphan", "--all", "--", "sh"), OK)

	// A RoleBinding lets nobody read a ClusterTokenProvider.
	shared := w.token("shared", func(t *v1alpha1.ApiToken) {
		t.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.KindClusterTokenProvider, Name: "object-store"}
	})
	w.ready(shared)
	w.allow("dev", "apitoken.dev", []string{"apitokens"}, "get")
	w.allow("dev", "", []string{"secrets"}, "get")
	w.wants(w.run("env", "shared", "--as", "dev", "--", "sh"), Refused, "could not be read, because you may not get clustertokenproviders.apitoken.dev", "apitoken-operator-clustertokenprovider-viewer", "--all")
	w.wants(w.run("doctor", "--as", "dev", "--operator-namespace", w.ns), OK, "you may not get clustertokenproviders")
}
