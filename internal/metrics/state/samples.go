package state

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/plan"
)

// descriptions are those of all metrics of this package.
var descriptions []*prometheus.Desc

func describe(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc(name, help, labels, nil)
	descriptions = append(descriptions, d)
	return d
}

// Labels of an ApiToken, of a provider, and of what is counted by provider. The
// namespace of an ApiToken's TokenProvider is its own.
var (
	ofToken    = []string{"namespace", "name", "provider_kind", "provider"}
	ofProvider = []string{"provider_kind", "provider_namespace", "provider", "driver"}
)

var (
	info = describe("apitoken_operator_info",
		"1 for the operator that works; absent when none does.", "version")
	started = describe("apitoken_operator_start_timestamp_seconds",
		"When the operator that works was started.", "version")

	ready = describe("apitoken_ready",
		"1 when the Secret holds a live credential for the present declaration, else 0. Absent for an ApiToken that is being deleted or reached its hard end.", ofToken...)
	expiry = describe("apitoken_expiry_timestamp_seconds",
		"When the credential in use ends.", ofToken...)
	rotation = describe("apitoken_rotation_due_timestamp_seconds",
		"When the schedule replaces the credential in use, also while spec.suspend or an obstacle keeps it from being replaced.", ofToken...)
	overlap = describe("apitoken_overlap_seconds",
		"For how long the previous credential lives on after a rotation, as in force now.", ofToken...)
	revocation = describe("apitoken_revocation_due_timestamp_seconds",
		"Since when, or from when on, a credential that is no longer needed is to be revoked: the earliest one. Absent when there is none.", ofToken...)
	unreadable = describe("apitoken_unreadable",
		"1 for an ApiToken whose spec holds a value that cannot be read: nothing is issued for it. Absent for all others.", ofToken...)

	credentials = describe("apitoken_credentials",
		"Credentials in the ledgers of ApiTokens, by provider and state (Minting, Active, Retiring, Abandoned, Unknown).", append(ofProvider[:4:4], "state")...)
	conditions = describe("apitoken_conditions",
		"ApiTokens by provider and by type, status and reason of each of their conditions.", append(ofProvider[:4:4], "type", "status", "reason")...)
	providerReady = describe("apitoken_provider_ready",
		"1 when the provider's credentials were found to work for its present declaration, else 0.", ofProvider...)
)

// unknown is the state of credentials that a newer version of the operator knows.
const unknown = "Unknown"

// states are those that are always shown, so that their series do not come and go.
var states = []string{
	string(v1alpha1.StateMinting), string(v1alpha1.StateActive), string(v1alpha1.StateRetiring), string(v1alpha1.StateAbandoned), unknown,
}

// series is one series: its metric, and the values of its labels, joined.
type series struct {
	desc   *prometheus.Desc
	labels string
}

// samples are the values of one scrape.
type samples map[series]float64

const separator = "\xff" // no label value of ours has it: it is not UTF-8

func (s samples) of(d *prometheus.Desc, labels []string) series {
	return series{d, strings.Join(labels, separator)}
}

// keep keeps the lowest value.
func (s samples) keep(d *prometheus.Desc, value float64, labels ...string) {
	key := s.of(d, labels)
	if had, ok := s[key]; !ok || value < had {
		s[key] = value
	}
}

// count adds to a value.
func (s samples) count(d *prometheus.Desc, n float64, labels ...string) { s[s.of(d, labels)] += n }

func (s samples) send(to chan<- prometheus.Metric) {
	for key, value := range s {
		to <- prometheus.MustNewConstMetric(key.desc, prometheus.GaugeValue, value, strings.Split(key.labels, separator)...)
	}
}

// once reports whether an object has not been counted yet.
func once(seen map[any]bool, uid types.UID) bool {
	if seen[uid] {
		return false
	}
	seen[uid] = true
	return true
}

func labelsOf(key account.Key, driver string) []string {
	return []string{string(key.Kind), key.Namespace, key.Name, driver}
}

func (s samples) providers(from *source, providers []account.Object, seen map[any]bool) {
	for _, o := range providers {
		if !once(seen, o.GetUID()) {
			continue
		}
		labels := labelsOf(o.Key(), from.Driver(o))
		s.keep(providerReady, number(o.Ready()), labels...)
		for _, state := range states {
			s.count(credentials, 0, append(labels[:4:4], state)...)
		}
	}
}

func (s samples) tokens(from *source, tokens []v1alpha1.ApiToken, providers []account.Object, seen map[any]bool) {
	drivers := map[account.Key]string{}
	for _, o := range providers {
		drivers[o.Key()] = from.Driver(o)
	}
	for i := range tokens {
		t := &tokens[i]
		if !once(seen, t.UID) {
			continue
		}
		key := account.KeyFor(t)
		s.counted(t, labelsOf(key, drivers[key]))
		labels := []string{t.Namespace, t.Name, string(key.Kind), key.Name}
		if !from.PerToken {
			labels[1] = ""
		}
		s.token(t, labels)
	}
}

// counted counts an ApiToken among those of its provider.
func (s samples) counted(t *v1alpha1.ApiToken, labels []string) {
	for i := range t.Status.Credentials {
		s.count(credentials, 1, append(labels[:4:4], stateOf(t.Status.Credentials[i].State))...)
	}
	for i := range t.Status.Conditions {
		c := &t.Status.Conditions[i]
		s.count(conditions, 1, append(labels[:4:4], c.Type, string(c.Status), c.Reason)...)
	}
}

func stateOf(state v1alpha1.CredentialState) string {
	switch state {
	case v1alpha1.StateMinting, v1alpha1.StateActive, v1alpha1.StateRetiring, v1alpha1.StateAbandoned:
		return string(state)
	default:
		return unknown
	}
}

// token gives what an ApiToken has of its own.
func (s samples) token(t *v1alpha1.ApiToken, labels []string) {
	at := func(d *prometheus.Desc, when time.Time) {
		if !when.IsZero() {
			s.keep(d, float64(when.Unix()), labels...)
		}
	}
	at(revocation, revocationDue(t))
	if !t.DeletionTimestamp.IsZero() {
		return
	}
	if _, err := t.Spec.HardEnd(); err != nil {
		s.keep(unreadable, 1, labels...)
	}
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Reason != v1alpha1.ReasonExpired {
		s.keep(ready, number(c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == t.Generation), labels...)
	}
	if t.Status.ExpiresAt != nil {
		at(expiry, t.Status.ExpiresAt.Time)
	}
	at(rotation, rotationDue(t))
	if d, err := time.ParseDuration(t.Status.Effective.Overlap); err == nil {
		s.keep(overlap, d.Seconds(), labels...)
	}
}

// rotationDue is when the schedule replaces the active credential, also where
// status.rotatesAt promises no rotation: the alerts ApiTokenExpiring and
// ApiTokenRotationStuck need it, and nothing else tells that the time comes.
func rotationDue(t *v1alpha1.ApiToken) time.Time {
	for i := range t.Status.Credentials {
		if e := &t.Status.Credentials[i]; e.State == v1alpha1.StateActive {
			return plan.RotationDue(string(t.UID), &t.Spec, e)
		}
	}
	return time.Time{}
}

// revocationDue is when the first credential is due to be revoked: with its
// overlap, or with the deletion of the ApiToken. Those that a person has to
// delete are left out: the condition ActionRequired speaks of them.
func revocationDue(t *v1alpha1.ApiToken) time.Time {
	var due time.Time
	for i := range t.Status.Credentials {
		e := &t.Status.Credentials[i]
		var at *metav1.Time
		switch {
		case e.ByHand || (!t.DeletionTimestamp.IsZero() && t.Spec.DeletionPolicy == v1alpha1.DeletionRetain):
		case !t.DeletionTimestamp.IsZero():
			at = t.DeletionTimestamp
		case e.State == v1alpha1.StateRetiring:
			at = e.RetireAt
		}
		if at != nil && (due.IsZero() || at.Time.Before(due)) {
			due = at.Time
		}
	}
	return due
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
