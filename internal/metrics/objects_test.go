package metrics

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
)

// at returns a time in seconds.
func at(seconds int64) *metav1.Time {
	out := metav1.Unix(seconds, 0)
	return &out
}

// cache holds objects, as the cache of an operator does.
type cache struct {
	client.Reader
	tokens    []v1alpha1.ApiToken
	providers []v1alpha1.TokenProvider
	clusters  []v1alpha1.ClusterTokenProvider
	gone      bool
}

func (c *cache) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if c.gone {
		return errors.New("the cache is stopped")
	}
	switch l := list.(type) {
	case *v1alpha1.ApiTokenList:
		l.Items = c.tokens
	case *v1alpha1.TokenProviderList:
		l.Items = c.providers
	case *v1alpha1.ClusterTokenProviderList:
		l.Items = c.clusters
	}
	return nil
}

// token returns an ApiToken whose credential is valid from 0 to 9000 seconds.
func token(name string, edits ...func(*v1alpha1.ApiToken)) v1alpha1.ApiToken {
	t := v1alpha1.ApiToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: name, UID: types.UID(name), Generation: 2},
		Spec: v1alpha1.ApiTokenSpec{ProviderRef: v1alpha1.ProviderReference{Kind: v1alpha1.KindTokenProvider, Name: "store"},
			ExpiresIn: &metav1.Duration{Duration: 9000 * time.Second}, Rotation: v1alpha1.Rotation{Before: &metav1.Duration{Duration: 9 * time.Second}}},
		Status: v1alpha1.ApiTokenStatus{
			ExpiresAt: at(9000), RotatesAt: at(8991), Effective: v1alpha1.EffectiveValues{Overlap: "1m0s"},
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, ObservedGeneration: 2}},
			Credentials: []v1alpha1.LedgerEntry{
				{Name: "at1-" + name, State: v1alpha1.StateActive, IssuedAt: at(0), ExpiresAt: at(9000)},
			},
		},
	}
	for _, edit := range edits {
		edit(&t)
	}
	return t
}

func store(ready metav1.ConditionStatus) v1alpha1.TokenProvider {
	return v1alpha1.TokenProvider{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "store", UID: "store", Finalizers: []string{v1alpha1.Finalizer}},
		Status:     v1alpha1.ProviderStatus{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: ready}}},
	}
}

func condition(kind string, status metav1.ConditionStatus, reason string) func(*v1alpha1.ApiToken) {
	return func(t *v1alpha1.ApiToken) {
		t.Status.Conditions = append(t.Status.Conditions, metav1.Condition{Type: kind, Status: status, Reason: reason, ObservedGeneration: 2})
	}
}

func not(reason string) func(*v1alpha1.ApiToken) {
	return func(t *v1alpha1.ApiToken) {
		t.Status.Conditions[0].Status, t.Status.Conditions[0].Reason = metav1.ConditionFalse, reason
	}
}

func entry(state v1alpha1.CredentialState, retire *metav1.Time) func(*v1alpha1.ApiToken) {
	return func(t *v1alpha1.ApiToken) {
		t.Status.Credentials = append(t.Status.Credentials, v1alpha1.LedgerEntry{Name: "more", State: state, RetireAt: retire})
	}
}

func deleting(t *v1alpha1.ApiToken) { t.DeletionTimestamp = at(500) }

// serve makes a collector with one source for each cache.
func serve(t *testing.T, perToken bool, caches ...*cache) *objectCollector {
	t.Helper()
	c := &objectCollector{}
	for _, of := range caches {
		t.Cleanup(c.add(t.Context(), Objects{Cached: of, PerToken: perToken, Version: "v1", Driver: func(account.Object) string { return "fake" }}))
	}
	return c
}

// shows checks the series of a metric, without help and type.
func shows(t *testing.T, c *objectCollector, metric string, want ...string) {
	t.Helper()
	families, err := testutil.CollectAndFormat(c, expfmt.TypeTextPlain, metric)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(families)) {
		if !strings.HasPrefix(line, "#") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("%s is\n%s\nwant\n%s", metric, g, w)
	}
}

const ofStore = `name="%",namespace="ml",provider="store",provider_kind="TokenProvider"`

func labelsFor(name string) string { return "{" + strings.ReplaceAll(ofStore, "%", name) + "} " }

func TestObjectMetricsFollowTheNamingRules(t *testing.T) {
	c := serve(t, true, &cache{providers: []v1alpha1.TokenProvider{store(metav1.ConditionTrue)},
		tokens: []v1alpha1.ApiToken{token("a", entry(v1alpha1.StateRetiring, at(70))), token("b", unreadableEnd)}})
	problems, err := testutil.CollectAndLint(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil || len(families) != len(descriptions) {
		t.Errorf("%d of %d metrics are collected: %v", len(families), len(descriptions), err)
	}
}

func TestReadyIsForTheCurrentGeneration(t *testing.T) {
	c := serve(t, true, &cache{tokens: []v1alpha1.ApiToken{
		token("as-declared"),
		token("being-issued", not(v1alpha1.ReasonIssuing)),
		token("deleting", deleting),
		token("edited", func(t *v1alpha1.ApiToken) { t.Generation = 3 }),
		token("ended", not(v1alpha1.ReasonExpired)),
		token("new", func(t *v1alpha1.ApiToken) { t.Status = v1alpha1.ApiTokenStatus{} }),
	}})
	shows(t, c, "apitoken_ready",
		"apitoken_ready"+labelsFor("as-declared")+"1",
		"apitoken_ready"+labelsFor("being-issued")+"0",
		"apitoken_ready"+labelsFor("edited")+"0",
		"apitoken_ready"+labelsFor("new")+"0")
}

// unreadableEnd gives an ApiToken a hard end that no program can read.
func unreadableEnd(t *v1alpha1.ApiToken) {
	end := v1alpha1.Timestamp("2027-01-31T00:00:00z")
	t.Spec.ExpiresIn, t.Spec.ExpiresAt = nil, &end
}

func TestUnreadableSpecIsCounted(t *testing.T) {
	tokens := &cache{tokens: []v1alpha1.ApiToken{token("a"), token("b", unreadableEnd), token("c", unreadableEnd, deleting)}}
	shows(t, serve(t, true, tokens), "apitoken_unreadable", "apitoken_unreadable"+labelsFor("b")+"1")
}

func TestTimesThatDoNotExistAreNotServed(t *testing.T) {
	c := serve(t, true, &cache{tokens: []v1alpha1.ApiToken{
		token("a"),
		token("deleting", deleting),
		token("endless", func(t *v1alpha1.ApiToken) { t.Status.ExpiresAt, t.Status.Credentials[0].ExpiresAt = nil, nil }),
		token("suspended", func(t *v1alpha1.ApiToken) { t.Spec.Suspend, t.Status.RotatesAt = true, nil }),
		token("not-replaced", func(t *v1alpha1.ApiToken) { t.Status.RotatesAt = nil }),
	}})
	shows(t, c, "apitoken_expiry_timestamp_seconds",
		"apitoken_expiry_timestamp_seconds"+labelsFor("a")+"9000",
		"apitoken_expiry_timestamp_seconds"+labelsFor("not-replaced")+"9000",
		"apitoken_expiry_timestamp_seconds"+labelsFor("suspended")+"9000")
	families, err := testutil.CollectAndFormat(c, expfmt.TypeTextPlain, "apitoken_rotation_due_timestamp_seconds")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "suspended", "not-replaced"} { // 9 seconds before the end, and up to a tenth of that earlier
		if at := "apitoken_rotation_due_timestamp_seconds" + labelsFor(name) + "899"; !strings.Contains(string(families), at) {
			t.Errorf("%s is not due when it should be:\n%s", name, families)
		}
	}
	if n := testutil.CollectAndCount(c, "apitoken_rotation_due_timestamp_seconds"); n != 3 {
		t.Errorf("%d are due some time, want 3", n)
	}
	shows(t, c, "apitoken_overlap_seconds",
		"apitoken_overlap_seconds"+labelsFor("a")+"60",
		"apitoken_overlap_seconds"+labelsFor("endless")+"60",
		"apitoken_overlap_seconds"+labelsFor("not-replaced")+"60",
		"apitoken_overlap_seconds"+labelsFor("suspended")+"60")
}

func TestRevocationDueIsTheEarliest(t *testing.T) {
	c := serve(t, true, &cache{tokens: []v1alpha1.ApiToken{
		token("manual", func(t *v1alpha1.ApiToken) {
			t.Status.Credentials = []v1alpha1.LedgerEntry{{State: v1alpha1.StateRetiring, RetireAt: at(70), ByHand: true}}
		}),
		token("deleting", deleting),
		token("in-order"),
		token("retained", deleting, func(t *v1alpha1.ApiToken) { t.Spec.DeletionPolicy = v1alpha1.DeletionRetain }),
		token("retiring", entry(v1alpha1.StateRetiring, at(90)), entry(v1alpha1.StateRetiring, at(70)), entry(v1alpha1.StateAbandoned, nil)),
	}})
	shows(t, c, "apitoken_revocation_due_timestamp_seconds",
		"apitoken_revocation_due_timestamp_seconds"+labelsFor("deleting")+"500",
		"apitoken_revocation_due_timestamp_seconds"+labelsFor("retiring")+"70")
}

func TestConditionsAndCredentialsAreCountedByProvider(t *testing.T) {
	c := serve(t, true, &cache{
		providers: []v1alpha1.TokenProvider{store(metav1.ConditionFalse)},
		clusters:  []v1alpha1.ClusterTokenProvider{{ObjectMeta: metav1.ObjectMeta{Name: "shared", UID: "shared"}}},
		tokens: []v1alpha1.ApiToken{
			token("a", condition(v1alpha1.ConditionActionRequired, metav1.ConditionTrue, v1alpha1.ReasonCreateCredential)),
			token("b", entry("Frozen", nil), condition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonSlotsExhausted)),
		},
	})
	const store = `provider="store",provider_kind="TokenProvider",provider_namespace="ml"`
	const shared = `provider="shared",provider_kind="ClusterTokenProvider",provider_namespace=""`
	shows(t, c, "apitoken_provider_ready",
		`apitoken_provider_ready{driver="fake",`+shared+`} 0`,
		`apitoken_provider_ready{driver="fake",`+store+`} 0`)
	shows(t, c, "apitoken_conditions",
		`apitoken_conditions{driver="fake",`+store+`,reason="CreateCredential",status="True",type="ActionRequired"} 1`,
		`apitoken_conditions{driver="fake",`+store+`,reason="Ready",status="True",type="Ready"} 2`,
		`apitoken_conditions{driver="fake",`+store+`,reason="SlotsExhausted",status="True",type="Reconciling"} 1`)
	shows(t, c, "apitoken_credentials",
		`apitoken_credentials{driver="fake",`+shared+`,state="Abandoned"} 0`,
		`apitoken_credentials{driver="fake",`+shared+`,state="Active"} 0`,
		`apitoken_credentials{driver="fake",`+shared+`,state="Minting"} 0`,
		`apitoken_credentials{driver="fake",`+shared+`,state="Retiring"} 0`,
		`apitoken_credentials{driver="fake",`+shared+`,state="Unknown"} 0`,
		`apitoken_credentials{driver="fake",`+store+`,state="Abandoned"} 0`,
		`apitoken_credentials{driver="fake",`+store+`,state="Active"} 2`,
		`apitoken_credentials{driver="fake",`+store+`,state="Minting"} 0`,
		`apitoken_credentials{driver="fake",`+store+`,state="Retiring"} 0`,
		`apitoken_credentials{driver="fake",`+store+`,state="Unknown"} 1`)
}

// Series also end when the cache or the operator stops.
func TestSeriesEndWithTheirObject(t *testing.T) {
	of := &cache{tokens: []v1alpha1.ApiToken{token("a"), token("b")}, providers: []v1alpha1.TokenProvider{store(metav1.ConditionTrue)}}
	c := &objectCollector{}
	remove := c.add(t.Context(), Objects{Cached: of, PerToken: true, Version: "v1", Started: time.Unix(1.7e9, 0), Driver: func(account.Object) string { return "" }})
	shows(t, c, "apitoken_ready", "apitoken_ready"+labelsFor("a")+"1", "apitoken_ready"+labelsFor("b")+"1")
	of.tokens, of.providers = of.tokens[1:], nil
	shows(t, c, "apitoken_ready", "apitoken_ready"+labelsFor("b")+"1")
	shows(t, c, "apitoken_provider_ready")
	shows(t, c, "apitoken_operator_info", `apitoken_operator_info{version="v1"} 1`)
	shows(t, c, "apitoken_operator_start_timestamp_seconds", `apitoken_operator_start_timestamp_seconds{version="v1"} 1.7e+09`)
	of.gone = true
	if n := testutil.CollectAndCount(c); n != 0 {
		t.Errorf("%d series of a cache that is stopped", n)
	}
	of.gone = false
	remove()
	if n := testutil.CollectAndCount(c); n != 0 {
		t.Errorf("%d series of an operator that stopped", n)
	}
}

// TestSharedSeriesHasTheLowestValue of a namespace and provider, so that the same alerts
// work without a series per ApiToken.
func TestSharedSeriesHasTheLowestValue(t *testing.T) {
	c := serve(t, false, &cache{tokens: []v1alpha1.ApiToken{
		token("a", func(t *v1alpha1.ApiToken) { t.Status.ExpiresAt = at(8000) }),
		token("b", not(v1alpha1.ReasonBackoff)),
		token("elsewhere", func(t *v1alpha1.ApiToken) { t.Namespace = "web" }),
	}})
	shows(t, c, "apitoken_ready",
		"apitoken_ready"+labelsFor("")+"0",
		"apitoken_ready"+strings.ReplaceAll(labelsFor(""), "ml", "web")+"1")
	shows(t, c, "apitoken_expiry_timestamp_seconds",
		"apitoken_expiry_timestamp_seconds"+labelsFor("")+"8000",
		"apitoken_expiry_timestamp_seconds"+strings.ReplaceAll(labelsFor(""), "ml", "web")+"9000")
}

// TestObjectsAreCountedOnce although two operators in one process see them.
func TestObjectsAreCountedOnce(t *testing.T) {
	of := &cache{tokens: []v1alpha1.ApiToken{token("a")}, providers: []v1alpha1.TokenProvider{store(metav1.ConditionTrue)}}
	c := serve(t, true, of, of)
	shows(t, c, "apitoken_conditions",
		`apitoken_conditions{driver="fake",provider="store",provider_kind="TokenProvider",provider_namespace="ml",reason="Ready",status="True",type="Ready"} 1`)
}
