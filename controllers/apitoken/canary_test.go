package apitoken_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/operator"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/secretstore"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/testutil"
)

// bodies is the lowest verbosity at which libraries log request bodies.
const bodies = 8

// The test searches for secret values everywhere except in Secrets.
func TestSecretsStayInSecrets(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		verbosity int
		minter    string
	}{
		"minting credential and credentials":   {bodies - 1, kit.MinterToken},
		"credentials, with bodies of requests": {testutil.Everything, "a-minting-credential"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newEmptyWorld(t)
			w.backend.Token = c.minter
			w.createMinter()
			w.createProvider()
			w.start(func(o *operator.Options) { o.Logger = w.log.Logger(c.verbosity) })
			w.causeEveryEvent()
			if !kit.Leaks(string(w.secret("training").Data[fake.KeySecret])) {
				t.Fatal("the Secret has no canary, so this test proves nothing")
			}
			if logged := w.log.Count(`"msg"="Request Body"`) > 0; logged != (c.verbosity >= bodies) {
				t.Fatalf("bodies of requests are logged: %t", logged)
			}
			for what, text := range map[string]string{
				"the log": w.log.String(), "the log of libraries": clientLog.String(),
				"metrics": metricsText(t), "objects": w.objectsJSON(), "the provider's state": w.backend.State(),
			} {
				if kit.Leaks(text) {
					t.Errorf("%s contains a secret value: %s", what, leakingLines(text))
				}
			}
		})
	}
}

// causeEveryEvent issues, rotates, edits, fails and deletes, so that each kind of text is written.
func (w *world) causeEveryEvent() {
	w.Helper()
	first := activeOf(w.issue("training")).Name
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	second := activeOf(w.waitReplaced("training", first)).Name
	w.editSecret("training", func(s *corev1.Secret) { s.Data[fake.KeySecret] = []byte(fake.Canary + "edited") })
	w.waitReplaced("training", second)
	w.editSecret("training", func(s *corev1.Secret) { delete(s.Labels, v1alpha1.LabelManaged) })
	w.expectMetadata(map[string]string{v1alpha1.LabelManaged: "true"}, nil)
	w.OK(w.Create(w.Context(), &corev1.Secret{
		ObjectMeta: metaOf(w.ns, "foreign"), StringData: map[string]string{"password": fake.Canary + "foreign"},
	}))
	w.declare("foreign")
	w.expectStalled("foreign", v1alpha1.ReasonSecretNotOwned)
	w.backend.Script(fake.Mint, fake.Fault{Kind: fake.LoseAnswer}, fake.Fault{Kind: fake.Reject})
	w.declare("failing")
	w.waitHealed("failing")
	w.passTime(2*time.Hour, 1)
	w.issue("deleted")
	w.delete("deleted")
	w.expectGone("deleted")
}

// objectsJSON returns all objects of the world except Secrets, and the metadata of Secrets.
func (w *world) objectsJSON() string {
	w.Helper()
	var out []string
	for _, list := range []client.ObjectList{
		&v1alpha1.ApiTokenList{}, &v1alpha1.TokenProviderList{}, &eventsv1.EventList{}, &corev1.EventList{}, &corev1.ConfigMapList{},
	} {
		w.OK(w.List(w.Context(), list, client.InNamespace(w.ns)))
		raw, err := json.Marshal(list)
		w.OK(err)
		out = append(out, string(raw))
	}
	var secrets corev1.SecretList
	w.OK(w.List(w.Context(), &secrets, client.InNamespace(w.ns)))
	for i := range secrets.Items {
		raw, err := json.Marshal(secrets.Items[i].ObjectMeta)
		w.OK(err)
		out = append(out, string(raw))
	}
	return strings.Join(out, "\n")
}

// metricsText returns all metrics.
func metricsText(t *testing.T) string {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, family := range families {
		out = append(out, family.String())
	}
	text := strings.Join(out, "\n")
	if !strings.Contains(text, "apitoken_operations_total") {
		t.Fatal("the operator's metrics are missing")
	}
	return text
}

// leakingLines returns the beginning of every line with a secret value.
func leakingLines(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		if kit.Leaks(line) {
			out = append(out, line[:min(len(line), 300)])
		}
	}
	return strings.Join(out, "\n")
}

// The test prints every value that contains secrets while the operator works.
func TestPrintedValuesHideSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.issue("training")
	store := &secretstore.Store{Client: w, Live: w, Cluster: cluster, Clock: clock.NewReal()}
	seen, err := store.Read(w.Context(), secretstore.Target{Token: token})
	w.OK(err)
	secret := provider.NewValue(fake.SecretOf("at1-x"))
	minted := provider.Minted{Secret: map[string]provider.Value{fake.KeySecret: secret}}
	cfg := provider.Config{Credentials: map[string]provider.Value{fake.TokenKey: secret}}
	failed := fmt.Errorf("failed: %w", &provider.Error{Message: "no", Err: errors.New(fake.SecretOf("at1-x"))})
	observation := plan.Observation{Token: plan.Token{Spec: token.Spec}, Secret: seen.View}
	for _, v := range []any{
		secret, &secret, minted, &minted, cfg, &cfg, seen, &seen, observation, &observation, failed,
		struct{ seen secretstore.Snapshot }{seen}, []any{seen, minted}, map[string]any{"seen": seen, "config": cfg},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if text := fmt.Sprintf(verb, v); kit.Leaks(text) {
				t.Errorf("%s of %T prints a secret value", verb, v)
			}
		}
		if raw, err := json.Marshal(v); err == nil && kit.Leaks(string(raw)) {
			t.Errorf("JSON of %T holds a secret value", v)
		}
		if text := panicText(w.Context(), v, seen, minted); kit.Leaks(text) {
			t.Errorf("a panic with %T prints a secret value", v)
		}
	}
}

// panicText returns the output of a panic in a function that has secret values as arguments.
func panicText(ctx context.Context, with any, seen secretstore.Snapshot, minted provider.Minted) (text string) {
	defer func() {
		text = fmt.Sprintf("panic: %v %+v\n%s", recover(), ctx, debug.Stack())
	}()
	func(secretstore.Snapshot, provider.Minted) { panic(with) }(seen, minted)
	return ""
}
