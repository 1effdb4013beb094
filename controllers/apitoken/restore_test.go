package apitoken_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
	"apitoken.dev/operator/test/support/testutil"
)

var statusUpdate = testutil.Request{Verb: "update", Resource: "apitokens/status"}

// The restore takes one Find and one status write.
func TestLostStatusIsRestoredWithoutMinting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := activeOf(w.issue("training")).Name
	secret := w.secret("training")
	w.operator.stop(w)
	w.editStatus(func(s *v1alpha1.ApiTokenStatus) { *s = v1alpha1.ApiTokenStatus{} })
	w.requests.Take()
	w.start()
	token := w.waitReady("training")
	if got := activeOf(token); got.Name != before || got.Reason != "Restored" || token.Status.Revision != 1 {
		t.Errorf("adopted %+v at revision %d", got, token.Status.Revision)
	}
	w.waitIdle("training")
	counts := w.requests.Take().Of("apitokens", "secrets")
	if counts.Writes() != 1 || counts[statusUpdate] != 1 {
		t.Errorf("requests: %s", counts)
	}
	if n := w.backend.Count(fake.Find); n != 1 {
		t.Errorf("%d calls of Find", n)
	}
	if now := w.secret("training"); now.ResourceVersion != secret.ResourceVersion {
		t.Error("the Secret was written")
	}
	w.expectMints(1)
	w.expectEvent("Adopted", "adopted credential "+before)
	w.usableCredential("training")
	w.expectEvent("Adopted", "adopted credential "+before+" ("+activeOf(token).ID+"): the Secret holds it")
}

// recreate restores an ApiToken as a backup tool does, with another UID and without a status.
func (w *world) recreate(name string) *v1alpha1.ApiToken {
	w.Helper()
	w.edit(name, func(t *v1alpha1.ApiToken) { t.Finalizers = nil })
	old := w.token(name)
	w.delete(name)
	w.expectGone(name)
	fresh := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}, Spec: old.Spec}
	w.ExpectApplied(fresh)
	return fresh
}

// The restored ApiToken has another UID.
func TestRestoredApiTokenTakesItsSecretOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := activeOf(w.issue("training")).Name
	data := w.secret("training").Data
	w.operator.stop(w)
	fresh := w.recreate("training")
	w.requests.Take()
	w.start()
	token := w.waitReady("training")
	w.Until(func() string {
		if c := metav1.GetControllerOf(w.secret("training")); c == nil || c.UID != fresh.UID {
			return "the Secret has another owner"
		}
		return ""
	})
	w.waitIdle("training")
	if got := activeOf(token).Name; got != before {
		t.Errorf("adopted %s", got)
	}
	if n := w.backend.Count(fake.Find); n != 1 {
		t.Errorf("%d calls of Find", n)
	}
	// The writes are the finalizer, the adoption, the Secret's owner, and the Secret's version.
	if counts := w.requests.Take().Of("apitokens", "secrets"); counts.Writes() != 4 {
		t.Errorf("requests: %s", counts)
	}
	w.expectMints(1)
	w.expectData("training", data)
}

func TestRestoredSecretWithARevokedCredentialIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name
	backup := w.secret("training")
	w.delete("training")
	w.expectGone("training")
	w.deleteSecret("training")
	w.expectLive()

	backup.ResourceVersion, backup.UID = "", ""
	w.ExpectApplied(backup)
	token := w.issue("training")
	if got := activeOf(token); got.Name == first || token.Status.Revision != 2 {
		t.Errorf("issued %+v at revision %d", got, token.Status.Revision)
	}
	w.usableCredential("training")
	checkOwner(t, w.secret("training"), token)
	w.expectMints(2)
}

// A user wrote the highest revision into the Secret. The next credential still gets a name.
func TestForgedRevisionDoesNotBlockIssuing(t *testing.T) {
	t.Parallel()
	for name, forged := range map[string]int64{"the largest number": math.MaxInt64, "the largest revision": credname.MaxRevision} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			first := activeOf(w.issue("training")).Name
			w.editSecret("training", func(s *corev1.Secret) {
				odd := credname.Name{Cluster: cluster, Owner: credname.Owner(w.ns, "training"), Revision: forged, Nonce: "aaaaaaaaaa"}
				s.Annotations[v1alpha1.AnnotationCredential] = odd.String()
			})
			token := w.waitReplaced("training", first)
			if e := activeOf(token); w.usableCredential("training") != e.Name || token.Status.Revision < 2 || token.Status.Revision > credname.MaxRevision {
				t.Errorf("issued %s at revision %d", e.Name, token.Status.Revision)
			}
		})
	}
}

// A user restores the Secret from before a rotation.
func TestRestoredOldSecretIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name
	backup := w.secret("training")
	w.edit("training", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
	second := activeOf(w.waitReplaced("training", first)).Name
	w.waitIdle("training")
	w.editSecret("training", func(s *corev1.Secret) { s.Annotations, s.Data = backup.Annotations, backup.Data })
	third := activeOf(w.waitReplaced("training", second)).Name
	if held := w.usableCredential("training"); held != third {
		t.Errorf("the Secret holds %s", held)
	}
	w.advance(2 * time.Hour)
	w.expectLive(third)
}

func TestRestoredStatusWithoutSecretIssuesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := activeOf(w.issue("training")).Name
	w.operator.stop(w)
	w.deleteSecret("training")
	w.start()
	token := w.waitReplaced("training", first)
	if got := activeOf(token).Reason; got != "SecretLost" {
		t.Errorf("issued for %s", got)
	}
	w.advance(2 * time.Hour)
	w.expectLive(activeOf(token).Name)
}

// A copy of a cluster replaces credentials in its own Secrets, and does not revoke the original's.
func TestCopiedClusterNeverRevokesTheOriginal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	original := credname.Cluster("the original")
	name, err := credname.New(original, credname.Owner(w.ns, "training"), 7, 0, zeros{})
	w.OK(err)
	conn, _, err := w.driver.Connect(w.Context(), provider.Config{Credentials: map[string]provider.Value{fake.TokenKey: provider.NewValue(kit.MinterToken)}})
	w.OK(err)
	w.excused[name.String()] = true
	w.declareOriginal(conn, name.String(), original)
	w.issue("training")
	if held := w.usableCredential("training"); held == name.String() {
		t.Error("the Secret holds the original's credential")
	}
	w.delete("training")
	w.expectGone("training")
	w.expectLive(name.String())
}

// declareOriginal creates a live credential of another cluster, and its Secret.
func (w *world) declareOriginal(conn provider.Client, name, cluster string) {
	w.Helper()
	w.backend.OnCall = nil // no operator runs yet
	_, err := conn.Mint(w.Context(), provider.MintRequest{Name: name, Owner: provider.Owner{Cluster: cluster, Namespace: w.ns, Token: "training"}})
	w.OK(err)
	w.backend.OnCall = w.witness
	w.ExpectApplied(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: w.ns, Name: "training", Labels: map[string]string{v1alpha1.LabelManaged: "true"},
		Annotations: map[string]string{
			v1alpha1.AnnotationToken: "training", v1alpha1.AnnotationCluster: cluster, v1alpha1.AnnotationCredential: name,
		},
	}})
}

// zeros is a source of random bytes that are all zero.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// The backup holds an attempt that was rejected later. The next attempt got the same revision. Its
// credential is adopted by a process that saw the rejection and by one that did not.
func TestStatusRestoredFromBeforeARejectionAdoptsTheCredential(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"the same process": false, "another process": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var once sync.Once
			attempt := &v1alpha1.ApiToken{ObjectMeta: metaOf(w.ns, "training")}
			w.hook(func(ctx context.Context, call fake.Call) fake.Fault {
				out := fake.Fault{}
				if call.Verb == fake.Mint && call.Phase == fake.Before {
					once.Do(func() {
						w.OK(w.Get(ctx, client.ObjectKeyFromObject(attempt), attempt))
						out = fake.Fault{Kind: fake.Reject, Code: provider.CodeQuota}
					})
				}
				return out
			})
			w.declare("training")
			w.expectCondition("training", v1alpha1.ConditionReconciling, v1alpha1.ReasonBackoff)
			w.advance(time.Minute)
			second := activeOf(w.waitReady("training")).Name
			w.waitIdle("training")
			if restart {
				w.operator.stop(w)
			}
			w.editStatus(func(s *v1alpha1.ApiTokenStatus) { *s = attempt.Status })
			if restart {
				w.start()
			}
			w.Until(func() string {
				if ledger.Entry(&w.token("training").Status, second) == nil {
					return "the ledger does not have the credential of the Secret"
				}
				return ""
			})
			w.passTime(time.Hour, 4)
			if token := w.waitReady("training"); len(token.Status.Credentials) != 1 {
				t.Errorf("left are %v", token.Status.Credentials)
			}
		})
	}
}
