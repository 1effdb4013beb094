package session

import (
	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/hint"
)

// SecretAccess is the right to read the Secret of an ApiToken.
func SecretAccess(t *v1alpha1.ApiToken) hint.Access {
	return hint.Access{Verb: "get", Resource: "secrets", Namespace: t.Namespace}
}

// ProviderAccess is the right to read the provider of an ApiToken.
func ProviderAccess(t *v1alpha1.ApiToken) hint.Access {
	r := hint.Access{Verb: "get", Group: v1alpha1.GroupVersion.Group, Resource: "tokenproviders", Namespace: t.Namespace}
	if t.Spec.ProviderRef.Kind == v1alpha1.KindClusterTokenProvider {
		r.Resource, r.Namespace = "clustertokenproviders", ""
	}
	return r
}
