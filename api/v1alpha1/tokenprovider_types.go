package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ProviderSpec is one account at one provider. Exactly one driver block is set.
//
// A driver block is a field that is a pointer. make generate writes the rules that name
// every block. A field that names the account has a rule at TokenProvider and at
// ClusterTokenProvider, as that of ibee has. An endpoint needs none: the operator uses a
// new one only after it verified it.
// +kubebuilder:validation:XValidation:rule=`[has(self.aws), has(self.ibee), has(self.crusoe), has(self.proxyscrape), has(self.kloudbean), has(self.rest)].filter(b, b).size() == 1`,messageExpression=`'set exactly one driver block: aws, ibee, crusoe, proxyscrape, kloudbean or rest. This provider sets [' + (has(self.aws) ? ' aws' : "") + (has(self.ibee) ? ' ibee' : "") + (has(self.crusoe) ? ' crusoe' : "") + (has(self.proxyscrape) ? ' proxyscrape' : "") + (has(self.kloudbean) ? ' kloudbean' : "") + (has(self.rest) ? ' rest' : "") + ' ]'`
// +kubebuilder:validation:XValidation:rule=`has(self.kloudbean) || has(self.credentialsSecretRef)`,message=`credentialsSecretRef is missing: name the Secret with the minting credentials. Every driver except kloudbean needs it`,fieldPath=".credentialsSecretRef",reason="FieldValueRequired"
type ProviderSpec struct {
	// credentialsSecretRef names the Secret with the minting credentials: in the
	// namespace of a TokenProvider, in the operator's own namespace for a
	// ClusterTokenProvider. They can be replaced at any time by others of the same
	// account. Their Secret is held while credentials must be revoked with
	// them. Required, except with kloudbean, which has no API to log in to.
	// +optional
	CredentialsSecretRef SecretReference `json:"credentialsSecretRef,omitzero"`

	// drift says what the operator does when a credential in use is missing at the
	// provider. Report, the default: the ApiToken becomes not Ready, with the reason
	// CredentialMissing. Repair: the operator also issues a new credential. A credential
	// that is disabled, or has more access than declared, is only reported, because an
	// administrator may have intended that.
	// +optional
	// +kubebuilder:validation:Enum=Report;Repair
	Drift DriftPolicy `json:"drift,omitempty"`

	// aws: IAM and S3, at AWS itself or at any server with the same APIs (aws: {}
	// is AWS). The credentials Secret holds AWS_ACCESS_KEY_ID and
	// AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN if they are temporary.
	// +optional
	AWS *AWSProvider `json:"aws,omitempty"`

	// ibee: IBEE Cloud object storage. The credentials Secret holds token, a
	// platform API token.
	// +optional
	IBEE *IBEEProvider `json:"ibee,omitempty"`

	// crusoe: Crusoe Cloud object storage, two keys per user in all. The credentials
	// Secret holds accessKeyID and secretKey, an API token of that user.
	// +optional
	Crusoe *CrusoeProvider `json:"crusoe,omitempty"`

	// proxyscrape: ProxyScrape API keys. The credentials Secret holds token, an API
	// key that may create others.
	// +optional
	ProxyScrape *ProxyScrapeProvider `json:"proxyscrape,omitempty"`

	// kloudbean: KloudBean object storage, which has no API: a user creates,
	// submits and deletes each key as the ApiToken says. There is no
	// credentials Secret.
	// +optional
	KloudBean *KloudBeanProvider `json:"kloudbean,omitempty"`

	// rest: any vendor's token API, declared here. The credentials Secret holds what
	// the templates name.
	// +optional
	Rest *RestProvider `json:"rest,omitempty"`
}

// DriftPolicy says what is done about credentials that are missing at their provider.
type DriftPolicy string

// The drift policies.
const (
	// DriftReport shows the drift and changes nothing.
	DriftReport DriftPolicy = "Report"
	// DriftRepair replaces a credential that is missing.
	DriftRepair DriftPolicy = "Repair"
)

// SecretReference names a Secret.
type SecretReference struct {
	// name of the Secret, for example object-store-minter.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`!format.dns1123Subdomain().validate(self).hasValue()`,messageExpression=`strings.quote(self) + ' cannot be the name of a Secret: write lower-case letters, digits, - and ., beginning and ending with a letter or digit, at most 253 characters, for example object-store-minter'`
	Name string `json:"name"`
}

// AWSProvider is an account reached over the AWS IAM API.
// +kubebuilder:validation:XValidation:rule=`!has(self.caBundle) || self.caBundle == "" || self.caBundle.contains('-----BEGIN CERTIFICATE-----')`,message=`caBundle contains no certificate: write the certificates of the CAs as PEM text, which begins with -----BEGIN CERTIFICATE-----, not base64 of that text and not a file name`,fieldPath=".caBundle"
// +kubebuilder:validation:XValidation:rule=`!has(self.caBundle) || !self.caBundle.contains('PRIVATE KEY-----')`,message=`caBundle contains a private key, but only certificates are allowed: remove the key. Treat it as exposed, and replace it where it is used`,fieldPath=".caBundle"
type AWSProvider struct {
	// iamEndpoint is the http or https URL of the IAM API, for example
	// https://iam.example.com; AWS itself when absent. Use https: answers
	// contain new secret keys. The operator uses a new URL once that server has shown
	// all live credentials.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`self == "" || (isURL(self) && self.matches(r'^https?://([^][/?#@ :]+|\[[^][/?#@ ]+\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[^?# ]*)?$'))`,messageExpression=`strings.quote(self) + ' is not an endpoint: write http:// or https:// and a host, with an optional port from 1 to 65535 and an optional path, but without user, query or fragment, for example https://iam.example.com; absent: AWS itself'`
	IAMEndpoint string `json:"iamEndpoint,omitempty"`

	// s3Endpoint is the http or https URL that workloads find in their Secret as
	// AWS_ENDPOINT_URL, for example https://s3.example.com; AWS itself when
	// absent. Changing it updates the Secrets and issues nothing.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`self == "" || (isURL(self) && self.matches(r'^https?://([^][/?#@ :]+|\[[^][/?#@ ]+\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[^?# ]*)?$'))`,messageExpression=`strings.quote(self) + ' is not an endpoint: write http:// or https:// and a host, with an optional port from 1 to 65535 and an optional path, but without user, query or fragment, for example https://s3.example.com; absent: AWS itself'`
	S3Endpoint string `json:"s3Endpoint,omitempty"`

	// region that workloads find in their Secret as AWS_REGION; us-east-1 when
	// absent. Changing it updates the Secrets and issues nothing.
	// +optional
	// +kubebuilder:default=us-east-1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[A-Za-z0-9][A-Za-z0-9_.-]*$')`,messageExpression=`strings.quote(self) + ' is not a region: write letters, digits, _ . or -, for example us-east-1'`
	Region string `json:"region,omitempty"`

	// caBundle is PEM text of the private CAs that the certificates of the
	// endpoints chain to: one or more CERTIFICATE blocks, at most 64 KiB. They are
	// trusted in addition to the system's CAs.
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	CABundle string `json:"caBundle,omitempty"`

	// permissionsBoundary is the ARN of a managed policy that is put as the
	// boundary on every user that is created, for example
	// arn:aws:iam::123456789012:policy/apitoken-boundary; no boundary when
	// absent. A change applies to credentials issued after it.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule=`self == "" || self.matches('^arn:[a-z0-9-]+:iam::[A-Za-z0-9]*:policy/[!-~]+$')`,messageExpression=`strings.quote(self) + ' is not the ARN of a managed policy: write for example arn:aws:iam::123456789012:policy/apitoken-boundary'`
	PermissionsBoundary string `json:"permissionsBoundary,omitempty"`
}

// ProviderStatus is what the operator knows about an account.
type ProviderStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready says that the credentials work, checked without minting.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:XValidation:rule=`self.lastTransitionTime >= timestamp('0002-01-01T00:00:00Z') && self.lastTransitionTime < timestamp('9999-12-31T00:00:00Z')`,message=`write a time as RFC 3339, for example 2030-01-31T00:00:00Z`,fieldPath=".lastTransitionTime"
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// account the credentials belong to.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Account string `json:"account,omitempty"`

	// formerAccount is what an earlier version called this account, with the host of
	// its server. Ledger entries of that version still name it.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	FormerAccount string `json:"formerAccount,omitempty"`

	// driver that the credentials were last found to work with.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Driver string `json:"driver,omitempty"`

	// endpoint is the URL of the API that the operator verified: it shows every
	// credential of the ledgers that use this provider. Nothing is issued, revoked or
	// looked up at any other.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Endpoint string `json:"endpoint,omitempty"`

	// grantableScopes are the scopes that this account can grant.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=256
	GrantableScopes []string `json:"grantableScopes,omitempty"`

	// lastError is the last error of this provider, in the operator's words. It remains
	// here after the provider works again; see its time.
	// +optional
	LastError *ProviderError `json:"lastError,omitempty"`

	// liveCredentials counts the ledger entries that use this provider; updated
	// at most once a minute.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	LiveCredentials int32 `json:"liveCredentials"`
}

// ProviderError is an error of a provider.
type ProviderError struct {
	// at is when it was last seen; updated at most once a minute.
	// +kubebuilder:validation:XValidation:rule=`self >= timestamp('0002-01-01T00:00:00Z') && self < timestamp('9999-12-31T00:00:00Z')`,message=`write a time as RFC 3339, for example 2030-01-31T00:00:00Z`
	At metav1.Time `json:"at"`
	// operation that failed: connect, mint, find, list, revoke, update or probe.
	// +kubebuilder:validation:MaxLength=32
	Operation string `json:"operation"`
	// code: Unauthenticated, PermissionDenied, Invalid, QuotaExceeded,
	// AccountBlocked, RateLimited, Unavailable or Unknown.
	// +kubebuilder:validation:MaxLength=32
	Code string `json:"code"`
	// message says what went wrong.
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message"`
}

// TokenProvider is one account at one provider, for the ApiTokens of its namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=tp,categories=apitoken-operator
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Driver",type=string,JSONPath=`.status.driver`
// +kubebuilder:printcolumn:name="Account",type=string,JSONPath=`.status.account`
// +kubebuilder:printcolumn:name="Live",type=integer,JSONPath=`.status.liveCredentials`
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.status.endpoint`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule=`oldSelf.?status.?liveCredentials.orValue(0) == 0 || (has(self.spec.aws) == has(oldSelf.spec.aws) && has(self.spec.ibee) == has(oldSelf.spec.ibee) && has(self.spec.crusoe) == has(oldSelf.spec.crusoe) && has(self.spec.proxyscrape) == has(oldSelf.spec.proxyscrape) && has(self.spec.kloudbean) == has(oldSelf.spec.kloudbean) && has(self.spec.rest) == has(oldSelf.spec.rest)) || (oldSelf.?status.?driver.orValue("") == 'aws' && has(self.spec.aws)) || (oldSelf.?status.?driver.orValue("") == 'ibee' && has(self.spec.ibee)) || (oldSelf.?status.?driver.orValue("") == 'crusoe' && has(self.spec.crusoe)) || (oldSelf.?status.?driver.orValue("") == 'proxyscrape' && has(self.spec.proxyscrape)) || (oldSelf.?status.?driver.orValue("") == 'kloudbean' && has(self.spec.kloudbean)) || (oldSelf.?status.?driver.orValue("") == 'rest' && has(self.spec.rest))`,messageExpression=`'the driver block cannot change while status.liveCredentials is not 0: credentials were issued with it. Create another provider and ApiTokens that name it, move the workloads, then delete the old ApiTokens'`,fieldPath=".spec"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?status.?liveCredentials.orValue(0) == 0 || !has(self.spec.ibee) || !has(oldSelf.spec.ibee) || self.spec.ibee.workspaceID == oldSelf.spec.ibee.workspaceID || self.spec.ibee.workspaceID == oldSelf.?status.?account.orValue("")`,messageExpression=`'cannot change from ' + oldSelf.spec.ibee.workspaceID + ' to ' + self.spec.ibee.workspaceID + ' while status.liveCredentials is not 0: credentials were issued with it. Create another provider and ApiTokens that name it, move the workloads, then delete the old ApiTokens'`,fieldPath=".spec.ibee.workspaceID"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?status.?liveCredentials.orValue(0) == 0 || !has(self.spec.crusoe) || !has(oldSelf.spec.crusoe) || self.spec.crusoe.organizationID == oldSelf.spec.crusoe.organizationID || (has(oldSelf.status) && has(oldSelf.status.account) && oldSelf.status.account.startsWith(self.spec.crusoe.organizationID + '/'))`,messageExpression=`'cannot change from ' + oldSelf.spec.crusoe.organizationID + ' to ' + self.spec.crusoe.organizationID + ' while status.liveCredentials is not 0: credentials were issued with it. Create another provider and ApiTokens that name it, move the workloads, then delete the old ApiTokens'`,fieldPath=".spec.crusoe.organizationID"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?status.?liveCredentials.orValue(0) == 0 || !has(self.spec.kloudbean) || !has(oldSelf.spec.kloudbean) || self.spec.kloudbean.s3Endpoint == oldSelf.spec.kloudbean.s3Endpoint || (has(oldSelf.status) && has(oldSelf.status.endpoint) && (self.spec.kloudbean.s3Endpoint == oldSelf.status.endpoint || self.spec.kloudbean.s3Endpoint == oldSelf.status.endpoint + '/'))`,messageExpression=`'cannot change from ' + oldSelf.spec.kloudbean.s3Endpoint + ' to ' + self.spec.kloudbean.s3Endpoint + ' while status.liveCredentials is not 0: credentials were issued with it. Create another provider and ApiTokens that name it, move the workloads, then delete the old ApiTokens'`,fieldPath=".spec.kloudbean.s3Endpoint"
type TokenProvider struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec names the account and its minting credentials.
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
	// this provider, for example matchLabels: {tokens: allowed}. Absent: no namespace;
	// {}: every namespace. In a namespace that is no longer selected nothing is issued,
	// and existing credentials are still revoked when due.
	// +kubebuilder:validation:XValidation:rule=`!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator == 'In' || e.operator == 'NotIn' || e.operator == 'Exists' || e.operator == 'DoesNotExist')`,message=`the operator of a match expression is In, NotIn, Exists or DoesNotExist`,fieldPath=".matchExpressions"
	// +kubebuilder:validation:XValidation:rule=`!has(self.matchExpressions) || self.matchExpressions.all(e, has(e.values) && e.values.size() > 0 ? e.operator != 'Exists' && e.operator != 'DoesNotExist' : e.operator != 'In' && e.operator != 'NotIn')`,message=`In and NotIn need values, for example [allowed]; Exists and DoesNotExist must have no values`,fieldPath=".matchExpressions"
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
// +kubebuilder:printcolumn:name="Driver",type=string,JSONPath=`.status.driver`
// +kubebuilder:printcolumn:name="Account",type=string,JSONPath=`.status.account`
// +kubebuilder:printcolumn:name="Live",type=integer,JSONPath=`.status.liveCredentials`
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.status.endpoint`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule=`oldSelf.?status.?liveCredentials.orValue(0) == 0 || (has(self.spec.aws) == has(oldSelf.spec.aws) && has(self.spec.ibee) == has(oldSelf.spec.ibee) && has(self.spec.crusoe) == has(oldSelf.spec.crusoe) && has(self.spec.proxyscrape) == has(oldSelf.spec.proxyscrape) && has(self.spec.kloudbean) == has(oldSelf.spec.kloudbean) && has(self.spec.rest) == has(oldSelf.spec.rest)) || (oldSelf.?status.?driver.orValue("") == 'aws' && has(self.spec.aws)) || (oldSelf.?status.?driver.orValue("") == 'ibee' && has(self.spec.ibee)) || (oldSelf.?status.?driver.orValue("") == 'crusoe' && has(self.spec.crusoe)) || (oldSelf.?status.?driver.orValue("") == 'proxyscrape' && has(self.spec.proxyscrape)) || (oldSelf.?status.?driver.orValue("") == 'kloudbean' && has(self.spec.kloudbean)) || (oldSelf.?status.?driver.orValue("") == 'rest' && has(self.spec.rest))`,messageExpression=`'the driver block cannot change while status.liveCredentials is not 0: credentials were issued with it. Create another provider and ApiTokens that name it, move the workloads, then delete the old ApiTokens'`,fieldPath=".spec"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?status.?liveCredentials.orValue(0) == 0 || !has(self.spec.ibee) || !has(oldSelf.spec.ibee) || self.spec.ibee.workspaceID == oldSelf.spec.ibee.workspaceID || self.spec.ibee.workspaceID == oldSelf.?status.?account.orValue("")`,messageExpression=`'cannot change from ' + oldSelf.spec.ibee.workspaceID + ' to ' + self.spec.ibee.workspaceID + ' while status.liveCredentials is not 0: credentials were issued with it. Create another provider and ApiTokens that name it, move the workloads, then delete the old ApiTokens'`,fieldPath=".spec.ibee.workspaceID"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?status.?liveCredentials.orValue(0) == 0 || !has(self.spec.crusoe) || !has(oldSelf.spec.crusoe) || self.spec.crusoe.organizationID == oldSelf.spec.crusoe.organizationID || (has(oldSelf.status) && has(oldSelf.status.account) && oldSelf.status.account.startsWith(self.spec.crusoe.organizationID + '/'))`,messageExpression=`'cannot change from ' + oldSelf.spec.crusoe.organizationID + ' to ' + self.spec.crusoe.organizationID + ' while status.liveCredentials is not 0: credentials were issued with it. Create another provider and ApiTokens that name it, move the workloads, then delete the old ApiTokens'`,fieldPath=".spec.crusoe.organizationID"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?status.?liveCredentials.orValue(0) == 0 || !has(self.spec.kloudbean) || !has(oldSelf.spec.kloudbean) || self.spec.kloudbean.s3Endpoint == oldSelf.spec.kloudbean.s3Endpoint || (has(oldSelf.status) && has(oldSelf.status.endpoint) && (self.spec.kloudbean.s3Endpoint == oldSelf.status.endpoint || self.spec.kloudbean.s3Endpoint == oldSelf.status.endpoint + '/'))`,messageExpression=`'cannot change from ' + oldSelf.spec.kloudbean.s3Endpoint + ' to ' + self.spec.kloudbean.s3Endpoint + ' while status.liveCredentials is not 0: credentials were issued with it. Create another provider and ApiTokens that name it, move the workloads, then delete the old ApiTokens'`,fieldPath=".spec.kloudbean.s3Endpoint"
type ClusterTokenProvider struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec names the account, its minting credentials, and the namespaces that may use it.
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
