package v1alpha1

// IBEEProvider is a workspace of IBEE Cloud.
// +kubebuilder:validation:XValidation:rule=`!has(self.caBundle) || self.caBundle == "" || self.caBundle.contains('-----BEGIN CERTIFICATE-----')`,message=`caBundle contains no certificate: write the certificates of the CAs as PEM text, which begins with -----BEGIN CERTIFICATE-----, not base64 of that text and not a file name`,fieldPath=".caBundle"
// +kubebuilder:validation:XValidation:rule=`!has(self.caBundle) || !self.caBundle.contains('PRIVATE KEY-----')`,message=`caBundle contains a private key, but only certificates are allowed: remove the key. Treat it as exposed, and replace it where it is used`,fieldPath=".caBundle"
type IBEEProvider struct {
	// workspaceID is the number of the workspace, for example "42"; the portal calls
	// it the project. It cannot change while credentials are live.
	// +required
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[1-9][0-9]*$')`,messageExpression=`strings.quote(self) + ' is not the number of a workspace: write for example "42"'`
	WorkspaceID string `json:"workspaceID"`

	// endpoint is the URL of the API; https://api.ibee.ai/v1 when absent. The operator
	// uses a new URL once that server has shown all live credentials.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`self == "" || (isURL(self) && self.matches(r'^https?://([^][/?#@ :]+|\[[^][/?#@ ]+\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[^?# ]*)?$'))`,messageExpression=`strings.quote(self) + ' is not an endpoint: write http:// or https:// and a host, with an optional port from 1 to 65535 and an optional path, but without user, query or fragment, for example https://api.ibee.ai/v1'`
	Endpoint string `json:"endpoint,omitempty"`

	// s3Endpoint is the URL that workloads find in their Secret;
	// https://{workspaceID}.blob.ibeestorage.com when absent. Changing it updates the
	// Secrets and issues nothing.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`self == "" || (isURL(self) && self.matches(r'^https?://([^][/?#@ :]+|\[[^][/?#@ ]+\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[^?# ]*)?$'))`,messageExpression=`strings.quote(self) + ' is not an endpoint: write http:// or https:// and a host, with an optional port from 1 to 65535 and an optional path, but without user, query or fragment, for example https://42.blob.ibeestorage.com'`
	S3Endpoint string `json:"s3Endpoint,omitempty"`

	// caBundle is PEM text of the private CAs that the certificate of the API
	// chains to: one or more CERTIFICATE blocks, at most 32 KiB. They are trusted in
	// addition to the system's CAs.
	// +optional
	// +kubebuilder:validation:MaxLength=32768
	CABundle string `json:"caBundle,omitempty"`
}

// CrusoeProvider is a user of an organization at Crusoe Cloud.
// +kubebuilder:validation:XValidation:rule=`!has(self.caBundle) || self.caBundle == "" || self.caBundle.contains('-----BEGIN CERTIFICATE-----')`,message=`caBundle contains no certificate: write the certificates of the CAs as PEM text, which begins with -----BEGIN CERTIFICATE-----, not base64 of that text and not a file name`,fieldPath=".caBundle"
// +kubebuilder:validation:XValidation:rule=`!has(self.caBundle) || !self.caBundle.contains('PRIVATE KEY-----')`,message=`caBundle contains a private key, but only certificates are allowed: remove the key. Treat it as exposed, and replace it where it is used`,fieldPath=".caBundle"
type CrusoeProvider struct {
	// organizationID is the id of the organization, for example
	// ab4a6b00-aa5f-408e-a9fb-ac6de5eb45ab. It cannot change while credentials are live.
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[A-Za-z0-9-]+$')`,messageExpression=`strings.quote(self) + ' is not the id of an organization: copy it from the console, for example ab4a6b00-aa5f-408e-a9fb-ac6de5eb45ab'`
	OrganizationID string `json:"organizationID"`

	// location of the buckets, for example us-east1-a: workloads find the endpoint
	// of that location in their Secret, and sign with its name as the region.
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')`,messageExpression=`strings.quote(self) + ' is not a location: write for example us-east1-a'`
	Location string `json:"location"`

	// endpoint is the URL of the API; https://api.cloud.crusoe.ai/v1 when absent. The operator
	// uses a new URL once that server has shown all live credentials.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`self == "" || (isURL(self) && self.matches(r'^https?://([^][/?#@ :]+|\[[^][/?#@ ]+\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[^?# ]*)?$'))`,messageExpression=`strings.quote(self) + ' is not an endpoint: write http:// or https:// and a host, with an optional port from 1 to 65535 and an optional path, but without user, query or fragment, for example https://api.cloud.crusoe.ai/v1'`
	Endpoint string `json:"endpoint,omitempty"`

	// s3Endpoint is the URL that workloads find in their Secret;
	// https://object.{location}.crusoecloudcompute.com when absent. Changing it
	// updates the Secrets and issues nothing.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`self == "" || (isURL(self) && self.matches(r'^https?://([^][/?#@ :]+|\[[^][/?#@ ]+\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[^?# ]*)?$'))`,messageExpression=`strings.quote(self) + ' is not an endpoint: write http:// or https:// and a host, with an optional port from 1 to 65535 and an optional path, but without user, query or fragment, for example https://object.us-east1-a.crusoecloudcompute.com'`
	S3Endpoint string `json:"s3Endpoint,omitempty"`

	// caBundle is PEM text of the private CAs that the certificate of the API
	// chains to: one or more CERTIFICATE blocks, at most 32 KiB. They are trusted in
	// addition to the system's CAs.
	// +optional
	// +kubebuilder:validation:MaxLength=32768
	CABundle string `json:"caBundle,omitempty"`
}

// ProxyScrapeProvider is an account at ProxyScrape.
// +kubebuilder:validation:XValidation:rule=`!has(self.caBundle) || self.caBundle == "" || self.caBundle.contains('-----BEGIN CERTIFICATE-----')`,message=`caBundle contains no certificate: write the certificates of the CAs as PEM text, which begins with -----BEGIN CERTIFICATE-----, not base64 of that text and not a file name`,fieldPath=".caBundle"
// +kubebuilder:validation:XValidation:rule=`!has(self.caBundle) || !self.caBundle.contains('PRIVATE KEY-----')`,message=`caBundle contains a private key, but only certificates are allowed: remove the key. Treat it as exposed, and replace it where it is used`,fieldPath=".caBundle"
type ProxyScrapeProvider struct {
	// endpoint is the URL of the API; https://api.proxyscrape.com when absent. The operator
	// uses a new URL once that server has shown all live credentials.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`self == "" || (isURL(self) && self.matches(r'^https?://([^][/?#@ :]+|\[[^][/?#@ ]+\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[^?# ]*)?$'))`,messageExpression=`strings.quote(self) + ' is not an endpoint: write http:// or https:// and a host, with an optional port from 1 to 65535 and an optional path, but without user, query or fragment, for example https://api.proxyscrape.com'`
	Endpoint string `json:"endpoint,omitempty"`

	// caBundle is PEM text of the private CAs that the certificate of the API
	// chains to: one or more CERTIFICATE blocks, at most 32 KiB. They are trusted in
	// addition to the system's CAs.
	// +optional
	// +kubebuilder:validation:MaxLength=32768
	CABundle string `json:"caBundle,omitempty"`
}

// KloudBeanProvider is the object storage of an account at KloudBean.
// +kubebuilder:validation:XValidation:rule=`!has(self.caBundle) || self.caBundle == "" || self.caBundle.contains('-----BEGIN CERTIFICATE-----')`,message=`caBundle contains no certificate: write the certificates of the CAs as PEM text, which begins with -----BEGIN CERTIFICATE-----, not base64 of that text and not a file name`,fieldPath=".caBundle"
// +kubebuilder:validation:XValidation:rule=`!has(self.caBundle) || !self.caBundle.contains('PRIVATE KEY-----')`,message=`caBundle contains a private key, but only certificates are allowed: remove the key. Treat it as exposed, and replace it where it is used`,fieldPath=".caBundle"
type KloudBeanProvider struct {
	// s3Endpoint is the Endpoint URL that the panel shows with a key, for example
	// https://s3.kloudbean.com. Keys are checked there, and workloads find it in
	// their Secret. It cannot change while credentials are live.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`isURL(self) && self.matches(r'^https?://([^][/?#@ :]+|\[[^][/?#@ ]+\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[^?# ]*)?$')`,messageExpression=`strings.quote(self) + ' is not an endpoint: write http:// or https:// and a host, with an optional port from 1 to 65535 and an optional path, but without user, query or fragment, for example https://s3.kloudbean.com'`
	S3Endpoint string `json:"s3Endpoint"`

	// region that requests are signed for and that workloads find in their Secret as
	// AWS_REGION; us-east-1 when absent.
	// +optional
	// +kubebuilder:default=us-east-1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[A-Za-z0-9][A-Za-z0-9_.-]*$')`,messageExpression=`strings.quote(self) + ' is not a region: write letters, digits, _ . or -, for example us-east-1'`
	Region string `json:"region,omitempty"`

	// caBundle is PEM text of the private CAs that the certificate of the endpoint
	// chains to: one or more CERTIFICATE blocks, at most 32 KiB. They are trusted in
	// addition to the system's CAs.
	// +optional
	// +kubebuilder:validation:MaxLength=32768
	CABundle string `json:"caBundle,omitempty"`
}
