package account

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

func TestKeyForDefaultsToATokenProviderOfTheNamespace(t *testing.T) {
	token := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "t"}}
	token.Spec.ProviderRef.Name = "p"
	tests := map[v1alpha1.ProviderKind]Key{
		"":                                {Kind: v1alpha1.KindTokenProvider, Namespace: "n", Name: "p"},
		v1alpha1.KindTokenProvider:        {Kind: v1alpha1.KindTokenProvider, Namespace: "n", Name: "p"},
		v1alpha1.KindClusterTokenProvider: {Kind: v1alpha1.KindClusterTokenProvider, Name: "p"},
	}
	for kind, want := range tests {
		token.Spec.ProviderRef.Kind = kind
		if got := KeyFor(token); got != want {
			t.Errorf("%q: got %v, want %v", kind, got, want)
		}
		if diff := cmp.Diff([]string{want.String(), Named(want.Name)}, IndexProvider(token)); diff != "" {
			t.Error(diff)
		}
	}
	if got := IndexProvider(&corev1.Secret{}); got != nil {
		t.Errorf("a Secret is indexed by %v", got)
	}
}

func TestCredentialsOfAClusterProviderAreInTheOperatorsNamespace(t *testing.T) {
	spec := v1alpha1.ProviderSpec{CredentialsSecretRef: v1alpha1.SecretReference{Name: "minter"}}
	cluster := Of(&v1alpha1.ClusterTokenProvider{Spec: v1alpha1.ClusterProviderSpec{ProviderSpec: spec}})
	if got, want := cluster.CredentialsKey("operator"), (client.ObjectKey{Namespace: "operator", Name: "minter"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	namespaced := Of(&v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: "n"}, Spec: spec})
	if got, want := namespaced.CredentialsKey("operator"), (client.ObjectKey{Namespace: "n", Name: "minter"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestReferenceHasTheTimeOfTheReservation(t *testing.T) {
	reserved := metav1.Unix(1, 0)
	e := v1alpha1.LedgerEntry{Name: "own-1", ID: "K1"}
	if got, want := RefOf(&e), (provider.Ref{Name: "own-1", ID: "K1"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	e.ReservedAt = &reserved
	if got, want := RefOf(&e), (provider.Ref{Name: "own-1", ID: "K1", Since: reserved.Time}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
