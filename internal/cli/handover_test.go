package cli_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/test/support/kit"
)

const form = "create a credential at the provider (Object Storage Administration > API access > Add token) with: Token Name: a-b; Permission: Read only" +
	plan.ThenPut + "AWS_ACCESS_KEY_ID into a Secret"

// makeManual creates an ApiToken that waits for a manual credential.
func (w *world) makeManual(name string) *v1alpha1.ApiToken {
	w.Helper()
	t := w.createToken(name, func(t *v1alpha1.ApiToken) { t.Spec.ProviderRef.Name = "kloudbean" })
	return w.setActionRequired(t, v1alpha1.ReasonCreateCredential, form)
}

func (w *world) setActionRequired(t *v1alpha1.ApiToken, reason, message string) *v1alpha1.ApiToken {
	w.Helper()
	meta.SetStatusCondition(&t.Status.Conditions, condition(v1alpha1.ConditionActionRequired, true, reason, message, t.Generation))
	meta.SetStatusCondition(&t.Status.Conditions, condition(v1alpha1.ConditionStalled, true, v1alpha1.ReasonActionRequired, message, t.Generation))
	meta.SetStatusCondition(&t.Status.Conditions, condition(v1alpha1.ConditionReady, false, v1alpha1.ReasonActionRequired, message, t.Generation))
	w.OK(w.Status().Update(w.Context(), t))
	return t
}

func newHandoverWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, "").withRealClock()
	w.createProvider("kloudbean", func(p *v1alpha1.TokenProvider) {
		p.Spec = v1alpha1.ProviderSpec{KloudBean: &v1alpha1.KloudBeanProvider{S3Endpoint: "https://s3.kloudbean.com"}}
	})
	return w
}

// handoverSecret returns the Secret with the submitted credential, or nil.
func (w *world) handoverSecret(name string) *corev1.Secret {
	w.Helper()
	secret := &corev1.Secret{}
	err := w.Get(w.Context(), client.ObjectKey{Namespace: w.Ns, Name: name + v1alpha1.HandoverSuffix}, secret)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.Error(err)
	}
	return secret
}

// answerPrompts answers the prompts with these lines.
func (w *world) answerPrompts(lines ...string) {
	w.Env.ReadHidden = func() ([]byte, error) {
		if len(lines) == 0 {
			return nil, errors.New("asked too often")
		}
		line := lines[0]
		lines = lines[1:]
		return []byte(line), nil
	}
}

// acceptHandover returns a step that accepts a submitted credential, as the operator does.
func (w *world) acceptHandover(name string) func() bool {
	return func() bool {
		secret := w.handoverSecret(name)
		if secret == nil {
			return false
		}
		t := w.read(name)
		t.Status.Revision++
		t.Status.Credentials = []v1alpha1.LedgerEntry{{Name: w.credential(name, t.Status.Revision), State: v1alpha1.StateActive, ID: "AKIABYHAND",
			ByHand: true, IssuedAt: ago(0), Fingerprint: plan.Fingerprint(&t.Spec)}}
		t.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonReady, "taken over", t.Generation)}
		return w.Status().Update(w.Context(), t) == nil && w.Delete(w.Context(), secret) == nil
	}
}

func TestHandoverSubmitsWhatTheUserTypes(t *testing.T) {
	w := newHandoverWorld(t)
	w.makeManual("media")
	w.answerPrompts(" AKIABYHAND\r", canary)
	var seen *corev1.Secret
	w.actAsOperator(func() bool { seen = w.handoverSecret("media"); return seen != nil }, w.acceptHandover("media"))
	r := w.expect(w.run("handover", "media"), exit.OK,
		"Token Name: a-b\n  Permission: Read only", "AWS_ACCESS_KEY_ID (not shown): \nAWS_SECRET_ACCESS_KEY (not shown): \n", "media ready")
	if strings.Contains(r.out+r.err, "AKIABYHAND\r") {
		t.Error("what was typed is shown")
	}
	if strings.Contains(r.out+r.err, "into a Secret") {
		t.Errorf("it asks for a Secret, which it makes itself: %s", r.out+r.err)
	}
	if diff := cmp.Diff(map[string][]byte{"AWS_ACCESS_KEY_ID": []byte("AKIABYHAND"), "AWS_SECRET_ACCESS_KEY": []byte(canary)}, seen.Data); diff != "" {
		t.Error("the Secret has other keys or values than were typed")
	}
	if seen.Labels[v1alpha1.LabelManaged] != v1alpha1.ManagedHandover || len(seen.OwnerReferences) != 1 {
		t.Errorf("the Secret has the labels %v and the owners %v", seen.Labels, seen.OwnerReferences)
	}
}

// The submitted credential replaces an earlier one, which the operator rejected too.
func TestHandoverShowsWhyTheOperatorRefused(t *testing.T) {
	w := newHandoverWorld(t)
	token := w.makeManual("media")
	w.makeStalled(token, v1alpha1.ReasonHandoverRefused, "the one before: it may write")
	w.setActionRequired(token, v1alpha1.ReasonCreateCredential, "the credential in Secret \"media-handover\" cannot be used: it may write. "+form)
	w.OK(w.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, Name: "media-handover",
		Labels: map[string]string{v1alpha1.LabelManaged: v1alpha1.ManagedHandover}}, Data: map[string][]byte{"AWS_ACCESS_KEY_ID": []byte("old")}}))
	w.actAsOperator(func() bool {
		if s := w.handoverSecret("media"); s == nil || string(s.Data["AWS_SECRET_ACCESS_KEY"]) != canary {
			return false
		}
		now := w.read("media")
		now.Status.Revision++
		w.makeStalled(now, v1alpha1.ReasonHandoverRefused, "AWS_ACCESS_KEY_ID: it may write")
		return true
	})
	file := "# from the panel\nexport AWS_ACCESS_KEY_ID=AKIABYHAND\nAWS_SECRET_ACCESS_KEY=\"" + canary + "\"\nAWS_ENDPOINT_URL='https://s3.kloudbean.com'\nBUCKET_NAME=datasets\n"
	w.expect(w.runWithInput(file, "handover", "media", "--from-env-file", "-"), exit.Refused,
		"was submitted before and is replaced", "HandoverRefused: AWS_ACCESS_KEY_ID: it may write")
}

// A key that is or was in use is rejected at once, and no Secret is created.
func TestHandoverRefusesAKeyOfTheLedger(t *testing.T) {
	for state, says := range map[v1alpha1.CredentialState]string{
		v1alpha1.StateActive: "credential AKIABYHAND is in use already", v1alpha1.StateRetiring: "credential AKIABYHAND was submitted before",
	} {
		w := newHandoverWorld(t)
		token := w.makeManual("media")
		token.Status.Credentials = []v1alpha1.LedgerEntry{{Name: w.credential("media", 1), State: state, ID: "AKIABYHAND", ByHand: true, IssuedAt: ago(0)}}
		w.OK(w.Status().Update(t.Context(), token))
		w.answerPrompts("AKIABYHAND", canary)
		w.expect(w.run("handover", "media"), exit.Refused, says, "create another one")
		w.expect(w.runWithInput("AWS_ACCESS_KEY_ID=AKIABYHAND\nAWS_SECRET_ACCESS_KEY="+canary+"\n", "handover", "media", "--from-env-file=-"), exit.Refused, says)
		if w.handoverSecret("media") != nil {
			t.Errorf("%s: a Secret was made all the same", state)
		}
	}
}

// The ledger does not have the id of the key yet, so only the operator can recognize the key. It
// deletes the handover and continues to wait.
func TestHandoverReportsAKeyThatOnlyTheOperatorRecognizes(t *testing.T) {
	w := newHandoverWorld(t)
	token := w.makeManual("media")
	name := w.credential("media", 1)
	token.Status.Credentials = []v1alpha1.LedgerEntry{{Name: name, State: v1alpha1.StateActive, ByHand: true, IssuedAt: ago(0)}}
	w.OK(w.Status().Update(t.Context(), token))
	w.answerPrompts("AKIABYHAND", canary)
	w.actAsOperator(func() bool {
		secret := w.handoverSecret("media")
		return secret != nil && w.Delete(w.Context(), secret) == nil
	})
	w.expect(w.run("handover", "media", "--timeout=1m"), exit.Refused, "credential "+name+" is in use already", "create another one")
}

func TestHandoverRejectsIncompleteInput(t *testing.T) {
	w := newHandoverWorld(t)
	w.makeManual("media")
	w.expect(w.run("handover", "media"), exit.Usage, "no terminal to prompt on")
	for says, file := range map[string]string{
		"AWS_SECRET_ACCESS_KEY is missing or empty":        "AWS_ACCESS_KEY_ID=a\n",
		"line 2 is not KEY=VALUE":                          "AWS_ACCESS_KEY_ID=a\n" + canary + "\n",
		"line 2 gives AWS_ACCESS_KEY_ID a second time":     "AWS_ACCESS_KEY_ID=a\nAWS_ACCESS_KEY_ID=" + canary + "\n",
		"PASSWORD is not expected: submit AWS_ACCESS_KEY_": "AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=" + canary + "\nPASSWORD=" + canary + "\n",
	} {
		w.expect(w.runWithInput(file, "handover", "media", "--from-env-file=-"), exit.Usage, says)
	}
	w.expect(w.run("handover", "media", "--from-env-file=no-such-file"), exit.Usage, "no-such-file")
	w.answerPrompts("AKIABYHAND", "")
	w.expect(w.run("handover", "media"), exit.Usage, "AWS_SECRET_ACCESS_KEY is missing or empty")
	if w.handoverSecret("media") != nil {
		t.Error("a Secret was made all the same")
	}

	w.OK(w.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Ns, Name: "media-handover"}}))
	w.answerPrompts("AKIABYHAND", canary)
	w.expect(w.run("handover", "media"), exit.Refused, "has no label apitoken.dev/managed: handover")

	w.createToken("nothing")
	w.expect(w.run("handover", "nothing"), exit.Refused, "needs no action by a user (NotObserved)")
	old := w.makeManual("old")
	w.setActionRequired(old, v1alpha1.ReasonDeleteCredential, "delete credential AKIAOLD at the provider")
	w.expect(w.run("handover", "old"), exit.Refused, "delete credential AKIAOLD", "nothing to submit")
}

// The confirmation is for the generation that was shown.
func TestHandoverConfirmsAnEdit(t *testing.T) {
	w := newHandoverWorld(t)
	token := w.makeManual("media")
	w.setActionRequired(token, v1alpha1.ReasonEditCredential, "edit credential AKIABYHAND at the provider")
	w.expect(w.runWithInput("no\n", "handover", "media"), exit.Refused, "Is it edited?")
	w.actAsOperator(func() bool {
		now := w.read("media")
		if now.Annotations[v1alpha1.AnnotationEdited] != "1" {
			return false
		}
		now.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, true, v1alpha1.ReasonReady, "edited", now.Generation)}
		return w.Status().Update(w.Context(), now) == nil
	})
	w.expect(w.runWithInput("y\n", "handover", "media"), exit.OK, "edit credential AKIABYHAND", "edit confirmed", "media ready")
}

// With -v, requests are logged, but not the bodies of requests with a Secret.
func TestVerboseOutputHidesSecrets(t *testing.T) {
	w := newHandoverWorld(t)
	w.createProvider("object-store")
	w.makeReady(w.createToken("one"))
	w.makeManual("media")
	var log kit.Output
	captureLog(t, &log)
	w.Env.Exec = func(string, []string, []string) error { return nil }
	w.expect(w.run("env", "one", "-v=10", "--", "sh"), exit.OK)
	w.answerPrompts("AKIABYHAND", canary)
	w.expect(w.run("handover", "media", "--wait=false", "-v=10"), exit.OK)
	w.expect(w.run("import", "one", "-v=10"), exit.Refused)
	klog.Flush()
	if got := log.String(); !strings.Contains(got, "apitokens/one") || kit.Leaks(got) {
		t.Errorf("the log mentions the ApiToken: %t; it shows a secret: %t", strings.Contains(got, "apitokens/one"), kit.Leaks(got))
	}
}
