package tokenstate

import (
	"apitoken.dev/operator/api/v1alpha1"
)

// Rejects are the reasons that say no to what was declared or handed over.
var Rejects = map[string]bool{
	v1alpha1.ReasonNamespaceNotAllowed: true, v1alpha1.ReasonScopeNotGrantable: true, v1alpha1.ReasonLifetimeTooLong: true,
	v1alpha1.ReasonTooManyBuckets: true, v1alpha1.ReasonBucketNotGrantable: true, v1alpha1.ReasonRestrictionUnsupported: true,
	v1alpha1.ReasonProviderRefused: true, v1alpha1.ReasonSecretNotOwned: true, v1alpha1.ReasonProviderShared: true,
	v1alpha1.ReasonHandoverRefused: true, v1alpha1.ReasonPublishRefused: true,
}
