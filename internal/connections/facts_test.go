package connections

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
)

func (w *world) facts(key account.Key, namespace string) account.Facts {
	w.Helper()
	f, err := w.pool.Facts(w.Context(), key, namespace, provider.Grant{})
	w.OK(err)
	return f
}

func TestFactsDescribeTheProvider(t *testing.T) {
	w := newWorld(t)
	if f := w.facts(account.Key{Kind: v1alpha1.KindTokenProvider, Namespace: w.key.Namespace, Name: "none"}, w.key.Namespace); f.Found {
		t.Errorf("a provider that does not exist: %+v", f)
	}
	f := w.facts(w.key, w.key.Namespace)
	if !f.Found || f.Ready || f.Deleting || !f.Admitted || f.ReadyReason != v1alpha1.ReasonProviderNotReady {
		t.Errorf("before its check: %+v", f)
	}
	if f.DriverType != fake.Type || f.Config.Cluster != "cluster" || f.Config.Settings != "us-east-1" || f.Config.Credentials != nil {
		t.Errorf("the driver's configuration is %+v", f.Config)
	}
	if f.Capabilities.ExpiryEnforcedBy == "" {
		t.Error("the capabilities are missing")
	}

	p := w.provider()
	w.Merge(p, func() { p.Finalizers = []string{v1alpha1.Finalizer} })
	w.status(p, metav1.ConditionTrue, v1alpha1.ReasonReady, p.Generation)
	if f := w.facts(w.key, w.key.Namespace); !f.Ready || f.Account.ID != "recorded" || f.ReadyReason != "" {
		t.Errorf("after its check: %+v", f)
	}
	w.status(p, metav1.ConditionTrue, v1alpha1.ReasonReady, p.Generation-1)
	if f := w.facts(w.key, w.key.Namespace); f.Ready || f.ReadyReason != v1alpha1.ReasonProviderNotReady {
		t.Errorf("checked at another generation: %+v", f)
	}
	w.status(p, metav1.ConditionFalse, v1alpha1.ReasonUnreachable, p.Generation)
	if f := w.facts(w.key, w.key.Namespace); f.Ready || f.ReadyReason != v1alpha1.ReasonUnreachable || f.ReadyMessage != "why" {
		t.Errorf("not reachable: %+v", f)
	}
	w.status(p, metav1.ConditionTrue, v1alpha1.ReasonReady, p.Generation)
	w.Merge(p, func() { p.Finalizers = []string{"example.com/other"} })
	if f := w.facts(w.key, w.key.Namespace); f.Ready {
		t.Errorf("without its finalizer: %+v", f)
	}
	w.ExpectDeleted(p)
	if f := w.facts(w.key, w.key.Namespace); !f.Found || !f.Deleting {
		t.Errorf("being deleted: %+v", f)
	}
	if n := w.backend.Count(fake.Connect); n != 0 {
		t.Errorf("facts made %d calls to the provider", n)
	}
}

// TestFactsOfAMissingProviderNameTheOtherKind: if a provider does not exist, the facts show
// whether one of the other kind has its name. They show nothing of other namespaces.
func TestFactsOfAMissingProviderNameTheOtherKind(t *testing.T) {
	w := newWorld(t)
	cluster := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{GenerateName: "other-"}, Spec: v1alpha1.ClusterProviderSpec{ProviderSpec: kit.ProviderSpec()}}
	w.ExpectApplied(cluster)
	ns := w.key.Namespace
	for name, c := range map[string]struct {
		key       account.Key
		namespace string
		want      v1alpha1.ProviderKind
	}{
		"no kind given":          {account.Key{Kind: v1alpha1.KindTokenProvider, Namespace: ns, Name: cluster.Name}, ns, v1alpha1.KindClusterTokenProvider},
		"wrong kind given":       {account.Key{Kind: v1alpha1.KindClusterTokenProvider, Name: w.key.Name}, ns, v1alpha1.KindTokenProvider},
		"in another namespace":   {account.Key{Kind: v1alpha1.KindClusterTokenProvider, Name: w.key.Name}, "elsewhere", ""},
		"neither kind exists":    {account.Key{Kind: v1alpha1.KindTokenProvider, Namespace: ns, Name: "none"}, ns, ""},
		"it exists":              {w.key, ns, ""},
		"it exists, clusterwide": {account.Key{Kind: v1alpha1.KindClusterTokenProvider, Name: cluster.Name}, ns, ""},
	} {
		if f := w.facts(c.key, c.namespace); f.OtherKind != c.want {
			t.Errorf("%s: the other kind is %q, want %q", name, f.OtherKind, c.want)
		}
	}
}

func (w *world) status(p *v1alpha1.TokenProvider, status metav1.ConditionStatus, reason string, generation int64) {
	w.Helper()
	p.Status.Account = "recorded"
	meta.SetStatusCondition(&p.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: status,
		Reason: reason, Message: "why", ObservedGeneration: generation})
	w.OK(w.Status().Update(w.Context(), p))
	w.verify(w.Context(), w.key)
	w.OK(w.Get(w.Context(), w.key.ObjectKey(), p))
}

// TestFactsHaveTheConnectedAccount: an account that changed while credentials are live is
// not recorded in the status, but the facts have it.
func TestFactsHaveTheConnectedAccount(t *testing.T) {
	w := newWorld(t)
	w.status(w.provider(), metav1.ConditionTrue, v1alpha1.ReasonReady, 1)
	if f := w.facts(w.key, w.key.Namespace); f.Account.ID != "recorded" {
		t.Errorf("without a connection the account is %q", f.Account.ID)
	}
	w.connect(w.viaConnect, 1)
	if f := w.facts(w.key, w.key.Namespace); f.Account.ID != fake.DefaultAccount {
		t.Errorf("with a connection the account is %q", f.Account.ID)
	}
}

func TestSelectedNamespacesAreAdmitted(t *testing.T) {
	w := newWorld(t)
	other := w.Namespace("other", nil)
	selector := func(labels map[string]string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: labels}
	}
	tests := map[string]struct {
		selector *metav1.LabelSelector
		admits   map[string]bool
	}{
		"absent means none":       {nil, map[string]bool{w.key.Namespace: false, other: false}},
		"empty means all":         {selector(nil), map[string]bool{w.key.Namespace: true, other: true, "nowhere": true}},
		"labels select":           {selector(map[string]string{"tokens": "allowed"}), map[string]bool{w.key.Namespace: true, other: false, "nowhere": false}},
		"kubernetes' own name":    {selector(map[string]string{"kubernetes.io/metadata.name": other}), map[string]bool{other: true, w.key.Namespace: false}},
		"one of two labels fails": {selector(map[string]string{"tokens": "allowed", "x": "y"}), map[string]bool{w.key.Namespace: false}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{GenerateName: "admits-"},
				Spec: v1alpha1.ClusterProviderSpec{ProviderSpec: kit.ProviderSpec(), AllowedNamespaces: test.selector}}
			w.ExpectApplied(p)
			got := map[string]bool{}
			for namespace := range test.admits {
				got[namespace] = w.facts(account.Of(p).Key(), namespace).Admitted
			}
			if diff := cmp.Diff(test.admits, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if w.facts(w.key, other).Admitted {
		t.Error("a TokenProvider admits another namespace")
	}
}

// With NoUpdates, no driver changes a credential in place.
func TestFactsOmitUpdatesThatAreTurnedOff(t *testing.T) {
	w := newWorld(t)
	driver := fake.New(w.backend)
	driver.Caps.Updates = []provider.Field{provider.FieldScopes}
	drivers, err := registry.New(registry.Entry{Driver: driver, Settings: func(registry.Spec) (any, bool) { return nil, true }})
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []bool{false, true} {
		w.pool = NewPool(Options{Reader: w.Client, Live: w.Client, Registry: drivers, Namespace: w.key.Namespace, Cluster: "cluster", NoUpdates: off})
		if got := w.facts(w.key, w.key.Namespace).Capabilities.Updates; (len(got) == 0) != off {
			t.Errorf("NoUpdates %t: the driver changes %v", off, got)
		}
	}
	if len(driver.Caps.Updates) == 0 {
		t.Error("the driver itself was changed")
	}
}

// TestLimitsAreThoseOfTheGrant: two ApiTokens of one provider can have different limits.
func TestLimitsAreThoseOfTheGrant(t *testing.T) {
	w := newWorld(t)
	driver := fake.New(w.backend)
	driver.CapsFor = func(g provider.Grant) provider.Capabilities {
		out := driver.Caps
		if slices.Contains(g.Scopes, "billing:read-only") {
			out.MaxLifetime, out.ExpiryEnforcedBy = time.Hour, provider.EnforcedByUser
		}
		return out
	}
	drivers, err := registry.New(registry.Entry{Driver: driver, Settings: func(registry.Spec) (any, bool) { return nil, true }})
	w.OK(err)
	w.pool = NewPool(Options{Reader: w.Client, Live: w.Client, Registry: drivers, Namespace: w.key.Namespace, Cluster: "cluster"})
	for scope, want := range map[string]provider.Enforcer{
		"objectstorage:object-read-only": provider.EnforcedByProvider, "billing:read-only": provider.EnforcedByUser,
	} {
		f, err := w.pool.Facts(t.Context(), w.key, w.key.Namespace, provider.Grant{Scopes: []string{scope}})
		w.OK(err)
		if f.Capabilities.ExpiryEnforcedBy != want || (f.Capabilities.MaxLifetime == time.Hour) != (want == provider.EnforcedByUser) {
			t.Errorf("%s: %+v", scope, f.Capabilities)
		}
	}
}
