package explore

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
)

// Scenario is a story: a sequence of user actions. Each one happens when everything has
// come to rest.
type Scenario struct {
	Name  string
	story []func(*world)
	// patience is how far ahead the explorer follows timers before the story continues.
	patience time.Duration
	// prepare, if set, changes the provider and the declaration.
	prepare func(*fake.Driver, *v1alpha1.ApiTokenSpec)
	// both: two processes act at the same time, as without leader election, and a request
	// that changes the provider takes longer than it takes to see what it changed.
	both bool
	// shared: an older ApiToken has the same account.
	shared bool
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

// changesInPlace makes the provider change scopes without a new secret.
func changesInPlace(d *fake.Driver, _ *v1alpha1.ApiTokenSpec) {
	d.Caps.Updates = []provider.Field{provider.FieldScopes}
}

// oneSlotLeft gives the account room for two credentials. Another owner has one of them,
// and the ApiToken accepts a gap.
func oneSlotLeft(d *fake.Driver, spec *v1alpha1.ApiTokenSpec) {
	d.Caps.MaxLive = 2
	d.Backend.Stranger(1)
	spec.Rotation.Strategy = v1alpha1.RevokeFirst
}

// endsInAMonth sets spec.expiresAt.
func endsInAMonth(d *fake.Driver, spec *v1alpha1.ApiTokenSpec) {
	operatorEnds(d, spec)
	spec.ExpiresIn, spec.ExpiresAt = nil, v1alpha1.NewTimestamp(epoch.Add(month))
}

// operatorEnds makes a provider that does not enforce expiry.
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
	editTheSecret    = Scenario{Name: "rotate, edit the Secret", patience: long, story: []func(*world){timeToRotate, editSecret}}
	bucketsSuspended = Scenario{Name: "change buckets while suspended", patience: soon, story: []func(*world){suspend, changeBuckets, resume}}
	rotateSealed     = Scenario{Name: "rotate with a sealed Secret", patience: long, story: []func(*world){seal, timeToRotate}}
	endHeld          = Scenario{Name: "end while the Secret is held", patience: long, prepare: ends, story: []func(*world){(*world).hold, timeToHardEnd}}
	endSealed        = Scenario{Name: "end while the Secret is sealed", patience: long, prepare: ends, story: []func(*world){seal, timeToHardEnd}}
	yearAhead        = Scenario{Name: "a year ahead and back, rotate on request", patience: long,
		story: []func(*world){aheadOfTime, raiseGeneration, (*world).lift, raiseGeneration}}
	gapShared = Scenario{Name: "rotate with one slot that another waits for", patience: soon, prepare: oneSlotLeft, shared: true,
		story: []func(*world){neighbourAsks, timeToRotate}}
	twoOperators = Scenario{Name: "two operators rotate", patience: long, both: true, story: []func(*world){timeToRotate, raiseGeneration}}
	twoChange    = Scenario{Name: "two operators change scopes in place", patience: long, both: true, prepare: changesInPlace,
		story: []func(*world){changeScopes, changeScopesBack}}
	twoEdit    = Scenario{Name: "two operators, edit the Secret", patience: long, both: true, story: []func(*world){timeToRotate, editSecret}}
	twoOneSlot = Scenario{Name: "two operators rotate with one slot", patience: long, both: true, prepare: oneSlotLeft,
		story: []func(*world){timeToRotate, raiseGeneration}}
	loseTheSecretSoon = Scenario{Name: "issue, lose the Secret at once", patience: soon, story: []func(*world){deleteSecret}}
)

// Scenarios returns the stories that are explored.
func Scenarios() []Scenario {
	return []Scenario{
		{Name: "issue", patience: long}, // no live read of the Secret follows that would hide what was recorded
		rotateAndDelete, loseTheSecret, loseTheSecretSoon,
		editTheSecret,
		{Name: "change scopes, rotate on request", patience: long, story: []func(*world){changeScopes, raiseGeneration}},
		changeInPlace, oneSlot, crowded,
		retainAndRecreate,
		{Name: "rotate on request, reach the hard end", patience: soon, prepare: endsInAMonth, story: []func(*world){raiseGeneration, timeToEnd}},
		{Name: "suspend, reach the expiry", patience: soon, prepare: operatorEnds, story: []func(*world){suspend, timeToEnd}},
		{Name: "rotate, the namespace terminates", patience: soon, story: []func(*world){timeToRotate, terminateNamespace}},
		bucketsSuspended, rotateSealed, endHeld, endSealed, yearAhead, gapShared,
		twoOperators, twoChange, twoEdit, twoOneSlot,
	}
}

// ends sets a hard end, with a provider that does not enforce expiry.
func ends(d *fake.Driver, spec *v1alpha1.ApiTokenSpec) {
	d.Caps.ExpiryEnforcedBy = provider.EnforcedByOperator
	d.Ends = func(time.Time) time.Time { return time.Time{} }
	spec.ExpiresIn, spec.ExpiresAt = nil, new(v1alpha1.Timestamp(epoch.Add(hardEnd).Format(time.RFC3339)))
}

// hardEnd returns when access ends, in stories with a hard end.
const hardEnd = 10 * 24 * time.Hour

// noSlotLeft is oneSlotLeft with an ApiToken that does not accept a gap.
func noSlotLeft(d *fake.Driver, spec *v1alpha1.ApiTokenSpec) {
	oneSlotLeft(d, spec)
	spec.Rotation.Strategy = v1alpha1.MakeBeforeBreak
}
