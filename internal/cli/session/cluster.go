package session

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// unknownCluster stands in names for an identity that cannot be found out.
const unknownCluster = "cccccccc"

// ClusterOf is the identity hash that the operator puts into names: what the
// published Secret says where it agrees with the ledger, because the operator may
// have been told one; else that of the cluster.
func (s *Session) ClusterOf(ctx context.Context, t *v1alpha1.ApiToken, secret *metav1.ObjectMeta) string {
	if secret != nil {
		said := secret.Annotations[v1alpha1.AnnotationCluster]
		agrees := func(e v1alpha1.LedgerEntry) bool {
			name, err := credname.Parse(e.Name)
			return err == nil && name.InCluster(said)
		}
		if slices.ContainsFunc(t.Status.Credentials, agrees) {
			return said
		}
	}
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := s.Client.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, ns); err != nil {
		return unknownCluster // only names depend on it, and names are an example here
	}
	return credname.Cluster(string(ns.UID))
}

// Pool tells what the operator would know of providers, read through reader.
func (s *Session) Pool(reader client.Reader, cluster string) *connections.Pool {
	return connections.NewPool(connections.Options{Reader: reader, Live: reader, Registry: s.Registry, Cluster: cluster, Clock: s.Clock})
}

// Facts is what the operator would know of a token's provider, read through reader.
func (s *Session) Facts(ctx context.Context, reader client.Reader, t *v1alpha1.ApiToken, cluster string) (account.Facts, error) {
	return s.Pool(reader, cluster).Facts(ctx, account.KeyFor(t), t.Namespace, plan.GrantOf(&t.Spec))
}

// Request is what the provider would be asked for a token now. The name is an
// example: each attempt has one of its own.
func (s *Session) Request(t *v1alpha1.ApiToken, f *account.Facts, cluster string) provider.MintRequest {
	name := credname.Name{Cluster: cluster, Owner: credname.Owner(t.Namespace, t.Name), Revision: t.Status.Revision + 1, Nonce: "nnnnnnnnnn"}
	return observe.Request(t, f, cluster, name.String(), s.Clock.Now())
}
