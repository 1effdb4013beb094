package explore

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/fake"
)

// Scenario is a story: what users do, one thing after the other, each when
// everything has come to rest.
type Scenario struct {
	Name  string
	story []func(*world)
	// patience is how far ahead a timer is waited for before the story goes on.
	patience time.Duration
	// prepare, if set, makes the provider and the declaration other than ordinary.
	prepare func(*fake.Driver, *v1alpha1.ApiTokenSpec)
}

func (s Scenario) token(d *fake.Driver) *v1alpha1.ApiToken {
	t := &v1alpha1.ApiToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: tokenKey.Namespace, Name: tokenKey.Name},
		Spec: v1alpha1.ApiTokenSpec{
			ProviderRef: v1alpha1.ProviderReference{Kind: v1alpha1.KindTokenProvider, Name: "p"},
			Scopes:      []v1alpha1.Scope{"objectstorage:object-read-only"},
			Buckets:     []v1alpha1.Bucket{"b"},
			ExpiresIn:   &metav1.Duration{Duration: 90 * 24 * time.Hour},
			Rotation:    v1alpha1.Rotation{Overlap: &metav1.Duration{Duration: time.Second}},
		},
	}
	if s.prepare != nil {
		s.prepare(d, &t.Spec)
	}
	return t
}

// changesInPlace: the provider changes scopes without a new secret.
func changesInPlace(d *fake.Driver, _ *v1alpha1.ApiTokenSpec) {
	d.Caps.Updates = []provider.Field{provider.FieldScopes}
}

// oneSlotLeft: the account has room for two credentials, somebody else has one of
// them, and the ApiToken accepts a gap.
func oneSlotLeft(d *fake.Driver, spec *v1alpha1.ApiTokenSpec) {
	d.Caps.MaxLive = 2
	d.Backend.Stranger(1)
	spec.Rotation.Strategy = v1alpha1.RevokeFirst
}

// endsInAMonth: spec.expiresAt is a hard end.
func endsInAMonth(d *fake.Driver, spec *v1alpha1.ApiTokenSpec) {
	operatorEnds(d, spec)
	spec.ExpiresIn, spec.ExpiresAt = nil, v1alpha1.NewTimestamp(epoch.Add(month))
}

// operatorEnds: the provider ends no credential by itself.
func operatorEnds(d *fake.Driver, spec *v1alpha1.ApiTokenSpec) {
	d.Caps.ExpiryEnforcedBy = provider.EnforcedByOperator
	spec.ExpiresIn = &metav1.Duration{Duration: month}
}

const month = 30 * 24 * time.Hour

// How long a story waits for timers: until attempts are settled, or a moment.
const (
	long = 30 * time.Minute
	soon = 5 * time.Second
)

var (
	rotateAndDelete   = Scenario{Name: "issue, rotate, delete", patience: long, story: []func(*world){timeToRotate, deleteToken}}
	loseTheSecret     = Scenario{Name: "issue, lose the Secret", patience: long, story: []func(*world){deleteSecret}}
	changeInPlace     = Scenario{Name: "change scopes in place", patience: soon, prepare: changesInPlace, story: []func(*world){changeScopes, changeScopesBack}}
	oneSlot           = Scenario{Name: "rotate with one slot", patience: long, prepare: oneSlotLeft, story: []func(*world){timeToRotate, raiseGeneration}}
	crowded           = Scenario{Name: "rotate when there is a slot", patience: soon, prepare: noSlotLeft, story: []func(*world){timeToRotate, strangerLeaves}}
	retainAndRecreate = Scenario{Name: "retain, forge the Secret, create again, delete", patience: long,
		story: []func(*world){timeToRotate, retainToken, forgeSecret, createAgain, deleteToken}}
	endHeld           = Scenario{Name: "end while the Secret is held", patience: long, prepare: ends, story: []func(*world){(*world).hold, timeToHardEnd}}
	loseTheSecretSoon = Scenario{Name: "issue, lose the Secret at once", patience: soon, story: []func(*world){deleteSecret}}
)

// Scenarios are the stories that are explored.
func Scenarios() []Scenario {
	return []Scenario{
		rotateAndDelete, loseTheSecret, loseTheSecretSoon,
		{Name: "rotate, edit the Secret", patience: long, story: []func(*world){timeToRotate, editSecret}},
		{Name: "change scopes, rotate on request", patience: long, story: []func(*world){changeScopes, raiseGeneration}},
		changeInPlace, oneSlot, crowded,
		retainAndRecreate,
		{Name: "rotate on request, reach the hard end", patience: soon, prepare: endsInAMonth, story: []func(*world){raiseGeneration, timeToEnd}},
		{Name: "suspend, reach the expiry", patience: soon, prepare: operatorEnds, story: []func(*world){suspendToken, timeToEnd}},
		{Name: "rotate, the namespace terminates", patience: soon, story: []func(*world){timeToRotate, terminateNamespace}},
		endHeld,
	}
}

// ends: access has a hard end, and the provider does not end anything by itself.
func ends(d *fake.Driver, spec *v1alpha1.ApiTokenSpec) {
	d.Caps.ExpiryEnforcedBy = provider.EnforcedByOperator
	d.Ends = func(time.Time) time.Time { return time.Time{} }
	spec.ExpiresIn, spec.ExpiresAt = nil, new(v1alpha1.Timestamp(epoch.Add(hardEnd).Format(time.RFC3339)))
}

// hardEnd is when access ends, for those that have a hard end.
const hardEnd = 10 * 24 * time.Hour

// noSlotLeft: the same, and the ApiToken accepts no gap.
func noSlotLeft(d *fake.Driver, spec *v1alpha1.ApiTokenSpec) {
	oneSlotLeft(d, spec)
	spec.Rotation.Strategy = v1alpha1.MakeBeforeBreak
}

func strangerLeaves(w *world) {
	w.note("somebody deletes the other credential of the account")
	for _, name := range w.backend.LiveNames() {
		if strings.HasPrefix(name, "stranger-") {
			w.backend.Delete(name)
		}
	}
}

func timeToRotate(w *world) {
	t := w.token()
	if t == nil || t.Status.RotatesAt == nil {
		return
	}
	w.keepOld()
	w.note("time passes until the rotation is due")
	w.advance(max(0, t.Status.RotatesAt.Sub(w.skewed())))
	w.current.woken = true
}

// timeToEnd lets a month pass, after which every credential has ended.
func timeToEnd(w *world) {
	w.keepOld()
	w.note("time passes until the end")
	w.advance(max(0, month+long+time.Minute-w.now))
	w.current.woken = true
}

func suspendToken(w *world) {
	w.editToken("suspend", func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true })
}

// timeToHardEnd lets time pass until spec.expiresAt.
func timeToHardEnd(w *world) {
	w.note("time passes until the hard end")
	w.advance(max(0, epoch.Add(hardEnd).Sub(w.skewed())))
	w.wakeAll()
}

func deleteToken(w *world) {
	w.note("a user deletes the ApiToken")
	w.server.Delete(apifakeToken)
}

// retainToken deletes the ApiToken and keeps its credential.
func retainToken(w *world) {
	w.editToken("deletionPolicy to Retain", func(t *v1alpha1.ApiToken) { t.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	deleteToken(w)
}

// createAgain creates an ApiToken of the same name, as a backup tool or a user does.
func createAgain(w *world) {
	if w.token() != nil || namespaceTerminates(w) {
		return
	}
	w.note("a user creates the ApiToken again")
	w.quiet(func() { must(w.server.Client(nil).Create(context.Background(), w.declared.DeepCopy())) })
}

// forgeSecret writes into the Secret's annotations what would hurt if it were believed.
func forgeSecret(w *world) {
	s := w.secret()
	if s == nil || !s.DeletionTimestamp.IsZero() {
		return
	}
	w.note("a user forges the annotations of the Secret")
	s = s.DeepCopy()
	s.Annotations[v1alpha1.AnnotationCredentialID] = victimID
	s.Annotations[v1alpha1.AnnotationIssuedAt] = "2000-01-01T00:00:00Z"
	s.Annotations[v1alpha1.AnnotationExpiresAt] = "2100-01-01T00:00:00Z"
	s.Annotations[v1alpha1.AnnotationRotation] = "9000000000000000000"
	w.write(s)
}

// victimID is the id of the first credential that is made in an account.
const victimID = "FAKE0001"

func deleteSecret(w *world) {
	w.note("a user deletes the Secret")
	w.keepOld()
	w.server.Delete(apifakeSecret)
}

func terminateNamespace(w *world) {
	w.note("the namespace terminates")
	for _, key := range w.server.TerminateNamespace(tokenKey.Namespace) {
		w.server.Delete(key)
	}
}

func editSecret(w *world) {
	w.note("a user edits the Secret")
	w.keepOld()
	w.editSecret(func(s *corev1.Secret) { s.Data[fake.KeySecret] = []byte(wrong) })
}

func (w *world) editSecret(edit func(*corev1.Secret)) {
	if s := w.secret(); s != nil {
		s = s.DeepCopy()
		edit(s)
		w.write(s)
	}
}

func changeScopes(w *world) {
	w.editToken("scopes", func(t *v1alpha1.ApiToken) {
		t.Spec.Scopes = []v1alpha1.Scope{"objectstorage:object-read-write"}
	})
}

func changeScopesBack(w *world) {
	w.editToken("scopes back", func(t *v1alpha1.ApiToken) {
		t.Spec.Scopes = []v1alpha1.Scope{"objectstorage:object-read-only"}
	})
}

func raiseGeneration(w *world) {
	w.editToken("rotation.generation", func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation++ })
}

func (w *world) editToken(what string, edit func(*v1alpha1.ApiToken)) {
	if t := w.token(); t != nil {
		w.note("a user changes %s", what)
		w.keepOld()
		t = t.DeepCopy()
		edit(t)
		w.write(t)
	}
}

// restoreSecret brings back the Secret as it was before the last rotation.
func restoreSecret(w *world) {
	w.note("a user restores the old Secret")
	w.restored = true
	s := w.old.DeepCopy()
	s.ResourceVersion, s.UID = "", ""
	if !w.obstacles[held] {
		controllerutil.RemoveFinalizer(s, holdFinalizer)
	}
	if now := w.secret(); now != nil {
		s.ResourceVersion, s.UID = now.ResourceVersion, now.UID
		w.write(s)
		return
	}
	w.quiet(func() { must(client.IgnoreAlreadyExists(w.server.Client(nil).Create(context.Background(), s))) })
}

func (w *world) keepOld() {
	if s := w.secret(); s != nil {
		w.old = s.DeepCopy()
	}
}

func (w *world) write(obj client.Object) {
	w.quiet(func() { must(w.server.Client(nil).Update(context.Background(), obj)) })
}
