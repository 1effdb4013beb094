package hint

import (
	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/tokenstate"
)

// Actions say what to do about each reason. v1alpha1.ReasonHelp says what it means, and
// the message what is wrong: an action repeats neither.
var Actions = map[string]string{
	v1alpha1.ReasonReady:                  "Do nothing: it is as declared.",
	v1alpha1.ReasonIssuing:                "Wait until the credential is issued.",
	v1alpha1.ReasonReissuing:              "Wait until the new credential is in the Secret.",
	v1alpha1.ReasonResolving:              "Wait until the operator has asked the provider what became of the attempt.",
	v1alpha1.ReasonPublishing:             "Wait until the Secret is written.",
	v1alpha1.ReasonDeleting:               "Wait until every credential is revoked.",
	v1alpha1.ReasonSuspended:              "Set spec.suspend to false where the ApiToken is declared, or resume it.",
	v1alpha1.ReasonExpired:                "Raise spec.expiresAt to keep access, or delete the ApiToken.",
	v1alpha1.ReasonBackoff:                "Wait for the next attempt. If it fails again, fix what the message names.",
	v1alpha1.ReasonMintBudgetExhausted:    "Find out who keeps changing the ApiToken or its Secret, and stop it. One more credential is allowed every 10 minutes.",
	v1alpha1.ReasonLedgerFull:             "Make the provider reachable, so that the attempts can be settled.",
	v1alpha1.ReasonUnknownState:           "Run the version of the operator that wrote the ledger, or a newer one.",
	v1alpha1.ReasonForeignCredential:      "Start the operator with the --cluster-identity that it had, or set spec.deletionPolicy to Retain and delete the ApiToken.",
	v1alpha1.ReasonProviderNotFound:       "Create the provider, or correct kind and name in spec.providerRef of a new ApiToken.",
	v1alpha1.ReasonProviderNotReady:       "Fix the provider: its own condition Ready says what is wrong.",
	v1alpha1.ReasonProviderDeleting:       "Create another provider, and name it in a new ApiToken.",
	v1alpha1.ReasonNamespaceNotAllowed:    "Label the namespace so that spec.allowedNamespaces of the provider selects it, or use another provider.",
	v1alpha1.ReasonProviderAccountChanged: "Put minting credentials of the former account back into the provider's Secret, or set spec.deletionPolicy to Retain and delete the ApiToken.",
	v1alpha1.ReasonEndpointUnverified:     "Change the provider's endpoint back, or make the new one show every credential of the ledgers.",
	v1alpha1.ReasonProviderError:          "Wait for the next attempt. If it fails again, look at the provider's own status page.",
	v1alpha1.ReasonProviderRefused:        "Change the declaration, or what the account may do at the provider.",
	v1alpha1.ReasonScopeNotGrantable:      "Declare only scopes that this provider grants, or name a provider that grants the others in a new ApiToken.",
	v1alpha1.ReasonLifetimeTooLong:        "Lower spec.expiresIn.",
	v1alpha1.ReasonTooManyBuckets:         "Declare fewer buckets, or split them over several ApiTokens.",
	v1alpha1.ReasonBucketNotGrantable:     "Declare the buckets in a form that this provider can narrow to.",
	v1alpha1.ReasonRestrictionUnsupported: "Remove the restriction from spec.restrictions, or use a provider that enforces it.",
	v1alpha1.ReasonSecretNotOwned:         "Name another Secret in spec.secret.name, or delete the one that is in the way.",
	v1alpha1.ReasonSecretMissing:          "Find out what deletes or edits the Secret.",
	v1alpha1.ReasonSecretChanged:          "Find out which client writes the Secret, and stop it.",
	v1alpha1.ReasonSecretDeleting:         "Remove the finalizers of the Secret, or let their owners do so.",
	v1alpha1.ReasonSecretContested:        "Stop one of the two clients from writing these labels or annotations.",
	v1alpha1.ReasonPublishRefused:         "Change the quota or the admission policy that refuses the Secret.",
	v1alpha1.ReasonNotIssued:              "Wait until the first credential is issued.",
	v1alpha1.ReasonIssued:                 "Do nothing: it is issued.",
	v1alpha1.ReasonPublished:              "Do nothing: it is published.",
	v1alpha1.ReasonSlotsExhausted:         "Delete a credential at the provider that nothing uses, or wait until a previous one is revoked.",
	v1alpha1.ReasonProviderShared:         "Use another account, or set spec.rotation.strategy to RevokeFirst on all ApiTokens of this one.",
	v1alpha1.ReasonListingWindow:          "Wait until the attempt without a known result is resolved.",
	v1alpha1.ReasonAccountBlocked:         "Settle at the provider what blocks the account.",
	v1alpha1.ReasonUpdating:               "Wait until the credential is changed at the provider.",
	v1alpha1.ReasonActionRequired:         "Create the credential at the provider, then submit it.",
	v1alpha1.ReasonHandoverRefused:        "Make another credential at the provider, and hand that over.",
	v1alpha1.ReasonUnreadableValue:        "Write the value in a form that can be read, or delete the ApiToken.",
	v1alpha1.ReasonRevocationFailed:       "Make the provider reachable and let the minting credentials revoke, or delete the credential at the provider.",
	v1alpha1.ReasonCredentialMissing:      "Rotate it, or set spec.drift to Repair on the provider.",
	v1alpha1.ReasonCredentialDisabled:     "Enable the credential at the provider, or rotate it.",
	v1alpha1.ReasonCredentialChanged:      "Undo the change at the provider, or rotate the credential.",
	v1alpha1.ReasonCreateCredential:       "Create the credential at the provider, then submit it.",
	v1alpha1.ReasonEditCredential:         "Edit the credential at the provider, then confirm it.",
	v1alpha1.ReasonDeleteCredential:       "Delete the credential at the provider. The operator notices when it is gone.",
	v1alpha1.ReasonCredentialsMissing:     "Create the Secret of spec.credentialsSecretRef with the keys that the driver needs.",
	v1alpha1.ReasonCredentialsRejected:    "Put working credentials into the Secret of spec.credentialsSecretRef, or give their owner the rights (docs/providers).",
	v1alpha1.ReasonUnreachable:            "Check the provider's URL, the network and the egress policies of the operator's namespace.",
	v1alpha1.ReasonDriverMissing:          "Run a version of the operator that has the driver.",
	v1alpha1.ReasonInvalidSettings:        "Correct the value in the driver's block of the provider.",
	v1alpha1.ReasonInUse:                  "Delete the ApiTokens that use it, or set their spec.deletionPolicy to Retain and delete them.",
}

// verbs are the commands that do what an action says.
var verbs = map[string]string{
	v1alpha1.ReasonSuspended: "resume", v1alpha1.ReasonActionRequired: "handover", v1alpha1.ReasonHandoverRefused: "handover",
	v1alpha1.ReasonCreateCredential: "handover", v1alpha1.ReasonEditCredential: "handover",
	v1alpha1.ReasonCredentialMissing: "rotate", v1alpha1.ReasonCredentialDisabled: "rotate", v1alpha1.ReasonCredentialChanged: "rotate",
}

// WhatToDo is the action for a reason of an ApiToken, with a command where one does it.
func (h Hints) WhatToDo(t *v1alpha1.ApiToken, reason string) string {
	if reason == tokenstate.NotObserved {
		return "Wait: it may be queued behind other ApiTokens of its provider (the metric apitoken_waiting). " +
			"If it stays so, ask an administrator whether the operator runs and serves this namespace. To see what you can read of it: " +
			h.PluginCommand(t.Namespace, "doctor")
	}
	do := ActionFor(reason)
	if verb := verbs[reason]; verb != "" {
		do += " Command: " + h.PluginCommand(t.Namespace, verb, t.Name)
	}
	return do
}

// ActionFor is the action for a reason; a newer operator may know reasons that this
// plugin does not.
func ActionFor(reason string) string {
	if do := Actions[reason]; do != "" {
		return do
	}
	return "Look the reason up in the documents of the operator's version, or use the plugin of that version."
}
