package plan_test

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

const (
	account = "account-a"
	other   = "account-b"
)

// now is when every observation of these tests is made.
var now = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// change makes one thing different from a healthy ApiToken.
type change func(*plan.Observation)

// observe returns what is seen of a healthy ApiToken, a day after its
// credential was issued for 90 days, with some changes.
func observe(changes ...change) plan.Observation {
	o := plan.Observation{
		Now: now,
		Token: plan.Token{
			Namespace: "ml", Name: "training", UID: "0b0e2f8a-6a5d-4a53-9a61-000000000001", Generation: 1,
			Spec:         declaration,
			HasFinalizer: true,
			Revision:     7,
			Owns:         func(name string) bool { return strings.HasPrefix(name, "own-") },
		},
		Secret: plan.Secret{
			Trusted: true, Exists: true, Name: "training", Owner: `ApiToken "training"`,
			Credential: "own-active", Intact: true, MetadataCurrent: true, SettingsCurrent: true, DeclarationCurrent: true,
			Facts: plan.CredentialFacts{Account: account, Fingerprint: fingerprint, Revision: 7},
		},
		Provider: plan.Provider{
			Found: true, Ready: true, Admitted: true, Verified: true, Account: account,
			Capabilities: provider.Capabilities{ExpiryEnforcedBy: provider.EnforcedByProvider},
		},
	}
	o.Ledger = []plan.Entry{active("own-active")}
	for _, c := range changes {
		c(&o)
	}
	return o
}

// rotationIn is how long until the first entry is due for rotation.
func rotationIn(changes ...change) time.Duration {
	o := observe(changes...)
	return plan.RotationDue(o.Token.UID, &o.Token.Spec, &o.Ledger[0].LedgerEntry).Sub(now)
}

// at is a time as a status holds it.
func at(t time.Time) *metav1.Time { return &metav1.Time{Time: t} }

// text is a time in a spec, as a user wrote it.
func text(s string) *v1alpha1.Timestamp { return (*v1alpha1.Timestamp)(&s) }

// written is a time in a spec, as NewTimestamp writes it.
func written(t time.Time) *v1alpha1.Timestamp { return v1alpha1.NewTimestamp(t) }

// lasting is a duration as a spec holds it.
func lasting(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

// declaration is what the healthy ApiToken declares, and its fingerprint.
var declaration = v1alpha1.ApiTokenSpec{
	ProviderRef:    v1alpha1.ProviderReference{Kind: v1alpha1.KindTokenProvider, Name: "store"},
	Scopes:         []v1alpha1.Scope{"objectstorage:object-read-only"},
	Buckets:        []v1alpha1.Bucket{"datasets"},
	DeletionPolicy: v1alpha1.DeletionRevoke,
}

var fingerprint = plan.Fingerprint(&declaration)

// active is the ledger entry of a credential issued yesterday for 90 days, for
// the healthy ApiToken.
func active(name string) plan.Entry {
	return plan.Entry{Settled: true, LedgerEntry: v1alpha1.LedgerEntry{
		Name: name, State: v1alpha1.StateActive, Account: account, ID: "AKIA" + name,
		IssuedAt: at(now.Add(-24 * time.Hour)), ExpiresAt: at(now.Add(89 * 24 * time.Hour)), Fingerprint: fingerprint,
	}}
}

// attempt is a ledger entry that never became Active, of this process; settlesIn 0: it
// is settled.
func attempt(name string, state v1alpha1.CredentialState, settlesIn time.Duration) plan.Entry {
	return plan.Entry{Ours: true, Settled: settlesIn == 0, SettlesIn: settlesIn, LedgerEntry: v1alpha1.LedgerEntry{
		Name: name, State: state, Account: account, ReservedAt: at(reservedAt),
		ExpiresAt: at(reservedAt.Add(plan.DefaultLifetime)), LifetimeSeconds: int64(plan.DefaultLifetime / time.Second), Fingerprint: fingerprint,
	}}
}

// rejected is the attempt that was reserved last, and that the provider rejected.
func rejected(e plan.Entry) plan.Entry {
	e.Rejected = true
	return e
}

// reservedAt is when every attempt was reserved.
var reservedAt = now.Add(-time.Minute)

// adopting is the adoption of such an attempt: what was reserved, without an id.
func adopting(name string) plan.Adopt {
	return plan.Adopt{Name: name, Terms: ledger.Terms{
		Account: account, IssuedAt: reservedAt, ExpiresAt: reservedAt.Add(plan.DefaultLifetime), Lifetime: plan.DefaultLifetime,
		Fingerprint: fingerprint, Revision: 7,
	}}
}

// nameless is the entry before the provider has shown its id.
func nameless(e plan.Entry) plan.Entry {
	e.ID = ""
	return e
}

// retiring is an entry that was Active and may go in a while; below 0: it is due.
func retiring(name string, in time.Duration) plan.Entry {
	return plan.Entry{Settled: true, LedgerEntry: v1alpha1.LedgerEntry{
		Name: name, State: v1alpha1.StateRetiring, Account: account, ID: "AKIA" + name,
		IssuedAt: at(now.Add(-48 * time.Hour)), ExpiresAt: at(now.Add(80 * 24 * time.Hour)), RetireAt: at(now.Add(in)),
	}}
}

// anothers is an attempt, or a change in place, of another process, which this one has
// seen for a while.
func anothers(e plan.Entry, seenFor time.Duration) plan.Entry {
	e.Ours, e.SeenFor = false, seenFor
	return e
}

// reserved is an attempt as it was reserved a while ago.
func reserved(e plan.Entry, ago time.Duration) plan.Entry {
	e.ReservedAt = at(now.Add(-ago))
	return e
}

// marked is a credential that is being changed in place.
func marked(e plan.Entry) plan.Entry {
	e.Updating = "another fingerprint"
	return e
}

// by is the entry as another account issued it.
func by(account string, e plan.Entry) plan.Entry {
	e.Account = account
	return e
}

// Changes of the ledger.

// ledger replaces it.
func entries(entries ...plan.Entry) change {
	return func(o *plan.Observation) { o.Ledger = entries }
}

// nextTo adds entries to the Active one.
func nextTo(entries ...plan.Entry) change {
	return func(o *plan.Observation) { o.Ledger = append(o.Ledger, entries...) }
}

// entry changes the first entry.
func entry(edit func(*plan.Entry)) change {
	return func(o *plan.Observation) { edit(&o.Ledger[0]) }
}

// expires says when the Active credential ends.
func expires(in time.Duration) change {
	return entry(func(e *plan.Entry) { e.ExpiresAt = at(now.Add(in)) })
}

// Changes of the Secret.

// live: it was read from the API server.
func live(o *plan.Observation) { o.Secret.Live = true }

// untrusted: it is not as it was last written or checked.
func untrusted(o *plan.Observation) { o.Secret.Trusted, o.Secret.Intact = false, false }

// absent: the Secret does not exist.
func absent(o *plan.Observation) {
	o.Secret = plan.Secret{Live: o.Secret.Live, Trusted: o.Secret.Trusted, Name: o.Secret.Name}
}

// foreign: it belongs to another owner.
func foreign(o *plan.Observation) {
	absent(o)
	o.Secret.Exists, o.Secret.Foreign, o.Secret.Owner = true, true, `Deployment "web"`
}

// holding names the credential it holds; empty: one of another cluster, or none.
func holding(name string) change {
	return func(o *plan.Observation) { o.Secret.Credential = name }
}

// edited: another client changed its data.
func edited(o *plan.Observation) { o.Secret.Intact = false }

// outdated: labels, annotations or the owner are not as declared.
func outdated(o *plan.Observation) { o.Secret.MetadataCurrent = false }

// otherBuckets: the keys that follow from the declaration are not as declared.
func otherBuckets(o *plan.Observation) { o.Secret.DeclarationCurrent = false }

// otherEndpoint: the keys that follow from the provider's settings are not as these say.
func otherEndpoint(o *plan.Observation) { o.Secret.SettingsCurrent = false }

// contested: another client changes the metadata back.
func contested(wait time.Duration) change {
	return func(o *plan.Observation) {
		outdated(o)
		o.Secret.Contest = plan.Contest{What: `label "team"`, By: "other-controller", Pause: time.Minute, Wait: wait}
	}
}

// beingDeleted: it is being deleted, and another's finalizer keeps it.
func beingDeleted(o *plan.Observation) {
	o.Secret.Deleting, o.Secret.HeldBy = true, "example.com/hold"
}

// Changes of the ApiToken.

// declared changes its spec.
func declared(edit func(*v1alpha1.ApiTokenSpec)) change {
	return func(o *plan.Observation) { edit(&o.Token.Spec) }
}

func suspend(o *plan.Observation) { o.Token.Spec.Suspend = true }

// otherScope makes the declaration differ from what was issued.
func otherScope(o *plan.Observation) {
	o.Token.Spec.Scopes = []v1alpha1.Scope{"objectstorage:object-read-write"}
}

// rotation declares rotation.generation.
func rotation(generation int64) change {
	return declared(func(s *v1alpha1.ApiTokenSpec) { s.Rotation.Generation = generation })
}

// endsIn declares a hard end, for which the current credentials were issued.
func endsIn(in time.Duration) change {
	return func(o *plan.Observation) {
		o.Token.Spec.ExpiresAt = written(now.Add(in))
		for i := range o.Ledger {
			if e := &o.Ledger[i]; e.State == v1alpha1.StateActive {
				e.ExpiresAt, e.Fingerprint = at(now.Add(in)), plan.Fingerprint(&o.Token.Spec)
			}
		}
	}
}

func deleted(o *plan.Observation) { o.Token.Deleting = true }

func retain(o *plan.Observation) { o.Token.Spec.DeletionPolicy = v1alpha1.DeletionRetain }

func noFinalizer(o *plan.Observation) { o.Token.HasFinalizer = false }

// revision sets how many credentials were reserved so far.
func revision(n int64) change { return func(o *plan.Observation) { o.Token.Revision = n } }

// budget sets what is left of the mint budget since a while ago.
func budget(remaining int32, since time.Duration) change {
	return func(o *plan.Observation) {
		o.Token.Budget = &v1alpha1.MintBudget{Remaining: remaining, RefilledAt: metav1.NewTime(now.Add(-since))}
	}
}

// retry sets when the next attempt may start.
func retry(failures int32, in time.Duration) change {
	return func(o *plan.Observation) {
		o.Token.Retry = &v1alpha1.Retry{Failures: failures, NotBefore: metav1.NewTime(now.Add(in))}
	}
}

func publishRefused(o *plan.Observation) { o.Token.PublishRefused = true }

// lostStatus: nothing is known of what was issued, as after a restore.
func lostStatus(o *plan.Observation) {
	o.Ledger, o.Token.Revision, o.Token.Budget, o.Token.Retry = nil, 0, nil, nil
	o.Secret.Trusted = false
}

// answered: the provider was asked for the credential that the Secret names.
func answered(live bool) change {
	return func(o *plan.Observation) {
		o.Restored = &plan.Restored{Live: live, Account: account}
		if live {
			o.Restored.ID = "AKIA" + o.Secret.Credential
		}
	}
}

// Changes of the provider.

func missing(o *plan.Observation) { o.Provider = plan.Provider{} }

func notReady(o *plan.Observation) {
	o.Provider.Ready, o.Provider.Verified, o.Provider.Reason, o.Provider.Message = false, false, v1alpha1.ReasonUnreachable, "it does not answer"
}

func notAdmitted(o *plan.Observation) { o.Provider.Admitted = false }

func leaving(o *plan.Observation) { o.Provider.Deleting = true }

// belongs says which account the provider has now; empty: not known.
func belongs(account string) change {
	return func(o *plan.Observation) { o.Provider.Account = account }
}

// operatorEnds: the provider does not end credentials on time.
func operatorEnds(o *plan.Observation) {
	o.Provider.Capabilities.ExpiryEnforcedBy = provider.EnforcedByOperator
}

// anHour is the longest lifetime that the provider issues.
func anHour(o *plan.Observation) { o.Provider.Capabilities.MaxLifetime = time.Hour }

// refusing: the driver cannot grant something that is declared.
func refusing(r provider.Refusal) change {
	return func(o *plan.Observation) { o.Provider.Refusal = &r }
}

// failed: the last action of a rule failed in this process.
func failed(rule string) change {
	return func(o *plan.Observation) {
		before := o.Failed
		o.Failed = map[string]bool{rule: true}
		for r := range before {
			o.Failed[r] = true
		}
	}
}

// all puts changes together.
func all(changes ...change) change {
	return func(o *plan.Observation) {
		for _, c := range changes {
			c(o)
		}
	}
}

// unissued: nothing was issued yet, and there is no Secret.
var unissued = all(entries(), revision(0), absent)
