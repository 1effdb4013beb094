// Package v1alpha1 holds the kinds of the API group apitoken.dev: ApiToken,
// TokenProvider and ClusterTokenProvider.
//
// +kubebuilder:object:generate=true
// +groupName=apitoken.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the group and version of every kind in this package.
	GroupVersion = schema.GroupVersion{Group: "apitoken.dev", Version: "v1alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(func(s *runtime.Scheme) error {
		s.AddKnownTypes(GroupVersion,
			&ApiToken{}, &ApiTokenList{},
			&TokenProvider{}, &TokenProviderList{},
			&ClusterTokenProvider{}, &ClusterTokenProviderList{})
		metav1.AddToGroupVersion(s, GroupVersion)
		return nil
	})

	// AddToScheme adds the kinds of this package to a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)
