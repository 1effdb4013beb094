package session

import (
	"context"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/reading"
)

// ProviderFlag reads KIND/NAME; the zero value when it is empty.
func ProviderFlag(asked string) (v1alpha1.ProviderReference, error) {
	if asked == "" {
		return v1alpha1.ProviderReference{}, nil
	}
	kind, name, ok := strings.Cut(asked, "/")
	ref := v1alpha1.ProviderReference{Kind: v1alpha1.ProviderKind(kind), Name: name}
	if !ok || name == "" || ref.Kind != v1alpha1.KindTokenProvider && ref.Kind != v1alpha1.KindClusterTokenProvider {
		return ref, exit.Usagef("--provider: %q: write TokenProvider/NAME or ClusterTokenProvider/NAME", asked)
	}
	return ref, nil
}

// Provider reads the provider of an ApiToken.
func (s *Session) Provider(ctx context.Context, t *v1alpha1.ApiToken) reading.Of[account.Object] {
	return reading.Object(account.Get(ctx, s.Client, account.KeyFor(t)))
}

// AllProviders are the providers that a namespace can name. Each kind has rights of its own.
type AllProviders struct {
	Cluster, Own             reading.Of[[]account.Object]
	ClusterAccess, OwnAccess hint.Access
}

// Providers lists the providers of a namespace (all when empty) and of the cluster.
func (s *Session) Providers(ctx context.Context, namespace string) AllProviders {
	group := v1alpha1.GroupVersion.Group
	out := AllProviders{
		ClusterAccess: hint.Access{Verb: "list", Group: group, Resource: "clustertokenproviders"},
		OwnAccess:     hint.Access{Verb: "list", Group: group, Resource: "tokenproviders", Namespace: namespace},
	}
	cluster, own := &v1alpha1.ClusterTokenProviderList{}, &v1alpha1.TokenProviderList{}
	err := s.Client.List(ctx, cluster)
	var objects []account.Object
	for i := range cluster.Items {
		objects = append(objects, account.Of(&cluster.Items[i]))
	}
	out.Cluster = reading.List(objects, err)
	objects, err = nil, s.Client.List(ctx, own, client.InNamespace(namespace))
	for i := range own.Items {
		objects = append(objects, account.Of(&own.Items[i]))
	}
	out.Own = reading.List(objects, err)
	return out
}
