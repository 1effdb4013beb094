package cli_test

import (
	"context"
	"flag"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/internal/secretstore"
	"apitoken.dev/operator/test/support/kit"
)

// cluster is the identity hash in the credential names of these tests.
var cluster = credname.Cluster("the cluster of these tests")

func (w *world) credential(token string, revision int64) string {
	return credname.Name{Cluster: cluster, Owner: credname.Owner(w.Ns, token), Revision: revision, Nonce: "aaaaaaaaaa"}.String()
}

func ago(d time.Duration) *metav1.Time { return after(-d) }

func after(d time.Duration) *metav1.Time {
	t := metav1.NewTime(now.Add(d))
	return &t
}

// fromNow returns a time by the clock of this world.
func (w *world) fromNow(d time.Duration) *metav1.Time {
	t := metav1.NewTime(w.Env.Clock.Now().Add(d))
	return &t
}

const day = 24 * time.Hour

// createProvider creates an aws provider that is Ready.
func (w *world) createProvider(name string, change ...func(*v1alpha1.TokenProvider)) *v1alpha1.TokenProvider {
	w.Helper()
	p := &v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, Name: name, Finalizers: []string{v1alpha1.Finalizer}}}
	p.Spec.CredentialsSecretRef.Name = name + "-minter"
	p.Spec.AWS = &v1alpha1.AWSProvider{IAMEndpoint: "https://iam.example.com", S3Endpoint: "https://s3.example.com", Region: "eu-1"}
	for _, f := range change {
		f(p)
	}
	status := p.Status
	w.ExpectApplied(p)
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
	w.OK(w.Status().Update(w.Context(), p))
	return p
}

func condition(kind string, status bool, reason, message string, generation int64) metav1.Condition {
	value := metav1.ConditionFalse
	if status {
		value = metav1.ConditionTrue
	}
	return metav1.Condition{Type: kind, Status: value, Reason: reason, Message: message, ObservedGeneration: generation, LastTransitionTime: *ago(time.Hour)}
}

// createToken creates an ApiToken without a status.
func (w *world) createToken(name string, change ...func(*v1alpha1.ApiToken)) *v1alpha1.ApiToken {
	w.Helper()
	t := kit.ApiToken(w.Ns, name, kit.OfNamespace("object-store"), change...)
	w.ExpectApplied(t)
	w.Cleanup(func() {
		ctx := context.WithoutCancel(w.Context())
		if left := w.read(name); left != nil {
			left.Finalizers = nil
			_ = w.Update(ctx, left)
			_ = w.Delete(ctx, left)
		}
	})
	return t
}

// makeReady gives an ApiToken the status and the Secret of a credential issued ten days ago.
func (w *world) makeReady(t *v1alpha1.ApiToken, change ...func(*v1alpha1.ApiToken)) *v1alpha1.ApiToken {
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
	secret := w.publishSecret(t, &e)
	s.Secret = v1alpha1.PublishedSecret{Name: secret.Name, ResourceVersion: secret.ResourceVersion}
	for _, f := range change {
		f(t)
	}
	w.OK(w.Status().Update(w.Context(), t))
	return t
}

// publishSecret creates the Secret of an ApiToken as the operator does.
func (w *world) publishSecret(t *v1alpha1.ApiToken, e *v1alpha1.LedgerEntry) *corev1.Secret {
	w.Helper()
	s := w.openSession()
	facts, err := s.Facts(w.Context(), s.Client, t, cluster)
	w.OK(err)
	store := secretstore.Store{Client: w, Live: w, Cluster: cluster, Clock: w.Env.Clock}
	target := secretstore.TargetOf(t, facts.Driver, facts.Config)
	seen, err := store.Read(w.Context(), target)
	w.OK(err)
	minted := provider.Minted{Secret: map[string]provider.Value{
		"AWS_ACCESS_KEY_ID": provider.NewValue(e.ID), "AWS_SECRET_ACCESS_KEY": provider.NewValue(canary), "not-a-variable": provider.NewValue(canary),
	}}
	_, err = store.Publish(w.Context(), target, seen, e, minted)
	w.OK(err)
	secret := &corev1.Secret{}
	w.OK(w.Get(w.Context(), client.ObjectKey{Namespace: w.Ns, Name: t.SecretName()}, secret))
	return secret
}

// makeStalled makes an ApiToken Stalled.
func (w *world) makeStalled(t *v1alpha1.ApiToken, reason, message string) {
	w.Helper()
	t.Status.ObservedGeneration = t.Generation
	t.Status.Conditions = []metav1.Condition{
		condition(v1alpha1.ConditionReady, false, reason, message, t.Generation),
		condition(v1alpha1.ConditionStalled, true, reason, message, t.Generation),
	}
	// The test may end, and cancel its context, before the answer to this write arrives.
	w.OK(w.Status().Update(context.WithoutCancel(w.Context()), t))
}

// createPod creates a running pod.
func (w *world) createPod(name string, started time.Duration, change func(*corev1.PodSpec)) {
	w.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, Name: name}}
	p.Spec.Containers = []corev1.Container{{Name: "main", Image: "example.com/main"}}
	change(&p.Spec)
	w.ExpectApplied(p)
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
	w.OK(w.Status().Update(w.Context(), p))
}

// actAsOperator runs the steps one after the other, while a command waits. It repeats each step until
// the step returns true.
func (w *world) actAsOperator(steps ...func() bool) {
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

// read returns the current ApiToken, or nil if it does not exist.
func (w *world) read(name string) *v1alpha1.ApiToken {
	t := &v1alpha1.ApiToken{}
	if err := w.Get(context.WithoutCancel(w.Context()), client.ObjectKey{Namespace: w.Ns, Name: name}, t); err != nil {
		return nil
	}
	return t
}

// openSession opens a session as a command does.
func (w *world) openSession() *session.Session {
	w.Helper()
	e := w.Env
	e.IOStreams = genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard, ErrOut: io.Discard}
	a := session.New(e)
	a.Config.KubeConfig, a.Config.Namespace = &w.kubeconfig, &w.Ns
	s, err := a.Open()
	w.OK(err)
	return s
}

// captureLog redirects the log of the client library to w.
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

// json converts YAML to JSON.
func (w *world) json(text string) string {
	w.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	w.OK(err)
	return string(raw)
}

// allow grants a user these verbs on these resources in the namespace.
func (w *world) allow(user, group string, resources []string, verbs ...string) {
	w.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, GenerateName: "test-"},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{group}, Resources: resources, Verbs: verbs}}}
	w.ExpectApplied(role)
	w.ExpectApplied(&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, GenerateName: "test-"},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name}, Subjects: []rbacv1.Subject{{Kind: "User", Name: user}}})
}
