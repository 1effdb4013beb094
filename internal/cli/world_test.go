package cli_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/internal/secretstore"
	"apitoken.dev/operator/test/support/testenv"
	"apitoken.dev/operator/test/support/testutil"
)

var (
	env    *testenv.Env
	update = flag.Bool("update", false, "write the golden files")
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m, &env)) }

// canary is the secret value in every Secret of these tests.
const canary = "CANARY-6b1f"

// shows reports whether a text has the canary in it, plain or as JSON carries it in a Secret.
func shows(text string) bool {
	return strings.Contains(text, canary) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(canary)))
}

// now is what the clock shows where a test does not wait.
var now = time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)

// world is a namespace and a command line.
type world struct {
	*testing.T
	client.Client
	Ns         string
	kubeconfig string
	Env        session.Env
	// said is what the running command has said so far.
	said *transcript
	// reveals: this command shows secret values on purpose.
	reveals bool
}

// newWorld makes a namespace; with a name of its own when one is given.
func newWorld(t *testing.T, name string) *world {
	t.Helper()
	registry, err := drivers.New()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, Client: env.Client(session.Scheme()), said: &transcript{}, Env: session.Env{Clock: testutil.NewClock(now), Registry: registry, Version: "test", Poll: time.Millisecond}}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if name == "" {
		ns.GenerateName = "plugin-"
	}
	w.ok(w.Create(t.Context(), ns))
	w.Ns = ns.Name
	w.kubeconfig = w.writeFile("kubeconfig", string(env.Kubeconfig))
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) writeFile(name, content string) string {
	w.Helper()
	path := filepath.Join(w.TempDir(), name)
	w.ok(os.WriteFile(path, []byte(content), 0o600))
	return path
}

// transcript is what a command says, for others to read while it runs.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

func (t *transcript) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text.Reset()
}

// in is the same world in a subtest.
func (w *world) in(t *testing.T) *world {
	out := *w
	out.T = t
	return &out
}

// waits lets the commands of this world wait for something that happens.
func (w *world) waits() *world {
	w.Env.Clock = clock.NewReal()
	return w
}

// result is how a command ended.
type result struct {
	code     exit.Code
	out, err string
}

// run runs a command in the namespace. It fails when a secret value shows.
func (w *world) run(args ...string) result { return w.with("", args...) }

// with runs a command with something on its standard input.
func (w *world) with(stdin string, args ...string) result {
	w.Helper()
	return w.as(w.kubeconfig, stdin, args...)
}

func (w *world) as(kubeconfig, stdin string, args ...string) result {
	w.Helper()
	var out bytes.Buffer
	w.said.reset()
	e := w.Env
	e.IOStreams = genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: &out, ErrOut: w.said}
	global := []string{"--kubeconfig", kubeconfig, "--cache-dir", w.TempDir(), "-n", w.Ns}
	r := result{code: cli.Run(w.Context(), e, "kubectl-apitoken", append(global, args...)), out: out.String(), err: w.said.String()}
	if !w.reveals && shows(r.out+r.err) {
		w.Errorf("%v shows a secret value", args)
	}
	return r
}

// wants fails unless a command ended with this code and said all of these.
func (w *world) wants(r result, code exit.Code, says ...string) result {
	w.Helper()
	if r.code != code {
		w.Errorf("exit code %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.out, r.err)
	}
	for _, part := range says {
		if !strings.Contains(r.out+r.err, part) {
			w.Errorf("it does not say %q\nstdout: %s\nstderr: %s", part, r.out, r.err)
		}
	}
	return r
}

// golden compares an output with a file, which -update writes.
func (w *world) golden(name, got string) {
	w.Helper()
	got = strings.ReplaceAll(got, " --kubeconfig "+w.kubeconfig, "")
	path := filepath.Join("testdata", name)
	if *update {
		w.ok(os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	w.ok(err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		w.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// decode reads JSON or YAML that a command printed.
func (w *world) decode(out string) map[string]any {
	w.Helper()
	raw, err := yaml.YAMLToJSON([]byte(out))
	w.ok(err)
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		w.Fatalf("%v in %s", err, out)
	}
	return fields
}

// cluster is the identity hash that the names of these tests carry.
var cluster = credname.Cluster("the cluster of these tests")

func (w *world) credential(token string, revision int64) string {
	return credname.Name{Cluster: cluster, Owner: credname.Owner(w.Ns, token), Revision: revision, Nonce: "aaaaaaaaaa"}.String()
}

func ago(d time.Duration) *metav1.Time { return after(-d) }

func after(d time.Duration) *metav1.Time {
	t := metav1.NewTime(now.Add(d))
	return &t
}

// soon is a time from now by the clock of this world.
func (w *world) soon(d time.Duration) *metav1.Time {
	t := metav1.NewTime(w.Env.Clock.Now().Add(d))
	return &t
}

const day = 24 * time.Hour

// provider makes the ready aws provider of these tests.
func (w *world) provider(name string, change ...func(*v1alpha1.TokenProvider)) *v1alpha1.TokenProvider {
	w.Helper()
	p := &v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, Name: name, Finalizers: []string{v1alpha1.Finalizer}}}
	p.Spec.CredentialsSecretRef.Name = name + "-minter"
	p.Spec.AWS = &v1alpha1.AWSProvider{IAMEndpoint: "https://iam.example.com", S3Endpoint: "https://s3.example.com", Region: "eu-1"}
	for _, f := range change {
		f(p)
	}
	status := p.Status
	w.ok(w.Create(w.Context(), p))
	w.Cleanup(func() {
		p.Finalizers = nil
		_ = w.Update(context.WithoutCancel(w.Context()), p)
	})
	p.Status = status
	if len(p.Status.Conditions) == 0 {
		p.Status.Account, p.Status.LiveCredentials = "123456789012", 2
		p.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonReady, "the credentials work", p.Generation)}
	}
	if driver, settings, err := w.Env.Registry.Resolve(registry.Spec{ProviderSpec: &p.Spec}); err == nil && p.Status.Endpoint == "" {
		e := account.EndpointOf(w.Context(), driver, provider.Config{Settings: settings})
		p.Status.Driver, p.Status.Endpoint = e.Driver, e.URL
	}
	w.ok(w.Status().Update(w.Context(), p))
	return p
}

func condition(kind string, status bool, reason, message string, generation int64) metav1.Condition {
	value := metav1.ConditionFalse
	if status {
		value = metav1.ConditionTrue
	}
	return metav1.Condition{Type: kind, Status: value, Reason: reason, Message: message, ObservedGeneration: generation, LastTransitionTime: *ago(time.Hour)}
}

// token makes an ApiToken without a status.
func (w *world) token(name string, change ...func(*v1alpha1.ApiToken)) *v1alpha1.ApiToken {
	w.Helper()
	t := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, Name: name}}
	t.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.KindTokenProvider, Name: "object-store"}
	t.Spec.Scopes = []v1alpha1.Scope{"objectstorage:object-read-only"}
	t.Spec.Buckets = []v1alpha1.Bucket{"datasets"}
	for _, f := range change {
		f(t)
	}
	w.ok(w.Create(w.Context(), t))
	w.Cleanup(func() {
		ctx := context.WithoutCancel(w.Context())
		if left := w.reads(name); left != nil {
			left.Finalizers = nil
			_ = w.Update(ctx, left)
			_ = w.Delete(ctx, left)
		}
	})
	return t
}

// ready gives an ApiToken the status, and the Secret, of one that was issued ten days ago.
func (w *world) ready(t *v1alpha1.ApiToken, change ...func(*v1alpha1.ApiToken)) *v1alpha1.ApiToken {
	w.Helper()
	e := v1alpha1.LedgerEntry{
		Name: w.credential(t.Name, 2), State: v1alpha1.StateActive, ID: "AKIAEXAMPLE2", Account: "123456789012", Reason: "RotationRequested",
		ReservedAt: ago(10 * day), IssuedAt: ago(10 * day), ExpiresAt: after(80 * day), RotationGeneration: t.Spec.Rotation.Generation,
		Fingerprint: plan.Fingerprint(&t.Spec),
	}
	s := &t.Status
	s.ObservedGeneration, s.Revision = t.Generation, 2
	s.Credentials = []v1alpha1.LedgerEntry{e}
	s.ExpiresAt, s.RotatesAt, s.ExpiryEnforcedBy = e.ExpiresAt, after(49*day), "Provider"
	s.Effective = v1alpha1.EffectiveValues{ExpiresIn: "2160h", Before: "720h", Overlap: "1h"}
	s.Conditions = []metav1.Condition{
		condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonReady, `Secret "`+t.SecretName()+`" holds credential AKIAEXAMPLE2`, t.Generation),
		condition(v1alpha1.ConditionIssued, true, v1alpha1.ReasonIssued, "the provider has issued credential AKIAEXAMPLE2", t.Generation),
		condition(v1alpha1.ConditionPublished, true, v1alpha1.ReasonPublished, `Secret "`+t.SecretName()+`" holds it`, t.Generation),
	}
	secret := w.publish(t, &e)
	s.Secret = v1alpha1.PublishedSecret{Name: secret.Name, ResourceVersion: secret.ResourceVersion}
	for _, f := range change {
		f(t)
	}
	w.ok(w.Status().Update(w.Context(), t))
	return t
}

// publish makes the Secret of an ApiToken as the operator does.
func (w *world) publish(t *v1alpha1.ApiToken, e *v1alpha1.LedgerEntry) *corev1.Secret {
	w.Helper()
	s := w.session()
	facts, err := s.Facts(w.Context(), s.Client, t, cluster)
	w.ok(err)
	store := secretstore.Store{Client: w, Live: w, Cluster: cluster, Clock: w.Env.Clock}
	target := secretstore.TargetOf(t, facts.Driver, facts.Config)
	seen, err := store.Read(w.Context(), target)
	w.ok(err)
	minted := provider.Minted{Secret: map[string]provider.Value{
		"AWS_ACCESS_KEY_ID": provider.NewValue(e.ID), "AWS_SECRET_ACCESS_KEY": provider.NewValue(canary), "not-a-variable": provider.NewValue(canary),
	}}
	_, err = store.Publish(w.Context(), target, seen, e, minted)
	w.ok(err)
	secret := &corev1.Secret{}
	w.ok(w.Get(w.Context(), client.ObjectKey{Namespace: w.Ns, Name: t.SecretName()}, secret))
	return secret
}

// stalled gives an ApiToken the status of one that waits for a user.
func (w *world) stalled(t *v1alpha1.ApiToken, reason, message string) {
	w.Helper()
	t.Status.ObservedGeneration = t.Generation
	t.Status.Conditions = []metav1.Condition{
		condition(v1alpha1.ConditionReady, false, reason, message, t.Generation),
		condition(v1alpha1.ConditionStalled, true, reason, message, t.Generation),
	}
	// The test may end, and cancel its context, before the answer to this write arrives.
	w.ok(w.Status().Update(context.WithoutCancel(w.Context()), t))
}

// pod makes a pod that uses a Secret and has started.
func (w *world) pod(name string, started time.Duration, change func(*corev1.PodSpec)) {
	w.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, Name: name}}
	p.Spec.Containers = []corev1.Container{{Name: "main", Image: "example.com/main"}}
	change(&p.Spec)
	w.ok(w.Create(w.Context(), p))
	p.Status.Phase, p.Status.StartTime = corev1.PodRunning, after(started)
	note := func(list []corev1.Container) []corev1.ContainerStatus {
		out := make([]corev1.ContainerStatus, 0, len(list))
		for i := range list {
			out = append(out, corev1.ContainerStatus{
				Name: list[i].Name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: *p.Status.StartTime}},
			})
		}
		return out
	}
	p.Status.ContainerStatuses, p.Status.InitContainerStatuses = note(p.Spec.Containers), note(p.Spec.InitContainers)
	w.ok(w.Status().Update(w.Context(), p))
}

// operator acts while a command waits: it looks until it may act, once for each step.
func (w *world) operator(steps ...func() bool) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for _, step := range steps {
			for !step() {
				if clock.NewReal().Sleep(ctx, 5*time.Millisecond) != nil {
					return
				}
			}
		}
	})
	w.Cleanup(func() { cancel(); group.Wait() })
}

// reads returns the ApiToken as it is now; nil: it is gone.
func (w *world) reads(name string) *v1alpha1.ApiToken {
	t := &v1alpha1.ApiToken{}
	if err := w.Get(context.WithoutCancel(w.Context()), client.ObjectKey{Namespace: w.Ns, Name: name}, t); err != nil {
		return nil
	}
	return t
}

// session is what a command opens.
func (w *world) session() *session.Session {
	w.Helper()
	e := w.Env
	e.IOStreams = genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard, ErrOut: io.Discard}
	a := session.New(e)
	a.Config.KubeConfig, a.Config.Namespace = &w.kubeconfig, &w.Ns
	s, err := a.Open()
	w.ok(err)
	return s
}

// captureLog lets the client library log to w.
func captureLog(t *testing.T, w io.Writer) {
	t.Helper()
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "stderrthreshold": "FATAL"} {
		if err := flags.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	klog.SetOutput(w)
	t.Cleanup(func() {
		klog.Flush()
		klog.SetOutput(os.Stderr)
		_ = flags.Set("v", "0")
		_ = flags.Set("logtostderr", "true")
	})
}

// json is YAML as JSON.
func (w *world) json(text string) string {
	w.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	w.ok(err)
	return string(raw)
}

// allow lets a user do some things in the namespace, and no other.
func (w *world) allow(user, group string, resources []string, verbs ...string) {
	w.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, GenerateName: "test-"},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{group}, Resources: resources, Verbs: verbs}}}
	w.ok(w.Create(w.Context(), role))
	w.ok(w.Create(w.Context(), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, GenerateName: "test-"},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name}, Subjects: []rbacv1.Subject{{Kind: "User", Name: user}}}))
}
