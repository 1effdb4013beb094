package v1alpha1

import "strings"

// MaxMessage is the length of the longest message of a condition and of an event, in
// bytes: the limit of events. The schema of conditions allows it.
const MaxMessage = 1024

// CutMessage returns a message that is no longer than MaxMessage. A status with a
// longer message could be rejected by the API server.
func CutMessage(s string) string {
	const end = "..."
	if len(s) <= MaxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:MaxMessage-len(end)], "") + end
}

// Condition types. Ready, Reconciling and Stalled follow kstatus
// (github.com/kubernetes-sigs/cli-utils, pkg/kstatus): Reconciling and Stalled
// are absent while they do not hold.
const (
	// ConditionReady of an ApiToken: its Secret holds a live credential for this
	// generation. Of a provider: its credentials work.
	ConditionReady = "Ready"
	// ConditionReconciling: the operator works; no user needs to act.
	ConditionReconciling = "Reconciling"
	// ConditionStalled: nothing happens until a user changes something.
	ConditionStalled = "Stalled"
	// ConditionIssued: the provider has issued the current credential.
	ConditionIssued = "Issued"
	// ConditionPublished: the Secret holds the current credential, unchanged.
	ConditionPublished = "Published"
	// ConditionActionRequired: a user must do something at the provider. The message
	// says what. Absent while no action is needed.
	ConditionActionRequired = "ActionRequired"
	// ConditionDrifted: the provider shows a difference between the credential in use and
	// what was issued. Absent while there is no difference.
	ConditionDrifted = "Drifted"
)

// Reasons of an ApiToken's conditions. ReasonHelp has a sentence for each.
const (
	ReasonReady                  = "Ready"
	ReasonIssuing                = "Issuing"
	ReasonReissuing              = "Reissuing"
	ReasonResolving              = "Resolving"
	ReasonPublishing             = "Publishing"
	ReasonDeleting               = "Deleting"
	ReasonSuspended              = "Suspended"
	ReasonExpired                = "Expired"
	ReasonBackoff                = "Backoff"
	ReasonMintBudgetExhausted    = "MintBudgetExhausted"
	ReasonLedgerFull             = "LedgerFull"
	ReasonUnknownState           = "UnknownCredentialState"
	ReasonForeignCredential      = "ForeignCredential"
	ReasonProviderNotFound       = "ProviderNotFound"
	ReasonProviderNotReady       = "ProviderNotReady"
	ReasonProviderDeleting       = "ProviderDeleting"
	ReasonNamespaceNotAllowed    = "NamespaceNotAllowed"
	ReasonProviderAccountChanged = "ProviderAccountChanged"
	ReasonEndpointUnverified     = "EndpointUnverified"
	ReasonProviderError          = "ProviderError"
	ReasonProviderRefused        = "ProviderRefused"
	ReasonScopeNotGrantable      = "ScopeNotGrantable"
	ReasonLifetimeTooLong        = "LifetimeTooLong"
	ReasonTooManyBuckets         = "TooManyBuckets"
	ReasonBucketNotGrantable     = "BucketNotGrantable"
	ReasonRestrictionUnsupported = "RestrictionNotSupported"
	ReasonSecretNotOwned         = "SecretNotOwned"
	ReasonSecretMissing          = "SecretMissing"
	ReasonSecretChanged          = "SecretChanged"
	ReasonSecretDeleting         = "SecretDeleting"
	ReasonSecretContested        = "SecretContested"
	ReasonPublishRefused         = "PublishRefused"
	ReasonNotIssued              = "NotIssued"
	ReasonIssued                 = "Issued"
	ReasonPublished              = "Published"
	ReasonSlotsExhausted         = "SlotsExhausted"
	ReasonProviderShared         = "ProviderShared"
	ReasonListingWindow          = "ListingWindow"
	ReasonAccountBlocked         = "AccountBlocked"
	ReasonUpdating               = "Updating"
	ReasonActionRequired         = "ActionRequired"
	ReasonHandoverRefused        = "HandoverRefused"
	ReasonUnreadableValue        = "UnreadableValue"
	ReasonRevocationFailed       = "RevocationFailed"
	ReasonCredentialMissing      = "CredentialMissing"
	ReasonCredentialDisabled     = "CredentialDisabled"
	ReasonCredentialChanged      = "CredentialChanged"
)

// Reasons of the condition ActionRequired: what a user must do.
const (
	ReasonCreateCredential = "CreateCredential"
	ReasonEditCredential   = "EditCredential"
	ReasonDeleteCredential = "DeleteCredential"
)

// Reasons of a provider's conditions.
const (
	ReasonCredentialsMissing  = "CredentialsMissing"
	ReasonCredentialsRejected = "CredentialsRejected"
	ReasonUnreachable         = "Unreachable"
	ReasonDriverMissing       = "DriverMissing"
	ReasonInvalidSettings     = "InvalidSettings"
	ReasonInUse               = "InUse"
)

// ReasonHelp says, for each reason, what it means and what to do.
var ReasonHelp = map[string]string{
	ReasonReady:                  "The Secret holds a live credential that matches the declaration, or the provider's credentials work. Nothing to do.",
	ReasonIssuing:                "A credential is being issued. Nothing to do.",
	ReasonReissuing:              "A new credential is being issued, because the declaration changed, a rotation was requested, or the Secret lost the old one.",
	ReasonResolving:              "An earlier attempt ended without a known result and is being resolved. Nothing to do.",
	ReasonPublishing:             "The Secret is being updated. Nothing to do.",
	ReasonDeleting:               "The credentials are being revoked before the ApiToken goes. Nothing to do.",
	ReasonSuspended:              "spec.suspend is true: nothing is issued, and a credential in use is not replaced. Set it to false to continue.",
	ReasonExpired:                "spec.expiresAt has passed: the credential is revoked and the Secret deleted. Raise spec.expiresAt to get access again.",
	ReasonBackoff:                "The last attempt failed; the next one starts after a pause. The message says what failed.",
	ReasonMintBudgetExhausted:    "Too many credentials were issued outside the schedule. One more is allowed every 10 minutes; find out what changes the ApiToken or its Secret again and again.",
	ReasonLedgerFull:             "Too many attempts are not settled or revoked yet. Make the provider reachable; the ledger then empties without further action.",
	ReasonUnknownState:           "The ledger holds a state written by a newer version of the operator. Run that version, or a newer one.",
	ReasonForeignCredential:      "The ledger names a credential that was not made for this ApiToken in this cluster; it is never revoked. Start the operator with the --cluster-identity it had, or set deletionPolicy: Retain and delete the ApiToken.",
	ReasonProviderNotFound:       "spec.providerRef names a provider that does not exist. Create it, or name another one; a ClusterTokenProvider needs kind: ClusterTokenProvider there.",
	ReasonProviderNotReady:       "The provider is not ready. Look at its own Ready condition.",
	ReasonProviderDeleting:       "The provider is being deleted: it only revokes. Create another provider, and a new ApiToken that names it.",
	ReasonNamespaceNotAllowed:    "The ClusterTokenProvider does not admit this namespace: nothing is issued, and a credential in use is not replaced. Label the namespace so that its allowedNamespaces selects it, or use another provider.",
	ReasonProviderAccountChanged: "The provider's credentials belong to another account than the one that issued these credentials. Restore the old credentials, or set deletionPolicy: Retain and delete the ApiToken.",
	ReasonEndpointUnverified:     "The endpoint of the provider changed, and the new one does not show every credential of the ledgers, so it may be another server. Nothing is issued, revoked or treated as gone. Change the endpoint back, which is always allowed, or make the new one show them.",
	ReasonProviderError:          "A call to the provider failed. It is retried.",
	ReasonProviderRefused:        "The provider rejected the request, or cannot grant what is declared. The message says why; change the declaration or the account.",
	ReasonScopeNotGrantable:      "The provider cannot grant a scope that was declared. The message lists what it can grant.",
	ReasonLifetimeTooLong:        "The provider does not issue credentials for so long. Lower spec.expiresIn to what the message says.",
	ReasonTooManyBuckets:         "The buckets do not fit the provider's limit for one credential. Declare fewer, or split the ApiToken.",
	ReasonBucketNotGrantable:     "The provider cannot narrow a credential to these buckets. The message says what to declare instead.",
	ReasonRestrictionUnsupported: "The provider cannot enforce a restriction that was declared. Remove it, or use another provider.",
	ReasonSecretNotOwned:         "The Secret exists and belongs to another owner; the operator never takes it over. Name another one in spec.secret.name, or delete it.",
	ReasonSecretMissing:          "The Secret is missing, or holds another credential than the current one. The condition Ready says what the operator does about it, or which obstacle there is.",
	ReasonSecretChanged:          "Another client added, changed or removed keys of the Secret. The condition Ready says what the operator does about it, or which obstacle there is.",
	ReasonSecretDeleting:         "The Secret is being deleted, and finalizers keep it. Nothing is published in it; a credential is issued when it is gone. The message names the finalizers.",
	ReasonSecretContested:        "Another client keeps changing labels or annotations of the Secret back. The credential is not affected. The message names both; make one of them stop.",
	ReasonPublishRefused:         "The API server rejected the Secret (a quota or an admission policy). Nothing more is issued until it would accept it.",
	ReasonNotIssued:              "There is no live credential. The condition Ready says what the operator does about it, or which obstacle there is.",
	ReasonIssued:                 "The provider has issued the current credential.",
	ReasonPublished:              "The Secret holds the current credential.",
	ReasonSlotsExhausted:         "The account has all the credentials that its provider allows. The message says which are this ApiToken's: delete one at the provider, or wait until a previous one is revoked.",
	ReasonProviderShared:         "The provider allows too few credentials for one more ApiToken. Use another account, or set rotation.strategy: RevokeFirst on all ApiTokens of this one.",
	ReasonListingWindow:          "The provider lists its newest credentials only, and an attempt without a known result must stay listed. Nothing more is issued until it is resolved; nothing to do.",
	ReasonAccountBlocked:         "The provider has blocked the account, because of a bill or a suspension. The message has the provider's own word for it; resolve it there.",
	ReasonUpdating:               "The credential is being changed at the provider, without a new secret. Nothing to do.",
	ReasonActionRequired:         "A user must do something at the provider. The message says what, with the values to fill in.",
	ReasonHandoverRefused:        "The submitted credential cannot be used. The message says why; submit another one.",
	ReasonUnreadableValue:        "The spec holds a value that cannot be read; it was stored before the API server checked it. Nothing is issued. Write it as the message says, or delete the ApiToken.",
	ReasonRevocationFailed:       "A credential that should be gone could not be revoked, so it may still be live. The message says why; it is retried.",
	ReasonCredentialMissing:      "The provider no longer has the credential in use: it was deleted or revoked there. Raise spec.rotation.generation to replace it, or set spec.drift: Repair on the provider, which replaces such credentials.",
	ReasonCredentialDisabled:     "The credential in use was disabled at the provider. Enable it there, or raise spec.rotation.generation to replace it. The operator does neither.",
	ReasonCredentialChanged:      "The credential in use has more access at the provider than is declared. Undo the change there, or raise spec.rotation.generation to replace the credential.",
	ReasonCreateCredential:       "A user must create a credential at the provider and submit it. The message has the values to fill in.",
	ReasonEditCredential:         "A user must edit a credential at the provider. The message says what, and how to confirm it.",
	ReasonDeleteCredential:       "A user must delete a credential that is no longer needed at the provider. The operator notices when it is gone.",
	ReasonCredentialsMissing:     "The Secret of spec.credentialsSecretRef, or a key in it, is missing. Create it with the keys the message names.",
	ReasonCredentialsRejected:    "The provider does not accept the minting credentials, or they may not do what the operator needs. The message says which: put working ones into the Secret of spec.credentialsSecretRef, or give their owner the right.",
	ReasonUnreachable:            "The provider does not answer, or answers with an error. It is retried.",
	ReasonDriverMissing:          "This operator has no driver for the block in the spec. Run a version that has it.",
	ReasonInvalidSettings:        "A value in the driver's block cannot be used. The message says which, and what is allowed.",
	ReasonInUse:                  "The provider is being deleted, but ApiTokens still need it to revoke their credentials. Delete them, or set their deletionPolicy to Retain.",
}

// Names and annotations that the operator uses.
const (
	// Finalizer keeps an ApiToken until its credentials are revoked, and a
	// provider and its credentials Secret until no ApiToken needs them.
	Finalizer = "apitoken.dev/revoke"

	// LabelManaged marks every Secret the operator publishes or watches.
	LabelManaged = "apitoken.dev/managed"
	// ManagedHandover is the value of LabelManaged of a Secret in which a user
	// submits a manual credential. Its name is that of the ApiToken and HandoverSuffix.
	ManagedHandover = "handover"
	// ManagedKept is the value of LabelManaged of a Secret in which the operator
	// stores a manual credential until it is verified to be deleted.
	ManagedKept = "kept"
	// HandoverSuffix ends the name of a handover Secret.
	HandoverSuffix = "-handover"

	// AnnotationToken names the ApiToken that a Secret belongs to.
	AnnotationToken = "apitoken.dev/token"
	// AnnotationCluster is the identity hash of the cluster that published it.
	AnnotationCluster = "apitoken.dev/cluster"
	// AnnotationCredential names the credential the Secret holds.
	AnnotationCredential = "apitoken.dev/credential"
	// AnnotationCredentialID is the provider's public identifier of it.
	AnnotationCredentialID = "apitoken.dev/credential-id"
	// AnnotationAccount is the provider's account that issued it.
	AnnotationAccount = "apitoken.dev/account"
	// AnnotationIssuedAt is when it was issued, RFC 3339.
	AnnotationIssuedAt = "apitoken.dev/issued-at"
	// AnnotationExpiresAt is when it ends, RFC 3339.
	AnnotationExpiresAt = "apitoken.dev/expires-at"
	// AnnotationFingerprint is the fingerprint of the declaration it was issued for.
	AnnotationFingerprint = "apitoken.dev/fingerprint"
	// AnnotationRotation is spec.rotation.generation when it was issued.
	AnnotationRotation = "apitoken.dev/rotation-generation"
	// AnnotationChecksum covers the data of the Secret, so that an edit is seen.
	AnnotationChecksum = "apitoken.dev/checksum"
	// AnnotationLayout covers what the Secret carries next to the credential.
	AnnotationLayout = "apitoken.dev/layout"
	// AnnotationKeys says which keys of the Secret belong to the credential, which follow
	// from the provider's settings, and which from the declaration.
	AnnotationKeys = "apitoken.dev/keys"
	// AnnotationExtra lists the labels and annotations that spec.secret declares.
	AnnotationExtra = "apitoken.dev/extra-metadata"
	// AnnotationFence names the attempt that may no longer publish here.
	AnnotationFence = "apitoken.dev/fenced"
	// AnnotationEdited is set by a user to the metadata.generation of an ApiToken
	// whose credential was edited at the provider as the message requested.
	AnnotationEdited = "apitoken.dev/edited"
	// AnnotationDeleted is set by a user to the id of a credential that was
	// deleted at the provider, if the operator cannot verify it.
	AnnotationDeleted = "apitoken.dev/deleted"
	// AnnotationEnd on an ApiToken is the name of a Retiring credential whose overlap
	// ends at once.
	AnnotationEnd = "apitoken.dev/end"
	// AnnotationRetained marks a Secret whose ApiToken was deleted with Retain.
	AnnotationRetained = "apitoken.dev/retained"
)
