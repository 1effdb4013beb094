package apitoken

import (
	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/plan"
)

// rotated counts the credential that a written status made the one in use.
func rotated(driver string, before, after *v1alpha1.ApiTokenStatus) {
	for _, reason := range plan.Rotated(before, after) {
		metrics.Rotated(driver, string(reason))
	}
}

// rotationFailed counts an attempt to replace a credential that was not carried out.
func rotationFailed(driver string, reason plan.IssueReason, before *v1alpha1.ApiTokenStatus, out plan.Outcome) {
	if plan.RotationFailed(reason, before, out) {
		metrics.RotationFailed(driver, string(reason))
	}
}
