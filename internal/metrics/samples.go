package metrics

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

// descriptions are those of all metrics of objects.
var descriptions []*prometheus.Desc

func describe(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc(name, help, labels, nil)
	descriptions = append(descriptions, d)
	return d
}

// Labels of an ApiToken, and of a provider or what is counted by provider. An ApiToken and
// its TokenProvider have the same namespace.
var (
	ofToken    = []string{"namespace", "name", "provider_kind", "provider"}
	ofProvider = []string{"provider_kind", "provider_namespace", "provider", "driver"}
)

var (
	info = describe("apitoken_operator_info",
		"1 for the leader; absent while no replica is the leader.", "version")
	started = describe("apitoken_operator_start_timestamp_seconds",
		"When the process of the leader was started.", "version")

	ready = describe("apitoken_ready",
		"1 when the Secret has a live credential for the current spec, else 0. Absent for an ApiToken that is being deleted or reached its hard end.", ofToken...)
	expiry = describe("apitoken_expiry_timestamp_seconds",
		"When the credential in use expires.", ofToken...)
	rotation = describe("apitoken_rotation_due_timestamp_seconds",
		"When the schedule replaces the credential in use, even if spec.suspend or an obstacle prevents that.", ofToken...)
	overlap = describe("apitoken_overlap_seconds",
		"How long the previous credential stays live after a rotation.", ofToken...)
	revocation = describe("apitoken_revocation_due_timestamp_seconds",
		"When the next credential is due to be revoked; in the past if that is overdue. Absent when none is due.", ofToken...)
	unreadable = describe("apitoken_unreadable",
		"1 for an ApiToken whose spec has a value that cannot be parsed: nothing is issued for it. Absent for all others.", ofToken...)

	credentials = describe("apitoken_credentials",
		"Credentials in the ledgers of ApiTokens, by provider and state (Minting, Active, Retiring, Abandoned, Unknown).", append(ofProvider[:4:4], "state")...)
	conditions = describe("apitoken_conditions",
		"ApiTokens, by provider and by type, status and reason of each condition.", append(ofProvider[:4:4], "type", "status", "reason")...)
	providerReady = describe("apitoken_provider_ready",
		"1 when the provider's credentials work for its current spec, else 0.", ofProvider...)
)

// unknown stands for the states that a newer version of the operator writes.
const unknown = "Unknown"

// states always have a series for each provider, so that no series disappears.
var states = []string{
	string(v1alpha1.StateMinting), string(v1alpha1.StateActive), string(v1alpha1.StateRetiring), string(v1alpha1.StateAbandoned), unknown,
}

// series is a metric with the joined values of its labels.
type series struct {
	desc   *prometheus.Desc
	labels string
}

// samples are the values of one scrape.
type samples map[series]float64

const separator = "\xff" // not UTF-8, so no label value contains it

func (s samples) of(d *prometheus.Desc, labels []string) series {
	return series{d, strings.Join(labels, separator)}
}

// keep sets a value, unless it has a lower one.
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

func (s samples) providers(from *objectSource, providers []account.Object, seen map[any]bool) {
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

func (s samples) tokens(from *objectSource, tokens []v1alpha1.ApiToken, providers []account.Object, seen map[any]bool) {
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

// token adds the metrics of one ApiToken.
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

// rotationDue is when the schedule replaces the active credential, even where
// status.rotatesAt is empty: the alerts ApiTokenExpiring and ApiTokenRotationStuck need it.
func rotationDue(t *v1alpha1.ApiToken) time.Time {
	for i := range t.Status.Credentials {
		if e := &t.Status.Credentials[i]; e.State == v1alpha1.StateActive {
			return plan.RotationDue(string(t.UID), &t.Spec, e)
		}
	}
	return time.Time{}
}

// revocationDue is when the next credential is due to be revoked: at the end of its
// overlap, or when the ApiToken is deleted. Manual credentials are left out, because the
// condition ActionRequired reports them.
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
