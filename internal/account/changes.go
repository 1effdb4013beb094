package account

import (
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

// FactsDiffer reports whether an update of a provider can change its Facts. If it can, the
// ApiTokens that refer to the provider must be reconciled: they get no other event for most
// of the changes that they wait for.
//
// Every field of the status counts, except those that change often and that no decision
// reads: lastError, liveCredentials, the messages and times of conditions, and all
// conditions but Ready. A new field counts until it is excluded here.
func FactsDiffer(before, after client.Object) bool {
	was, is := Of(before), Of(after)
	if was.Raw == nil || is.Raw == nil {
		return true
	}
	return was.GetGeneration() != is.GetGeneration() || was.Deleting() != is.Deleting() || was.Ready() != is.Ready() ||
		!equality.Semantic.DeepEqual(read(was.Status), read(is.Status))
}

// read returns a copy of a status with only what decisions read.
func read(s *v1alpha1.ProviderStatus) *v1alpha1.ProviderStatus {
	out := s.DeepCopy()
	out.LastError, out.LiveCredentials, out.Conditions = nil, 0, nil
	if c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady); c != nil {
		out.Conditions = []metav1.Condition{{Status: c.Status, Reason: c.Reason, ObservedGeneration: c.ObservedGeneration}}
	}
	return out
}
