package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Scope is one permission, written product:permission[:more]. The portable
// scopes work on every object store; any other string is the provider's own
// permission and is passed on unchanged.
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:rule=`self.matches('^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)+$')`,messageExpression=`strings.quote(self) + ' is not a scope: write product:permission, two or more parts of letters, digits, _ . or - joined by a colon, for example objectstorage:object-read-only'`
type Scope string

// Bucket names one bucket, or is "*": every bucket, including those created later.
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:XValidation:rule=`self == '*' || self.matches('^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$')`,messageExpression=`strings.quote(self) + ' is not a bucket name: write 2 to 255 letters, digits, . _ or -, beginning with a letter or digit, for example datasets (no URL, path or pattern), or "*" alone for every bucket'`
type Bucket string

// IPRange is an IPv4 or IPv6 address, or a range in CIDR form.
// +kubebuilder:validation:MaxLength=43
// +kubebuilder:validation:XValidation:rule=`isIP(self) || isCIDR(self)`,messageExpression=`strings.quote(self) + ' is neither an IP address nor a range in CIDR form: write for example 203.0.113.7, 203.0.113.0/24, 2001:db8::7 or 2001:db8::/32'`
type IPRange string

// ApiTokenSpec declares the access a workload needs, where the credential is
// published, and how it is rotated.
// +kubebuilder:validation:XValidation:rule=`has(self.scopes) && self.scopes.size() > 0`,message=`declare at least one scope. For object stores: objectstorage:object-read-only, objectstorage:object-read-write, objectstorage:object-write-only, objectstorage:admin-read-only, objectstorage:admin-read-write. Also allowed: billing:read-only, and any permission of the provider itself, such as account:apikeys:read. status.grantableScopes of the provider lists the scopes that it can grant`,fieldPath=".scopes",reason="FieldValueRequired"
// +kubebuilder:validation:XValidation:rule=`!has(self.scopes) || !self.scopes.exists(s, s.startsWith('objectstorage:')) || (has(self.buckets) && self.buckets.size() > 0)`,messageExpression=`(self.scopes[0].startsWith('objectstorage:') ? self.scopes[0] : 'a scope that begins with objectstorage:') + ' needs buckets: name them, for example [datasets], or write ["*"] for every bucket, including those created later'`,fieldPath=".buckets",reason="FieldValueRequired"
// +kubebuilder:validation:XValidation:rule=`!(has(self.expiresIn) && has(self.expiresAt))`,messageExpression=`'set expiresIn (' + self.expiresIn + ') or expiresAt, not both: expiresIn is the lifetime of each credential, and access continues; expiresAt is a hard end of access'`,fieldPath=".expiresAt"
// +kubebuilder:validation:XValidation:rule=`has(self.expiresAt) || !has(self.rotation) || !has(self.rotation.before) || ![self.?expiresIn.orValue('2160h'), self.rotation.before].all(d, d.matches('^([0-9]{1,5}h|[0-9]{1,7}m|[0-9]{1,9}([.][0-9]{1,9})?s){1,3}$')) || duration(self.rotation.before) + duration(self.rotation.before) <= duration(self.?expiresIn.orValue('2160h'))`,messageExpression=`self.rotation.before + ' is more than half of ' + (has(self.expiresIn) ? 'expiresIn, ' + self.expiresIn : 'the default lifetime, 2160h: at most 1080h') + '. Lower rotation.before, or raise expiresIn'`,fieldPath=".rotation.before"
// +kubebuilder:validation:XValidation:rule=`has(self.expiresAt) || !has(self.rotation) || !has(self.rotation.overlap) || has(self.rotation.before) || ![self.?expiresIn.orValue('2160h'), self.rotation.overlap].all(d, d.matches('^([0-9]{1,5}h|[0-9]{1,7}m|[0-9]{1,9}([.][0-9]{1,9})?s){1,3}$')) || duration(self.rotation.overlap) + duration(self.rotation.overlap) + duration(self.rotation.overlap) <= duration(self.?expiresIn.orValue('2160h'))`,messageExpression=`self.rotation.overlap + ' is longer than rotation.before, which is by default a third of ' + (has(self.expiresIn) ? 'expiresIn, ' + self.expiresIn : 'the default lifetime, 2160h: at most 720h') + '. Lower rotation.overlap, or set rotation.before, which may be half of the lifetime'`,fieldPath=".rotation.overlap"
type ApiTokenSpec struct {
	// providerRef names the account that issues the credential. It cannot change
	// while credentials are live: for another provider create another ApiToken,
	// move the workloads to its Secret, then delete this one.
	// +required
	ProviderRef ProviderReference `json:"providerRef"`

	// description is a note for readers, for example "nightly training". It is sent to
	// providers that store a description. Changing it issues nothing.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Description string `json:"description,omitempty"`

	// scopes are the permissions the credential gets. Required: at least one, at
	// most 32, in any order. Changing the set issues a new credential.
	//
	// Portable scopes mean the same at every object store, each limited to
	// spec.buckets. objectstorage:object-read-only: list and read objects.
	// objectstorage:object-read-write: list, read, write and delete objects.
	// objectstorage:object-write-only: write objects, and neither list nor read
	// them. objectstorage:admin-read-only: read the settings of buckets and list
	// objects, but not read their contents. objectstorage:admin-read-write: do
	// everything with buckets and objects. If a provider cannot grant exactly one of
	// these, the ApiToken reports what to declare instead. billing:read-only is
	// portable too.
	//
	// Anything else is the provider's own permission, such as
	// account:apikeys:read, and is passed on unchanged. status.grantableScopes of
	// the provider lists the scopes that it can grant; any other scope is reported with
	// the reason ScopeNotGrantable.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Scopes []Scope `json:"scopes,omitempty"`

	// buckets the credential may use: names such as ["datasets"], at most 100, or
	// ["*"] alone for all of them, including those created later. Required with every
	// objectstorage: scope. Changing the set issues a new credential.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:XValidation:rule=`self.size() <= 1 || !self.exists(b, b == '*')`,message=`'*' already means every bucket: write ['*'] alone, or remove it and keep the names`
	Buckets []Bucket `json:"buckets,omitempty"`

	// restrictions narrow from where, and for whom, the credential works. Changing
	// them issues a new credential. If the provider cannot enforce a restriction,
	// nothing is issued, with the reason RestrictionNotSupported.
	// +optional
	Restrictions Restrictions `json:"restrictions,omitzero"`

	// expiresIn is the lifetime of each credential in hours, minutes and seconds,
	// for example 2160h (90 days, the default) or 30m: at least 1m, at most 87600h
	// (10 years). It is rotated before it ends, so access continues; see rotation.
	// Changing it issues a new credential. Set expiresIn or expiresAt, not both.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]{1,5}h|[0-9]{1,7}m|[0-9]{1,9}([.][0-9]{1,9})?s){1,3}$') && duration(self) >= duration('1m') && duration(self) <= duration('87600h')`,messageExpression=`strings.quote(self) + ' is not an allowed duration: write hours, minutes and seconds, at least 1m and at most 87600h (10 years), for example 2160h (90 days), 90m or 1h30m; days (d) and fractions of hours are not supported'`
	ExpiresIn *metav1.Duration `json:"expiresIn,omitempty"`

	// expiresAt is a hard end of access, for example 2030-01-31T00:00:00Z: then
	// the credential is revoked and its Secret deleted, and nothing is rotated
	// past it. One credential lives until then, unless the provider's limit is
	// shorter. Raise it to get access again; changing it issues a new credential.
	// Fractions of a second are ignored.
	// +optional
	ExpiresAt *Timestamp `json:"expiresAt,omitempty"`

	// rotation says when a credential is replaced and for how long both are valid.
	// +optional
	Rotation Rotation `json:"rotation,omitzero"`

	// secret says where the credential is published.
	// +optional
	Secret SecretTarget `json:"secret,omitzero"`

	// deletionPolicy says what happens when this ApiToken is deleted. Revoke (the
	// default): every credential is revoked and the Secret deleted. Retain: the
	// Secret and the live credential stay, and nothing rotates or revokes them; a
	// new ApiToken of the same name adopts them. It can still be changed while
	// a deletion waits for the provider.
	// +optional
	// +kubebuilder:default=Revoke
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// suspend stops new credentials from being issued, so that nothing is rotated.
	// Due revocations, the expiry and deletion still work.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ProviderReference names a TokenProvider of the same namespace or a ClusterTokenProvider.
type ProviderReference struct {
	// kind is TokenProvider (the default: one in this namespace) or
	// ClusterTokenProvider (one that admits this namespace).
	// +optional
	// +kubebuilder:default=TokenProvider
	// +kubebuilder:validation:Enum=TokenProvider;ClusterTokenProvider
	Kind ProviderKind `json:"kind,omitempty"`

	// name of the provider, for example object-store.
	// +required
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`!format.dns1123Subdomain().validate(self).hasValue()`,messageExpression=`strings.quote(self) + ' cannot be the name of a provider: write lower-case letters, digits, - and ., beginning and ending with a letter or digit, at most 253 characters, for example object-store'`
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
	// allowedIPs are the only addresses the credential works from, as addresses or
	// ranges, for example ["203.0.113.7", "2001:db8::/32"], at most 100; empty:
	// any. The provider sees the address after NAT. Another spelling of the same
	// range issues nothing.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	AllowedIPs []IPRange `json:"allowedIPs,omitempty"`

	// deniedIPs are addresses or ranges the credential does not work from, even if
	// allowedIPs includes them, at most 100.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	DeniedIPs []IPRange `json:"deniedIPs,omitempty"`

	// subaccounts the credential may act for, at providers that have them, by the
	// provider's own names, at most 100.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Subaccounts []string `json:"subaccounts,omitempty"`
}

// Rotation says when a credential is replaced.
// +kubebuilder:validation:XValidation:rule=`!has(self.overlap) || !has(self.before) || ![self.overlap, self.before].all(d, d.matches('^([0-9]{1,5}h|[0-9]{1,7}m|[0-9]{1,9}([.][0-9]{1,9})?s){1,3}$')) || duration(self.overlap) <= duration(self.before)`,messageExpression=`self.overlap + ' is longer than before, ' + self.before + ': the previous credential would expire first; lower overlap to at most ' + self.before + ', or raise before'`,fieldPath=".overlap"
type Rotation struct {
	// before is how long ahead of its expiry a credential is replaced, for example
	// 720h: at least 1s, at most half its lifetime; a third of the lifetime when
	// absent. A jitter, different for each ApiToken, moves it earlier, never
	// later. Changing it issues nothing by itself; it moves the next rotation.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]{1,5}h|[0-9]{1,7}m|[0-9]{1,9}([.][0-9]{1,9})?s){1,3}$') && duration(self) >= duration('1s') && duration(self) <= duration('43800h')`,messageExpression=`strings.quote(self) + ' is not an allowed duration: write hours, minutes and seconds, at least 1s and at most 43800h, half of the longest lifetime, for example 720h (30 days), 90m or 1h30m; days (d) and fractions of hours are not supported'`
	Before *metav1.Duration `json:"before,omitempty"`

	// overlap is how long the previous credential stays valid after the new one is in
	// the Secret, so that pods have time to read it: at least 1s, at most before;
	// when absent 1h, or half of before if that is shorter. Pods that read the
	// Secret through environment variables need a restart within it.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches('^([0-9]{1,5}h|[0-9]{1,7}m|[0-9]{1,9}([.][0-9]{1,9})?s){1,3}$') && duration(self) >= duration('1s') && duration(self) <= duration('43800h')`,messageExpression=`strings.quote(self) + ' is not an allowed duration: write hours, minutes and seconds, at least 1s and at most 43800h, half of the longest lifetime, for example 720h (30 days), 90m or 1h30m; days (d) and fractions of hours are not supported'`
	Overlap *metav1.Duration `json:"overlap,omitempty"`

	// generation is raised, for example from 0 to 1, to rotate now: a new
	// credential is published, and the previous one ends after overlap. It works
	// from Git; lowering it (a revert) does nothing.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Generation int64 `json:"generation,omitempty"`

	// strategy is MakeBeforeBreak or RevokeFirst. MakeBeforeBreak, the default: the new
	// credential is live and published before the previous one starts its overlap.
	// RevokeFirst is for providers that allow very few credentials: if there is no room
	// for a second one, the old one is revoked before the new one is issued. The
	// workload has no access in between; status.lastGap says for how long.
	// +optional
	// +kubebuilder:default=MakeBeforeBreak
	// +kubebuilder:validation:Enum=MakeBeforeBreak;RevokeFirst
	Strategy RotationStrategy `json:"strategy,omitempty"`
}

// RotationStrategy is the order of issuing and revoking in a rotation.
type RotationStrategy string

// The rotation strategies.
const (
	// MakeBeforeBreak publishes the new credential before the old one is revoked.
	MakeBeforeBreak RotationStrategy = "MakeBeforeBreak"
	// RevokeFirst revokes the old credential first where the provider has no room
	// for a second one.
	RevokeFirst RotationStrategy = "RevokeFirst"
)

// SecretTarget says where the credential is published.
type SecretTarget struct {
	// name of the Secret, in the ApiToken's namespace; the ApiToken's own name
	// when absent. A Secret that belongs to another owner is never taken over
	// (reason SecretNotOwned). It cannot change while credentials are live.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self == "" || !format.dns1123Subdomain().validate(self).hasValue()`,messageExpression=`strings.quote(self) + ' cannot be the name of a Secret: write lower-case letters, digits, - and ., beginning and ending with a letter or digit, at most 253 characters, for example training-data-s3; absent: the name of the ApiToken'`
	Name string `json:"name,omitempty"`

	// labels put on the Secret, at most 15, for example for tools that select on
	// them. The prefix apitoken.dev/ is reserved for the operator. Changing them
	// issues nothing; one that is removed here is removed from the Secret.
	// +optional
	// +kubebuilder:validation:MaxProperties=15
	// +kubebuilder:validation:XValidation:rule=`!self.exists(k, k.startsWith('apitoken.dev/'))`,message=`keys that begin with apitoken.dev/ are reserved for the operator: remove or rename them`
	// +kubebuilder:validation:XValidation:rule=`self.all(k, k.matches('^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$') && !k.matches('([.][.-]|-[.]).*/'))`,message=`a key must be a name, such as team, or a DNS name, a slash and a name, such as example.com/team: the name has at most 63 letters, digits, _ . or -, the DNS name at most 253 lower-case letters, digits, - and ., and each part between dots begins and ends with a letter or digit`
	// +kubebuilder:validation:XValidation:rule=`self.all(k, self[k].size() <= 63 && !self[k].matches(r'[^\w.-]') && !['.', '_', '-'].exists(c, self[k].startsWith(c) || self[k].endsWith(c)))`,message=`a label value must have at most 63 letters, digits, _ . or -, and begin and end with a letter or digit: put any other text in an annotation`
	Labels map[string]string `json:"labels,omitempty"`

	// annotations put on the Secret, at most 32 of at most 1792 characters, for example
	// reloader.stakater.com/match: "true". The prefix apitoken.dev/ is reserved for
	// the operator. Changing them issues nothing; one that is removed here is
	// removed from the Secret.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule=`!self.exists(k, k.startsWith('apitoken.dev/'))`,message=`keys that begin with apitoken.dev/ are reserved for the operator: remove or rename them`
	// +kubebuilder:validation:XValidation:rule=`self.all(k, k.matches('^([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$') && !k.matches('([.][.-]|-[.]).*/'))`,message=`a key must be a name, such as team, or a DNS name, a slash and a name, such as example.com/team: the name has at most 63 letters, digits, _ . or -, the DNS name at most 253 letters, digits, - and ., and each part between dots begins and ends with a letter or digit`
	// +kubebuilder:validation:XValidation:rule=`self.all(k, self[k].size() <= 1792)`,message=`an annotation value must have at most 1792 characters: put longer text in a ConfigMap`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// DeletionPolicy says what happens to the credential when its ApiToken is deleted.
// +kubebuilder:validation:Enum=Revoke;Retain
type DeletionPolicy string

// The deletion policies.
const (
	// DeletionRevoke revokes every credential before the ApiToken is removed.
	DeletionRevoke DeletionPolicy = "Revoke"
	// DeletionRetain leaves Secret and credential as they are.
	DeletionRetain DeletionPolicy = "Retain"
)

// ApiTokenStatus is what the operator knows about an ApiToken.
type ApiTokenStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready, Issued, Published, and Reconciling, Stalled, ActionRequired
	// and Drifted while they hold.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:XValidation:rule=`self.lastTransitionTime >= timestamp('0002-01-01T00:00:00Z') && self.lastTransitionTime < timestamp('9999-12-31T00:00:00Z')`,message=`write a time as RFC 3339, for example 2030-01-31T00:00:00Z`,fieldPath=".lastTransitionTime"
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
	// +kubebuilder:validation:XValidation:rule=`self >= timestamp('0002-01-01T00:00:00Z') && self < timestamp('9999-12-31T00:00:00Z')`,message=`write a time as RFC 3339, for example 2030-01-31T00:00:00Z`
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// rotatesAt is when it will be replaced.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self >= timestamp('0002-01-01T00:00:00Z') && self < timestamp('9999-12-31T00:00:00Z')`,message=`write a time as RFC 3339, for example 2030-01-31T00:00:00Z`
	RotatesAt *metav1.Time `json:"rotatesAt,omitempty"`

	// expiryEnforcedBy says who ends the credential on time. Provider: the provider
	// does, even while the operator is down. Operator: the operator revokes it.
	// Person: a user is asked to delete it.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ExpiryEnforcedBy string `json:"expiryEnforcedBy,omitempty"`

	// effective shows the values in force after defaults.
	// +optional
	Effective EffectiveValues `json:"effective,omitzero"`

	// columns are texts for the columns of kubectl get; programs read the other fields.
	// +optional
	Columns Columns `json:"columns,omitzero"`

	// mintBudget limits credentials issued outside the schedule.
	// +optional
	MintBudget *MintBudget `json:"mintBudget,omitempty"`

	// retry is set while attempts fail.
	// +optional
	Retry *Retry `json:"retry,omitempty"`

	// gapSince is set while the old credential is revoked and no new one is
	// published yet, with rotation.strategy RevokeFirst.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self >= timestamp('0002-01-01T00:00:00Z') && self < timestamp('9999-12-31T00:00:00Z')`,message=`write a time as RFC 3339, for example 2030-01-31T00:00:00Z`
	GapSince *metav1.Time `json:"gapSince,omitempty"`

	// gapReason is why the old credential was revoked: one of the reasons in
	// credentials, such as Scheduled.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	GapReason string `json:"gapReason,omitempty"`

	// lastGap is how long the last rotation with RevokeFirst left the workload
	// without access, for example 2s.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	LastGap string `json:"lastGap,omitempty"`
}

// EffectiveValues are the values in force after defaults.
type EffectiveValues struct {
	// expiresIn is the lifetime of the credential in use; without one, that of the next.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ExpiresIn string `json:"expiresIn,omitempty"`
	// before is how long ahead of expiry the credential is replaced; absent when it is not.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Before string `json:"before,omitempty"`
	// overlap is how long the previous credential stays valid.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Overlap string `json:"overlap,omitempty"`
}

// Columns are texts for the columns of kubectl get, which prints a list as JSON and a time
// in full.
type Columns struct {
	// scopes are spec.scopes, separated by commas.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Scopes string `json:"scopes,omitempty"`
	// buckets are spec.buckets, separated by commas.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Buckets string `json:"buckets,omitempty"`
	// expires is the date of expiresAt; for a credential that lives less than a week,
	// month, day and time, in UTC.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Expires string `json:"expires,omitempty"`
	// rotates is rotatesAt, written like expires.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Rotates string `json:"rotates,omitempty"`
}

// PublishedSecret is the Secret as it was last written or checked.
type PublishedSecret struct {
	// name of the Secret.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// resourceVersion it had. If it has another one now, the operator checks it again.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// MintBudget is a token bucket that limits credentials outside the schedule: size 5,
// refilled by one every 10 minutes.
type MintBudget struct {
	// remaining credentials that may be issued now.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	Remaining int32 `json:"remaining"`
	// refilledAt is when the last one was added.
	// +kubebuilder:validation:XValidation:rule=`self >= timestamp('0002-01-01T00:00:00Z') && self < timestamp('9999-12-31T00:00:00Z')`,message=`write a time as RFC 3339, for example 2030-01-31T00:00:00Z`
	RefilledAt metav1.Time `json:"refilledAt"`
}

// Retry is the backoff of failed attempts.
type Retry struct {
	// failures in a row.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	Failures int32 `json:"failures"`
	// notBefore is when the next attempt may start.
	// +kubebuilder:validation:XValidation:rule=`self >= timestamp('0002-01-01T00:00:00Z') && self < timestamp('9999-12-31T00:00:00Z')`,message=`write a time as RFC 3339, for example 2030-01-31T00:00:00Z`
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
	// StateAbandoned: an attempt with an unknown outcome; revoked once settled.
	StateAbandoned CredentialState = "Abandoned"
)

// CredentialDrift is how a credential in use differs at its provider from what was
// issued. Empty: no difference is known.
type CredentialDrift string

// The kinds of drift.
const (
	// DriftMissing: the provider no longer has the credential.
	DriftMissing CredentialDrift = "Missing"
	// DriftDisabled: the provider has it, but it grants no access. It can be enabled again.
	DriftDisabled CredentialDrift = "Disabled"
	// DriftChanged: it grants more access than was declared.
	DriftChanged CredentialDrift = "Changed"
)

// NoAccess reports whether a credential with this drift grants no access.
func (d CredentialDrift) NoAccess() bool { return d == DriftMissing || d == DriftDisabled }

// LedgerEntry is one credential that is live, or may be.
// +kubebuilder:validation:XValidation:rule=`!has(oldSelf.account) || oldSelf.account == "" || (has(self.account) && self.account == oldSelf.account)`,messageExpression=`'cannot change from ' + oldSelf.account + ': it identifies the credential that must be revoked. Restore the old value'`,fieldPath=".account"
// +kubebuilder:validation:XValidation:rule=`!has(oldSelf.id) || oldSelf.id == "" || (has(self.id) && self.id == oldSelf.id)`,messageExpression=`'cannot change from ' + oldSelf.id + ': it identifies the credential that must be revoked. Restore the old value'`,fieldPath=".id"
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
	// It is absent until the provider has shown it.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	ID string `json:"id,omitempty"`

	// reason it was issued: Initial, Scheduled, RotationRequested, SpecChanged,
	// SecretLost, SecretChanged, HandedOver, CredentialMissing, or Restored for one
	// that was taken over from the Secret.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// reservedAt is when the name was reserved.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self >= timestamp('0002-01-01T00:00:00Z') && self < timestamp('9999-12-31T00:00:00Z')`,message=`write a time as RFC 3339, for example 2030-01-31T00:00:00Z`
	ReservedAt *metav1.Time `json:"reservedAt,omitempty"`

	// issuedAt is when it became Active; absent if it never did.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self >= timestamp('0002-01-01T00:00:00Z') && self < timestamp('9999-12-31T00:00:00Z')`,message=`write a time as RFC 3339, for example 2030-01-31T00:00:00Z`
	IssuedAt *metav1.Time `json:"issuedAt,omitempty"`

	// expiresAt is the expiry that was asked for when the name was reserved, or the
	// provider's own if that is earlier.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self >= timestamp('0002-01-01T00:00:00Z') && self < timestamp('9999-12-31T00:00:00Z')`,message=`write a time as RFC 3339, for example 2030-01-31T00:00:00Z`
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`

	// lifetimeSeconds is the lifetime that was asked for when the name was reserved.
	// A rotation is free only after half of it.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=9223372036
	LifetimeSeconds int64 `json:"lifetimeSeconds,omitempty"`

	// retireAt is when a Retiring credential may be revoked.
	// +optional
	// +kubebuilder:validation:XValidation:rule=`self >= timestamp('0002-01-01T00:00:00Z') && self < timestamp('9999-12-31T00:00:00Z')`,message=`write a time as RFC 3339, for example 2030-01-31T00:00:00Z`
	RetireAt *metav1.Time `json:"retireAt,omitempty"`

	// fingerprint of the scopes, buckets, restrictions and lifetime it was issued
	// for.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`

	// fixed is the fingerprint of what cannot be changed without a new credential.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Fixed string `json:"fixed,omitempty"`

	// updating is the fingerprint that a change in place will result in. It is set
	// before the change is sent, and cleared once the provider shows the change.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Updating string `json:"updating,omitempty"`

	// byHand: a manual credential: a user created it at the provider, and must delete it there.
	// +optional
	ByHand bool `json:"byHand,omitempty"`

	// gone: the provider rejected it after a user deleted it, or a user confirmed
	// the deletion. Then the stored copy is deleted too.
	// +optional
	Gone bool `json:"gone,omitempty"`

	// drift is how the provider shows the Active credential, if that is not as it was
	// issued: Missing, Disabled or Changed (with more access than declared). Ready is
	// False while it is Missing or Disabled.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Drift CredentialDrift `json:"drift,omitempty"`

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
// +kubebuilder:printcolumn:name="Secret",type=string,JSONPath=`.status.secret.name`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.status.columns.expires`
// +kubebuilder:printcolumn:name="Rotates",type=string,JSONPath=`.status.columns.rotates`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Key ID",type=string,JSONPath=`.status.credentials[?(@.state=="Active")].id`,priority=1
// +kubebuilder:printcolumn:name="Scopes",type=string,JSONPath=`.status.columns.scopes`,priority=1
// +kubebuilder:printcolumn:name="Buckets",type=string,JSONPath=`.status.columns.buckets`,priority=1
// +kubebuilder:validation:XValidation:rule=`oldSelf.?status.?credentials.orValue([]).size() == 0 || self.spec.providerRef == oldSelf.spec.providerRef`,messageExpression=`'cannot change from ' + oldSelf.spec.providerRef.kind + ' ' + oldSelf.spec.providerRef.name + ' to ' + self.spec.providerRef.kind + ' ' + self.spec.providerRef.name + ' while status.credentials lists credentials issued there: create another ApiToken for ' + self.spec.providerRef.name + ', move the workloads to its Secret, then delete this one'`,fieldPath=".spec.providerRef"
// +kubebuilder:validation:XValidation:rule=`oldSelf.?status.?credentials.orValue([]).size() == 0 || (self.spec.?secret.?name.orValue("") == "" ? self.metadata.name : self.spec.secret.name) == (oldSelf.spec.?secret.?name.orValue("") == "" ? oldSelf.metadata.name : oldSelf.spec.secret.name)`,messageExpression=`'the Secret cannot change from ' + (oldSelf.spec.?secret.?name.orValue("") == "" ? oldSelf.metadata.name : oldSelf.spec.secret.name) + ' to ' + (self.spec.?secret.?name.orValue("") == "" ? self.metadata.name : self.spec.secret.name) + ' while status.credentials lists credentials: create another ApiToken that publishes to ' + (self.spec.?secret.?name.orValue("") == "" ? self.metadata.name : self.spec.secret.name) + ', move the workloads to it, then delete this one'`,fieldPath=".spec.secret.name"
type ApiToken struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec declares the access, its lifetime and where the credential is published.
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
