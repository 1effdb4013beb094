package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Scope is one permission, written product:permission[:more]. The portable
// ones work on every object store; any other string is the provider's own
// permission and is passed on unchanged.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
type Scope string

// Bucket names one bucket, or is "*": every bucket, also those created later.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=255
type Bucket string

// IPRange is an IPv4 or IPv6 address, or a range in CIDR form.
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=43
type IPRange string

// ApiTokenSpec declares the access a workload needs, where the credential
// goes, and how it is rotated.
type ApiTokenSpec struct {
	// providerRef names the account that issues the credential.
	// +required
	ProviderRef ProviderReference `json:"providerRef"`

	// description is a note for people. Changing it issues nothing.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Description string `json:"description,omitempty"`

	// scopes are the permissions the credential gets: a set, at least one.
	// For object stores: objectstorage:object-read-only, -object-read-write,
	// -object-write-only, -admin-read-only, -admin-read-write.
	// +required
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Scopes []Scope `json:"scopes"`

	// buckets the credential may use: names, or ["*"] alone for all of them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	Buckets []Bucket `json:"buckets,omitempty"`

	// restrictions narrow from where, and for whom, the credential works.
	// +optional
	Restrictions Restrictions `json:"restrictions,omitzero"`

	// expiresIn is the lifetime of each credential, for example 2160h. It is
	// rotated before it ends. 90 days when neither expiresIn nor expiresAt is set.
	// +optional
	ExpiresIn *metav1.Duration `json:"expiresIn,omitempty"`

	// expiresAt is a hard end: at this time the credential is revoked and its
	// Secret deleted; it is never rotated past it. Raise it to get access again.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// rotation says when a credential is replaced and for how long both live.
	// +optional
	Rotation Rotation `json:"rotation,omitzero"`

	// secret says where the credential is published.
	// +optional
	Secret SecretTarget `json:"secret,omitzero"`

	// deletionPolicy says what happens to the credential when this ApiToken is
	// deleted: Revoke (it is revoked and its Secret deleted) or Retain (both stay).
	// +optional
	// +kubebuilder:default=Revoke
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// suspend stops new credentials from being issued. What is due is still
	// revoked, and deletion still works.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ProviderReference names a TokenProvider of the same namespace or a ClusterTokenProvider.
type ProviderReference struct {
	// kind is TokenProvider (in this namespace) or ClusterTokenProvider.
	// +optional
	// +kubebuilder:default=TokenProvider
	// +kubebuilder:validation:Enum=TokenProvider;ClusterTokenProvider
	Kind ProviderKind `json:"kind,omitempty"`

	// name of the provider.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// ProviderKind is a kind that ProviderReference can name.
type ProviderKind string

// The kinds of provider.
const (
	KindTokenProvider        ProviderKind = "TokenProvider"
	KindClusterTokenProvider ProviderKind = "ClusterTokenProvider"
)

// Restrictions narrow a credential beyond scopes and buckets.
type Restrictions struct {
	// allowedIPs are the only addresses the credential works from; empty: any.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	AllowedIPs []IPRange `json:"allowedIPs,omitempty"`

	// deniedIPs are addresses the credential does not work from, also when allowed above.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	DeniedIPs []IPRange `json:"deniedIPs,omitempty"`

	// subaccounts the credential may act for, at providers that have them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	Subaccounts []string `json:"subaccounts,omitempty"`
}

// Rotation says when a credential is replaced.
type Rotation struct {
	// before is how long ahead of its expiry a credential is replaced: at most
	// half its lifetime; a third of it when absent. A jitter moves it earlier.
	// +optional
	Before *metav1.Duration `json:"before,omitempty"`

	// overlap is how long the previous credential lives on after the new one is
	// in the Secret: at most before; 1h when absent, or half of before if shorter.
	// +optional
	Overlap *metav1.Duration `json:"overlap,omitempty"`

	// generation is raised to rotate now. Lowering it does nothing.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Generation int64 `json:"generation,omitempty"`

	// strategy is MakeBeforeBreak: the new credential is live and published
	// before the previous one starts its overlap.
	// +optional
	// +kubebuilder:default=MakeBeforeBreak
	// +kubebuilder:validation:Enum=MakeBeforeBreak
	Strategy RotationStrategy `json:"strategy,omitempty"`
}

// RotationStrategy is the order of issuing and revoking in a rotation.
type RotationStrategy string

// MakeBeforeBreak publishes the new credential before the old one is revoked.
const MakeBeforeBreak RotationStrategy = "MakeBeforeBreak"

// SecretTarget says where the credential is published.
type SecretTarget struct {
	// name of the Secret; the ApiToken's own name when absent.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// labels put on the Secret, for example for tools that watch it.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Labels map[string]string `json:"labels,omitempty"`

	// annotations put on the Secret.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Annotations map[string]string `json:"annotations,omitempty"`
}

// DeletionPolicy says what happens to the credential when its ApiToken is deleted.
// +kubebuilder:validation:Enum=Revoke;Retain
type DeletionPolicy string

// The deletion policies.
const (
	// DeletionRevoke revokes every credential before the ApiToken goes.
	DeletionRevoke DeletionPolicy = "Revoke"
	// DeletionRetain leaves Secret and credential as they are.
	DeletionRetain DeletionPolicy = "Retain"
)

// ApiTokenStatus is what the operator knows about an ApiToken.
type ApiTokenStatus struct {
	// observedGeneration is the generation of the spec this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready, Issued, Published, and Reconciling or Stalled while they hold.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// credentials is the ledger: every credential that is live, or may be.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Credentials []LedgerEntry `json:"credentials,omitempty"`

	// revision counts the credentials reserved so far; it is part of their names.
	// +optional
	Revision int64 `json:"revision,omitempty"`

	// secret is the Secret as it was last written or checked.
	// +optional
	Secret PublishedSecret `json:"secret,omitzero"`

	// expiresAt is when the published credential ends.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// rotatesAt is when it will be replaced.
	// +optional
	RotatesAt *metav1.Time `json:"rotatesAt,omitempty"`

	// expiryEnforcedBy says who ends the credential on time: Provider, even when
	// the operator is down, or Operator.
	// +optional
	ExpiryEnforcedBy string `json:"expiryEnforcedBy,omitempty"`

	// effective shows the values in force after defaults.
	// +optional
	Effective EffectiveValues `json:"effective,omitzero"`

	// mintBudget limits credentials issued outside the schedule.
	// +optional
	MintBudget *MintBudget `json:"mintBudget,omitempty"`

	// retry is set while attempts fail.
	// +optional
	Retry *Retry `json:"retry,omitempty"`
}

// EffectiveValues are the values in force after defaults.
type EffectiveValues struct {
	// expiresIn is the lifetime asked for.
	// +optional
	ExpiresIn string `json:"expiresIn,omitempty"`
	// before is how long ahead of expiry the credential is replaced.
	// +optional
	Before string `json:"before,omitempty"`
	// overlap is how long the previous credential lives on.
	// +optional
	Overlap string `json:"overlap,omitempty"`
}

// PublishedSecret is the Secret as it was last written or checked.
type PublishedSecret struct {
	// name of the Secret.
	// +optional
	Name string `json:"name,omitempty"`
	// resourceVersion it had; another one makes the operator look again.
	// +optional
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// MintBudget is a bucket that every credential outside the schedule is paid
// from: 5 at most, one more every 10 minutes.
type MintBudget struct {
	// remaining credentials that may be issued now.
	Remaining int32 `json:"remaining"`
	// refilledAt is when the last one was added.
	RefilledAt metav1.Time `json:"refilledAt"`
}

// Retry is the backoff of failed attempts.
type Retry struct {
	// failures in a row.
	Failures int32 `json:"failures"`
	// notBefore is when the next attempt may start.
	NotBefore metav1.Time `json:"notBefore"`
}

// CredentialState is the state of a ledger entry. A state this version does
// not know is kept, and nothing is issued while it is there.
type CredentialState string

// The states of a ledger entry.
const (
	// StateMinting: the name is reserved; the credential may exist.
	StateMinting CredentialState = "Minting"
	// StateActive: the credential that the Secret holds.
	StateActive CredentialState = "Active"
	// StateRetiring: to be revoked at retireAt; never published again.
	StateRetiring CredentialState = "Retiring"
	// StateAbandoned: an attempt whose end is unknown; revoked once settled.
	StateAbandoned CredentialState = "Abandoned"
)

// LedgerEntry is one credential that is live, or may be.
type LedgerEntry struct {
	// name of the credential at the provider; used once, never again.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// state: Minting, Active, Retiring or Abandoned.
	// +kubebuilder:validation:MaxLength=32
	State CredentialState `json:"state"`

	// account at the provider that the credential belongs to.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Account string `json:"account,omitempty"`

	// id is the public identifier the provider gave it, such as an access key id.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	ID string `json:"id,omitempty"`

	// reason it was issued: Initial, Scheduled, RotationRequested, SpecChanged,
	// SecretLost or SecretChanged.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// reservedAt is when the name was reserved.
	// +optional
	ReservedAt *metav1.Time `json:"reservedAt,omitempty"`

	// issuedAt is when it became Active; absent if it never did.
	// +optional
	IssuedAt *metav1.Time `json:"issuedAt,omitempty"`

	// expiresAt is the provider's own expiry, or the operator's where it has none.
	// +optional
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// retireAt is when a Retiring credential may be revoked.
	// +optional
	RetireAt *metav1.Time `json:"retireAt,omitempty"`

	// fingerprint of the scopes, buckets, restrictions and lifetime it was issued for.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`

	// rotationGeneration is spec.rotation.generation when it was reserved.
	// +optional
	RotationGeneration int64 `json:"rotationGeneration,omitempty"`
}

// ApiToken declares a credential: the operator issues it at the provider,
// keeps a live one in a Secret, rotates it before it expires, and revokes it
// when the ApiToken is deleted.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=at,categories=apitoken-operator
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Provider",type=string,JSONPath=`.spec.providerRef.name`
// +kubebuilder:printcolumn:name="Scopes",type=string,JSONPath=`.spec.scopes`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.expiresAt`
// +kubebuilder:printcolumn:name="Rotates",type=string,JSONPath=`.status.rotatesAt`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Secret",type=string,JSONPath=`.status.secret.name`,priority=1
// +kubebuilder:printcolumn:name="Key ID",type=string,JSONPath=`.status.credentials[?(@.state=="Active")].id`,priority=1
// +kubebuilder:printcolumn:name="Buckets",type=string,JSONPath=`.spec.buckets`,priority=1
type ApiToken struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec declares the access, its lifetime and where the credential goes.
	// +required
	Spec ApiTokenSpec `json:"spec"`
	// status is what the operator knows; it is written by the operator only.
	// +optional
	Status ApiTokenStatus `json:"status,omitzero"`
}

// ApiTokenList is a list of ApiTokens.
//
// +kubebuilder:object:root=true
type ApiTokenList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ApiToken `json:"items"`
}

// SecretName is the name of the Secret the credential is published in.
func (t *ApiToken) SecretName() string {
	if t.Spec.Secret.Name != "" {
		return t.Spec.Secret.Name
	}
	return t.Name
}

func init() { SchemeBuilder.Register(&ApiToken{}, &ApiTokenList{}) }
