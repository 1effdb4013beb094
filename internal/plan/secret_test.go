package plan_test

import (
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
)

// current: the Secret's data is as written, though its version is another.
func current(o *plan.Observation) { o.Secret.Intact = true }

var secretCases = map[string]nextCase{
	"labels changed in the spec": {
		reason: "The Secret is read before it is written.",
		given:  given(outdated),
		rule:   "sync-secret", action: plan.ReadSecret{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"labels changed in the spec, read": {
		reason: "The keys next to the credential are updated; nothing is minted.",
		given:  given(live, outdated),
		rule:   "sync-secret", action: plan.SyncSecret{Metadata: true}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"another version, unchanged": {
		reason: "A version that was read is recorded, so that the next reconcile reads nothing.",
		given:  given(live, untrusted, current),
		rule:   "sync-secret", action: plan.SyncSecret{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"as declared": {
		reason: "A restart over tokens in order writes nothing.",
		given:  given(live),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"labels and data changed": {
		reason: "A new credential is published over both.",
		given:  given(live, outdated, edited),
		rule:   "issue", action: issuing(plan.IssueSecretChanged), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"data changed, nothing can be issued": {
		reason: "Data that is not ours is not blessed by recording its version.",
		given:  given(live, untrusted, suspend),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"another credential, nothing can be issued": {
		reason: "A Secret that does not hold the Active credential is not kept up.",
		given:  given(live, outdated, holding(""), suspend),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"absent, nothing can be issued": {
		reason: "There is nothing to bring up to date.",
		given:  given(live, absent, suspend),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"of another owner": {
		reason: "A Secret that is not ours is never written.",
		given:  given(live, foreign, suspend),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"labels changed, provider not ready": {
		reason: "Labels need no provider.",
		given:  given(live, outdated, notReady),
		rule:   "sync-secret", action: plan.SyncSecret{Metadata: true}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"endpoint changed": {
		reason: "What follows from the provider's settings changes without a new credential.",
		given:  given(live, otherEndpoint),
		rule:   "sync-secret", action: plan.SyncSecret{Settings: true}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"endpoint changed, provider not ready": {
		reason: "Settings that were not found to work do not reach a workload.",
		given:  given(live, otherEndpoint, notReady),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: rotationIn(),
	},
	"buckets differ": {
		reason: "The credential was issued for what is declared, so the Secret may say it.",
		given:  given(live, otherBuckets),
		rule:   "sync-secret", action: plan.SyncSecret{Declaration: true}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"buckets changed, suspended": {
		reason: "The key in the Secret may not use the new bucket yet.",
		given:  given(live, otherBuckets, otherScope, suspend),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"buckets changed, budget empty": {
		reason: "The key in the Secret may not use the new bucket yet.",
		given:  given(live, otherBuckets, otherScope, budget(0, time.Minute)),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonMintBudgetExhausted, after: ledger.BudgetRefill - time.Minute,
	},
	"buckets, labels and endpoint changed, suspended": {
		reason: "Labels and endpoint are brought up to date all the same.",
		given:  given(live, otherBuckets, otherScope, outdated, otherEndpoint, suspend),
		rule:   "sync-secret", action: plan.SyncSecret{Metadata: true, Settings: true}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"buckets changed, an update in place is in doubt": {
		reason: "What the key may do is not known.",
		given:  given(live, otherBuckets, suspend, entry(func(e *plan.Entry) { e.Updating, e.Ours = fingerprint, true })),
		rule:   "blocked", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonSuspended,
	},
	"buckets changed, the provider cannot be reached": {
		reason: "An outage of the provider's API is no outage of the key.",
		given:  given(live, otherBuckets, otherScope, notReady),
		rule:   "blocked", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonProviderNotReady,
		after: rotationIn(),
	},
	"labels contested": {
		reason: "Two controllers that write at once would never stop. The version is not recorded, so that a restart reads it again.",
		given:  given(live, untrusted, current, contested(40*time.Second)),
		rule:   "contested", action: plan.Wait{}, state: plan.Progressing, code: v1alpha1.ReasonSecretContested, after: 40 * time.Second,
	},
	"labels contested, the pause is over": {
		reason: "The operator keeps trying, with longer and longer waits.",
		given:  given(live, untrusted, current, contested(0)),
		rule:   "sync-secret", action: plan.SyncSecret{Metadata: true}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"labels contested, endpoint changed": {
		reason: "Only what is contested waits.",
		given:  given(live, untrusted, current, contested(40*time.Second), otherEndpoint),
		rule:   "sync-secret", action: plan.SyncSecret{Settings: true}, state: plan.Steady, code: v1alpha1.ReasonReady,
	},
	"labels contested, a rotation is due": {
		reason: "The credential does not wait for labels.",
		given:  given(live, untrusted, current, contested(40*time.Second), rotation(1)),
		rule:   "issue", action: issuing(plan.IssueRotationRequested), state: plan.Progressing, code: v1alpha1.ReasonReissuing,
	},
	"labels changed, issuing blocked": {
		reason: "The obstacle to issuing is still reported.",
		given:  given(live, outdated, otherScope, retry(1, time.Minute)),
		rule:   "sync-secret", action: plan.SyncSecret{Metadata: true}, state: plan.Progressing, code: v1alpha1.ReasonBackoff,
	},
}

var steadyCases = map[string]nextCase{
	"healthy": {
		reason: "The next thing to do is the rotation.",
		given:  given(),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady,
		after: rotationIn(),
	},
	"overlap ends first": {
		reason: "The earliest due time counts.",
		given:  given(nextTo(retiring("own-1", 2*time.Minute), retiring("own-2", time.Minute))),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: time.Minute,
	},
	"attempt settles first": {
		reason: "The earliest due time counts.",
		given:  given(nextTo(retiring("own-1", 2*time.Minute), givenUp)),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: time.Minute,
	},
	"attempt about to settle": {
		reason: "There is always a pause between two reads.",
		given:  given(nextTo(givenUp), func(o *plan.Observation) { o.Ledger[1].SettlesIn = time.Millisecond }),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: time.Second,
	},
	"hard end first": {
		reason: "With a provider that issues for less than the hard end, both are looked at.",
		given:  given(endsIn(48*time.Hour), entry(func(e *plan.Entry) { e.ExpiresAt = at(now.Add(72 * time.Hour)) })),
		rule:   "steady", action: plan.Wait{}, state: plan.Steady, code: v1alpha1.ReasonReady, after: 48 * time.Hour,
	},
}

// dressed reports whether everything next to the credential is as declared.
func dressed(o *plan.Observation) bool {
	return o.Secret.MetadataCurrent && o.Secret.SettingsCurrent && o.Secret.DeclarationCurrent
}

// synced carries out a SyncSecret.
func synced(o *plan.Observation, a plan.SyncSecret) {
	s := &o.Secret
	s.MetadataCurrent = s.MetadataCurrent || a != (plan.SyncSecret{})
	s.SettingsCurrent, s.DeclarationCurrent = s.SettingsCurrent || a.Settings, s.DeclarationCurrent || a.Declaration
	s.Trusted = true
}

// says: the keys of the Secret that follow from the declaration change only with a
// credential that was issued for it.
func says(o *plan.Observation, d plan.Decision) string {
	a, ok := d.Action.(plan.SyncSecret)
	if !ok {
		return ""
	}
	e := find(o, o.Secret.Credential)
	for why, wrong := range map[string]bool{
		"the Secret was not read, or is not as the operator wrote it": !o.Secret.Live || !o.Secret.Intact,
		"it does not hold the Active credential":                      e.State != v1alpha1.StateActive || !names(o, e.Name),
		"its credential was issued for something else":                a.Declaration && (e.Fingerprint != plan.Fingerprint(&o.Token.Spec) || e.Updating != ""),
		"the provider's settings are not verified":                    (a.Settings || a.Declaration) && !o.Provider.Verified,
		"nothing has changed":                                         a == plan.SyncSecret{} && o.Secret.Trusted,
	} {
		if wrong {
			return why
		}
	}
	return ""
}
