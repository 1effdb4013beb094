package apitoken_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

func otherBucket(t *v1alpha1.ApiToken) { t.Spec.Buckets = []v1alpha1.Bucket{"models"} }

// expectBucket checks which bucket the Secret training names.
func (w *world) expectBucket(bucket string) {
	w.Helper()
	if got := string(w.secret("training").Data["BUCKET_NAME"]); got != bucket {
		w.Errorf("the Secret names bucket %q, want %q\n%s", got, bucket, w.dump())
	}
}

// No credential can be issued for the changed declaration, so the Secret still describes its key.
func TestSecretNamesABucketThatItsKeyMayUse(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		before func(w *world)
		edit   func(*v1alpha1.ApiToken)
		after  func(w *world)
	}{
		"suspended": {
			v1alpha1.ReasonSuspended, nil, func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true },
			func(w *world) { w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Suspend = false }) },
		},
		"budget empty": {
			v1alpha1.ReasonMintBudgetExhausted, func(w *world) {
				w.editStatus(func(s *v1alpha1.ApiTokenStatus) {
					s.MintBudget = &v1alpha1.MintBudget{RefilledAt: metav1.NewTime(epoch)}
				})
			}, nil,
			func(w *world) { w.editStatus(func(s *v1alpha1.ApiTokenStatus) { s.MintBudget = nil }) },
		},
		"provider failing": {
			v1alpha1.ReasonBackoff, func(w *world) { w.hook(rejecting(fake.Mint, provider.CodeInvalid)) }, nil,
			func(w *world) {
				w.hook(nil)
				w.editStatus(func(s *v1alpha1.ApiTokenStatus) { s.Retry = nil })
			},
		},
		"refused": {
			v1alpha1.ReasonLifetimeTooLong, nil,
			func(t *v1alpha1.ApiToken) { t.Spec.ExpiresIn = &metav1.Duration{Duration: 300 * day} },
			func(w *world) { w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.ExpiresIn = nil }) },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newEmptyWorld(t)
			w.driver.Caps.MaxLifetime = 100 * day
			w.createMinter()
			w.createProvider()
			w.start()
			first := activeOf(w.issue("training")).Name
			if c.before != nil {
				c.before(w)
			}
			w.edit("training", func(t *v1alpha1.ApiToken) {
				otherBucket(t)
				t.Spec.Secret.Labels = map[string]string{"team": "ml"}
				if c.edit != nil {
					c.edit(t)
				}
			})
			w.expectCondition("training", v1alpha1.ConditionReady, c.reason)
			w.expectMetadata(map[string]string{"team": "ml"}, nil)
			w.waitIdle("training")
			w.expectBucket("datasets")
			if held := w.usableCredential("training"); held != first {
				t.Errorf("the Secret holds %s", held)
			}
			c.after(w)
			w.waitReplaced("training", first)
			w.expectBucket("models")
		})
	}
}

// The key cannot use the old bucket any more.
func TestUpdateInPlaceChangesTheBucketInOneWrite(t *testing.T) {
	t.Parallel()
	w := newEmptyWorld(t)
	w.driver.Caps.Updates = []provider.Field{provider.FieldBuckets}
	w.createMinter()
	w.createProvider()
	w.start()
	first := activeOf(w.issue("training")).Name
	w.waitIdle("training")
	w.requests.Take()
	w.edit("training", otherBucket)
	token := w.waitReady("training")
	w.waitIdle("training")
	w.expectBucket("models")
	if held := w.usableCredential("training"); held != first || w.secret("training").Annotations[v1alpha1.AnnotationFingerprint] != activeOf(token).Fingerprint {
		t.Errorf("the Secret holds %s: %v", held, w.secret("training").Annotations)
	}
	if n := w.requests.Take().Of("secrets").Writes(); n != 1 {
		t.Errorf("%d writes of the Secret, want 1", n)
	}
}

// A manual credential is published again, although the declaration requires a new one.
func TestRepublishDeclaresTheAccessOfTheOldCredential(t *testing.T) {
	t.Parallel()
	w := newPanelWorld(t)
	w.declare("training")
	w.expectActionRequired(v1alpha1.ReasonCreateCredential)
	w.handOver()
	w.waitReady("training")
	first := w.usableCredential("training")
	w.edit("training", otherBucket)
	w.expectActionRequired(v1alpha1.ReasonCreateCredential, "Bucket: models")
	w.deleteSecret("training")
	w.Until(func() string {
		if w.secret("training") == nil {
			return "the credential is not put back"
		}
		return ""
	})
	w.waitIdle("training")
	w.expectBucket("datasets")
	if held := w.usableCredential("training"); held != first {
		t.Errorf("the Secret holds %s", held)
	}
}

// Data that another client changed is repaired at once. The cases are the ways of a credential into the
// ledger.
func TestEditedSecretIsNeverRecordedAsChecked(t *testing.T) {
	t.Parallel()
	spoil := func(w *world) {
		w.editSecret("training", func(s *corev1.Secret) { s.Data[fake.KeySecret] = []byte("something else") })
	}
	cases := map[string]func(w *world){
		"between publish and record": func(w *world) {
			w.operator.stop(w)
			w.interruptAttempt(v1alpha1.StateMinting)
			spoil(w)
			w.start()
		},
		"given up before it was recorded": func(w *world) {
			w.operator.stop(w)
			w.interruptAttempt(v1alpha1.StateAbandoned)
			spoil(w)
			w.start()
		},
		"status lost": func(w *world) {
			w.operator.stop(w)
			w.editStatus(func(s *v1alpha1.ApiTokenStatus) { *s = v1alpha1.ApiTokenStatus{} })
			spoil(w)
			w.start()
		},
		"while retained": func(w *world) {
			w.edit("training", retain)
			first := activeOf(w.waitReady("training")).Name
			w.excused[first] = true
			w.delete("training")
			w.expectGone("training")
			spoil(w)
			w.declare("training")
		},
		"while an update in place was in progress": func(w *world) {
			w.duringFirst(fake.Update, func() { spoil(w) })
			w.edit("training", readWrite)
		},
	}
	for name, do := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newUpdatingWorld(t)
			first := activeOf(w.issue("training")).Name
			do(w)
			w.Until(func() string {
				if token := w.token("training"); token == nil || activeOf(token) == nil || activeOf(token).Name == first {
					return "nothing was issued in place of the changed Secret"
				}
				return ""
			})
			w.waitReady("training")
			w.waitIdle("training")
			w.usableCredential("training")
		})
	}
}

// Only Snapshot.Checked decides which version of a Secret counts as checked.
func TestCheckedVersionIsRecordedInOnePlace(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range append(files, "../../internal/ledger/*.go") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(raw)) {
			if strings.Contains(line, "Secret.ResourceVersion =") {
				found = append(found, name+": "+strings.TrimSpace(line))
			}
		}
	}
	if len(found) != 1 || !strings.Contains(found[0], "= p.seen.Checked()") {
		t.Errorf("the checked version is written by: %v", found)
	}
}
