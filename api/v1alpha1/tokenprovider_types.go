package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ProviderSpec is one account at one provider. Exactly one driver block is set.
type ProviderSpec struct {
	// credentialsSecretRef names the Secret with the minting credentials: in the
	// namespace of a TokenProvider, in the operator's for a ClusterTokenProvider.
	// +required
	CredentialsSecretRef SecretReference `json:"credentialsSecretRef"`

	// aws: IAM and S3, at AWS or any compatible endpoint. The credentials Secret
	// holds AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
	// +optional
	AWS *AWSProvider `json:"aws,omitempty"`
}

// SecretReference names a Secret.
type SecretReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// AWSProvider is an account reached over the AWS IAM API.
type AWSProvider struct {
	// iamEndpoint is the URL of the IAM API; AWS itself when absent.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	IAMEndpoint string `json:"iamEndpoint,omitempty"`

	// s3Endpoint is the URL handed to workloads; AWS itself when absent.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	S3Endpoint string `json:"s3Endpoint,omitempty"`

	// region handed to workloads.
	// +optional
	// +kubebuilder:default=us-east-1
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Region string `json:"region,omitempty"`

	// caBundle is the PEM of a private CA that the endpoints' certificates chain to.
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	CABundle string `json:"caBundle,omitempty"`

	// permissionsBoundary is the ARN of a policy put as the boundary on every user made.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	PermissionsBoundary string `json:"permissionsBoundary,omitempty"`
}

// ProviderStatus is what the operator knows about an account.
type ProviderStatus struct {
	// observedGeneration is the generation of the spec this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready says that the credentials work, checked without minting.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// account the credentials belong to.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Account string `json:"account,omitempty"`

	// grantableScopes are the scopes this account can give.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	GrantableScopes []string `json:"grantableScopes,omitempty"`

	// liveCredentials counts the ledger entries that use this provider; updated
	// at most once a minute.
	// +optional
	LiveCredentials int32 `json:"liveCredentials,omitempty"`
}

// TokenProvider is one account at one provider, for the ApiTokens of its namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=tp,categories=apitoken-operator
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Account",type=string,JSONPath=`.status.account`
// +kubebuilder:printcolumn:name="Live",type=integer,JSONPath=`.status.liveCredentials`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type TokenProvider struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec names the account and the credentials that mint in it.
	// +required
	Spec ProviderSpec `json:"spec"`
	// status is what the operator knows; it is written by the operator only.
	// +optional
	Status ProviderStatus `json:"status,omitzero"`
}

// TokenProviderList is a list of TokenProviders.
//
// +kubebuilder:object:root=true
type TokenProviderList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TokenProvider `json:"items"`
}

// ClusterProviderSpec is a ProviderSpec offered to many namespaces.
type ClusterProviderSpec struct {
	ProviderSpec `json:",inline"`

	// allowedNamespaces selects, by label, the namespaces whose ApiTokens may use
	// this provider: absent means none, {} means all.
	// +optional
	AllowedNamespaces *metav1.LabelSelector `json:"allowedNamespaces,omitempty"`
}

// ClusterTokenProvider is one account at one provider, offered to the
// namespaces that allowedNamespaces selects.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=ctp,categories=apitoken-operator
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Account",type=string,JSONPath=`.status.account`
// +kubebuilder:printcolumn:name="Live",type=integer,JSONPath=`.status.liveCredentials`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ClusterTokenProvider struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec names the account, the credentials that mint in it, and who may use it.
	// +required
	Spec ClusterProviderSpec `json:"spec"`
	// status is what the operator knows; it is written by the operator only.
	// +optional
	Status ProviderStatus `json:"status,omitzero"`
}

// ClusterTokenProviderList is a list of ClusterTokenProviders.
//
// +kubebuilder:object:root=true
type ClusterTokenProviderList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterTokenProvider `json:"items"`
}

func init() {
	SchemeBuilder.Register(&TokenProvider{}, &TokenProviderList{}, &ClusterTokenProvider{}, &ClusterTokenProviderList{})
}
