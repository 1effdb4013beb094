package kit

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/registry"
	"apitoken.dev/operator/test/support/fake"
)

const (
	// MinterSecret is the name of the Secret with the minting credential.
	MinterSecret = "minter"
	// MinterToken is a minting credential. It begins like every secret of the tests.
	MinterToken = fake.Canary + "minting-credential"
)

// Drivers returns a registry in which a driver serves each provider with the block aws.
func Drivers(tb testing.TB, driver provider.Driver) *registry.Registry {
	tb.Helper()
	drivers, err := registry.New(registry.Entry{Driver: driver, Settings: func(s registry.Spec) (any, bool) { return nil, s.AWS != nil }})
	if err != nil {
		tb.Fatal(err)
	}
	return drivers
}

// Minter returns the Secret with a minting credential of the fake provider.
func Minter(namespace, token string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: MinterSecret},
		Data:       map[string][]byte{fake.TokenKey: []byte(token)},
	}
}

// ProviderSpec is a provider that Drivers knows and that uses the Minter.
func ProviderSpec() v1alpha1.ProviderSpec {
	return v1alpha1.ProviderSpec{
		CredentialsSecretRef: v1alpha1.SecretReference{Name: MinterSecret},
		AWS:                  &v1alpha1.AWSProvider{Region: "us-east-1"},
	}
}

// TokenProvider returns a provider for one namespace.
func TokenProvider(namespace, name string) *v1alpha1.TokenProvider {
	return &v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: ProviderSpec()}
}

// ClusterTokenProvider returns a provider for the namespaces with these labels.
func ClusterTokenProvider(name string, allowed map[string]string) *v1alpha1.ClusterTokenProvider {
	return &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.ClusterProviderSpec{
		AllowedNamespaces: &metav1.LabelSelector{MatchLabels: allowed}, ProviderSpec: ProviderSpec(),
	}}
}

// ApiToken returns an ApiToken of a provider, edited. The fake provider grants it.
func ApiToken(namespace, name string, ref v1alpha1.ProviderReference, edits ...func(*v1alpha1.ApiToken)) *v1alpha1.ApiToken {
	t := &v1alpha1.ApiToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ApiTokenSpec{
			ProviderRef: ref,
			Scopes:      []v1alpha1.Scope{"objectstorage:object-read-only"},
			Buckets:     []v1alpha1.Bucket{"datasets"},
		},
	}
	for _, edit := range edits {
		edit(t)
	}
	return t
}

// OfCluster refers to a ClusterTokenProvider.
func OfCluster(name string) v1alpha1.ProviderReference {
	return v1alpha1.ProviderReference{Kind: v1alpha1.KindClusterTokenProvider, Name: name}
}

// OfNamespace refers to a TokenProvider.
func OfNamespace(name string) v1alpha1.ProviderReference {
	return v1alpha1.ProviderReference{Kind: v1alpha1.KindTokenProvider, Name: name}
}
