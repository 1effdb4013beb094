package gitops

import (
	"slices"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
)

// situation is something that a GitOps tool may find an object in.
type situation struct {
	kind, name string
	// reach brings an object of a new world there.
	reach func(w *world) client.Object
	// argo is the health in Argo CD, and says is in its message.
	argo health.HealthStatusCode
	says string
	// kstatus is what Flux sees by itself, and flux with the health check
	// expressions of the example. To kstatus what has no status is Current; the
	// expressions cannot judge it, so that Flux waits on.
	kstatus, flux status.Status
}

// file is where the object is recorded.
func (s situation) file() string { return "testdata/" + s.kind + "/" + s.name + ".yaml" }

func situations() []situation {
	return slices.Concat(atWork(), stuck(), waitingForAUser(), suspended(), ofProviders())
}

// atWork are situations in which no user must act.
func atWork() []situation {
	return []situation{
		{"ApiToken", "unseen", func(w *world) client.Object {
			return w.token()
		}, health.HealthStatusProgressing, "has not looked at", status.CurrentStatus, status.UnknownStatus},

		{"ApiToken", "issuing", func(w *world) client.Object {
			w.hold(fake.Mint)
			w.works()
			return w.shows(w.token(), v1alpha1.ConditionReconciling, v1alpha1.ReasonIssuing)
		}, health.HealthStatusProgressing, "issuing credential", status.InProgressStatus, status.InProgressStatus},

		{"ApiToken", "ready", func(w *world) client.Object {
			w.works()
			return w.issued()
		}, health.HealthStatusHealthy, `Secret "training-data" holds credential`, status.CurrentStatus, status.CurrentStatus},

		{"ApiToken", "overlap", func(w *world) client.Object {
			w.works()
			w.issued()
			t := w.edit(func(t *v1alpha1.ApiToken) { t.Spec.Rotation.Generation = 1 })
			return w.shows(t, v1alpha1.ConditionReady, v1alpha1.ReasonReady)
		}, health.HealthStatusHealthy, `Secret "training-data" holds credential`, status.CurrentStatus, status.CurrentStatus},

		{"ApiToken", "provider-not-ready", func(w *world) client.Object {
			w.minter("CANARY-wrong")
			w.shows(w.providerStarted(), v1alpha1.ConditionStalled, v1alpha1.ReasonCredentialsRejected)
			return w.shows(w.token(), v1alpha1.ConditionReconciling, v1alpha1.ReasonProviderNotReady)
		}, health.HealthStatusProgressing, "is not ready", status.InProgressStatus, status.InProgressStatus},

		{"ApiToken", "backoff", func(w *world) client.Object {
			rejected := fake.Fault{Kind: fake.Reject, Code: provider.CodeQuota}
			w.backend.Script(fake.Mint, slices.Repeat([]fake.Fault{rejected}, 10)...)
			w.works()
			return w.shows(w.token(), v1alpha1.ConditionReconciling, v1alpha1.ReasonBackoff, "It ended with")
		}, health.HealthStatusProgressing, "It ended with", status.InProgressStatus, status.InProgressStatus},

		{"ApiToken", "generation-behind", func(w *world) client.Object {
			w.works()
			w.issued()
			w.stop()
			return w.edit(func(t *v1alpha1.ApiToken) { t.Spec.Buckets = []v1alpha1.Bucket{"models"} })
		}, health.HealthStatusProgressing, "has not looked at", status.InProgressStatus, status.InProgressStatus},

		{"ApiToken", "deleting", func(w *world) client.Object {
			w.works()
			t := w.issued()
			w.backend.Script(fake.Revoke, slices.Repeat([]fake.Fault{{Kind: fake.InDoubt}}, 100)...)
			w.ExpectDeleted(t)
			return w.shows(t, v1alpha1.ConditionReconciling, v1alpha1.ReasonDeleting, "revoke")
		}, health.HealthStatusProgressing, "Deleting: ", status.TerminatingStatus, status.InProgressStatus},
	}
}

// stuck are situations in which a user must change something in the cluster.
func stuck() []situation {
	return []situation{
		{"ApiToken", "provider-not-found", func(w *world) client.Object {
			w.start()
			return w.shows(w.token(), v1alpha1.ConditionStalled, v1alpha1.ReasonProviderNotFound)
		}, health.HealthStatusDegraded, "create it, or name another provider", status.FailedStatus, status.FailedStatus},

		{"ApiToken", "scope-not-grantable", func(w *world) client.Object {
			w.driver.Caps.Scopes = []string{"objectstorage:admin-read-write"}
			w.works()
			return w.shows(w.token(), v1alpha1.ConditionStalled, v1alpha1.ReasonScopeNotGrantable)
		}, health.HealthStatusDegraded, "spec.scopes[0]", status.FailedStatus, status.FailedStatus},

		{"ApiToken", "expired", func(w *world) client.Object {
			w.works()
			t := w.token(func(t *v1alpha1.ApiToken) { t.Spec.ExpiresAt = v1alpha1.NewTimestamp(epoch.Add(48 * time.Hour)) })
			w.shows(t, v1alpha1.ConditionReady, v1alpha1.ReasonReady)
			w.clock.Advance(49 * time.Hour)
			w.poke()
			return w.shows(t, v1alpha1.ConditionStalled, v1alpha1.ReasonExpired)
		}, health.HealthStatusDegraded, "spec.expiresAt", status.FailedStatus, status.FailedStatus},

		{"ApiToken", "namespace-no-longer-admitted", func(w *world) client.Object {
			w.minter(kit.MinterToken)
			p := w.clusterProvider()
			w.start()
			w.shows(p, v1alpha1.ConditionReady, v1alpha1.ReasonReady)
			t := w.token(func(t *v1alpha1.ApiToken) {
				t.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.KindClusterTokenProvider, Name: p.GetName()}
			})
			w.shows(t, v1alpha1.ConditionReady, v1alpha1.ReasonReady)
			w.shutOut(p)
			w.shows(t, v1alpha1.ConditionReady, v1alpha1.ReasonNamespaceNotAllowed, "holds credential")
			return w.shows(t, v1alpha1.ConditionStalled, v1alpha1.ReasonNamespaceNotAllowed)
		}, health.HealthStatusDegraded, "label the namespace", status.FailedStatus, status.FailedStatus},

		{"ApiToken", "secret-not-owned", func(w *world) client.Object {
			w.handSecret("HAND0001", "CANARY-of-another-user")
			w.works()
			return w.shows(w.token(func(t *v1alpha1.ApiToken) { t.Spec.Secret.Name = tokenName + v1alpha1.HandoverSuffix }),
				v1alpha1.ConditionStalled, v1alpha1.ReasonSecretNotOwned)
		}, health.HealthStatusDegraded, "spec.secret.name", status.FailedStatus, status.FailedStatus},
	}
}

// waitingForAUser are situations in which a user must do something at the provider.
func waitingForAUser() []situation {
	return []situation{
		{"ApiToken", "create-credential", func(w *world) client.Object {
			w.worksWithoutAPI()
			return w.shows(w.token(), v1alpha1.ConditionActionRequired, v1alpha1.ReasonCreateCredential)
		}, health.HealthStatusDegraded, "create a credential at the provider (Panel > Access Keys > Add) with: Bucket: datasets", status.FailedStatus, status.FailedStatus},

		{"ApiToken", "handover-refused", func(w *world) client.Object {
			w.worksWithoutAPI()
			t := w.token()
			w.handSecret("HAND0001", "CANARY-wrong")
			return w.shows(t, v1alpha1.ConditionStalled, v1alpha1.ReasonHandoverRefused)
		}, health.HealthStatusDegraded, "cannot be used", status.FailedStatus, status.FailedStatus},

		{"ApiToken", "create-credential-while-ready", func(w *world) client.Object {
			t := w.handedOver()
			w.rotationIsDue()
			w.shows(t, v1alpha1.ConditionReady, v1alpha1.ReasonReady)
			return w.shows(t, v1alpha1.ConditionActionRequired, v1alpha1.ReasonCreateCredential)
		}, health.HealthStatusDegraded, "create a credential at the provider (Panel > Access Keys > Add)", status.CurrentStatus, status.FailedStatus},

		{"ApiToken", "delete-credential-while-ready", func(w *world) client.Object {
			t := w.handedOver()
			w.rotationIsDue()
			second := w.handOver()
			w.shows(t, v1alpha1.ConditionReady, v1alpha1.ReasonReady, second)
			w.clock.Advance(2 * time.Hour)
			w.poke()
			return w.shows(t, v1alpha1.ConditionActionRequired, v1alpha1.ReasonDeleteCredential)
		}, health.HealthStatusDegraded, "delete credential HAND0001 at the provider (Panel > Access Keys > Delete)", status.CurrentStatus, status.FailedStatus},

		{"ApiToken", "edit-credential", func(w *world) client.Object {
			t := w.handedOver()
			w.edit(func(t *v1alpha1.ApiToken) {
				t.Spec.Restrictions = v1alpha1.Restrictions{AllowedIPs: []v1alpha1.IPRange{"203.0.113.0/24"}}
			})
			return w.shows(t, v1alpha1.ConditionActionRequired, v1alpha1.ReasonEditCredential)
		}, health.HealthStatusDegraded, "edit credential HAND0001 at the provider (Panel > Access Keys > Edit)", status.FailedStatus, status.FailedStatus},

		{"ApiToken", "deleting-waits-for-a-person", func(w *world) client.Object {
			t := w.handedOver()
			w.ExpectDeleted(t)
			w.shows(t, v1alpha1.ConditionActionRequired, v1alpha1.ReasonDeleteCredential)
			return w.shows(t, v1alpha1.ConditionStalled, v1alpha1.ReasonActionRequired) // it comes after the first attempt
		}, health.HealthStatusProgressing, "Deleting: delete credential HAND0001", status.TerminatingStatus, status.FailedStatus},
	}
}

func suspended() []situation {
	suspend := func(t *v1alpha1.ApiToken) { t.Spec.Suspend = true }
	return []situation{
		{"ApiToken", "suspended", func(w *world) client.Object {
			w.works()
			w.issued()
			return w.shows(w.edit(suspend), v1alpha1.ConditionReady, v1alpha1.ReasonSuspended)
		}, health.HealthStatusSuspended, "spec.suspend is true", status.CurrentStatus, status.CurrentStatus},

		{"ApiToken", "suspended-before-issue", func(w *world) client.Object {
			w.works()
			return w.shows(w.token(suspend), v1alpha1.ConditionReady, v1alpha1.ReasonSuspended)
		}, health.HealthStatusSuspended, "spec.suspend is true", status.InProgressStatus, status.InProgressStatus},
	}
}

func ofProviders() []situation {
	return []situation{
		{"TokenProvider", "unseen", func(w *world) client.Object {
			return w.provider()
		}, health.HealthStatusProgressing, "has not looked at", status.CurrentStatus, status.UnknownStatus},

		{"TokenProvider", "ready", func(w *world) client.Object {
			return w.works()
		}, health.HealthStatusHealthy, "The credentials of account fake-account work", status.CurrentStatus, status.CurrentStatus},

		{"TokenProvider", "credentials-missing", func(w *world) client.Object {
			return w.shows(w.providerStarted(), v1alpha1.ConditionStalled, v1alpha1.ReasonCredentialsMissing)
		}, health.HealthStatusDegraded, "minter", status.FailedStatus, status.FailedStatus},

		{"TokenProvider", "credentials-rejected", func(w *world) client.Object {
			w.minter("CANARY-wrong")
			return w.shows(w.providerStarted(), v1alpha1.ConditionStalled, v1alpha1.ReasonCredentialsRejected)
		}, health.HealthStatusDegraded, "spec.credentialsSecretRef", status.FailedStatus, status.FailedStatus},

		{"TokenProvider", "unreachable", func(w *world) client.Object {
			w.backend.Script(fake.Connect, slices.Repeat([]fake.Fault{{Kind: fake.InDoubt}}, 100)...)
			w.minter(kit.MinterToken)
			return w.shows(w.providerStarted(), v1alpha1.ConditionReconciling, v1alpha1.ReasonUnreachable)
		}, health.HealthStatusProgressing, "The operator retries", status.InProgressStatus, status.InProgressStatus},

		{"TokenProvider", "generation-behind", func(w *world) client.Object {
			p := w.works()
			w.stop()
			patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"aws":{"region":"eu-central-1"}}}`))
			w.OK(w.Patch(w.Context(), p, patch))
			return p
		}, health.HealthStatusProgressing, "has not looked at", status.InProgressStatus, status.InProgressStatus},

		{"TokenProvider", "deleting-in-use", func(w *world) client.Object {
			p := w.works()
			w.issued()
			w.ExpectDeleted(p)
			return w.shows(p, v1alpha1.ConditionStalled, v1alpha1.ReasonInUse)
		}, health.HealthStatusProgressing, "Deleting: ", status.TerminatingStatus, status.FailedStatus},

		{"ClusterTokenProvider", "ready", func(w *world) client.Object {
			w.minter(kit.MinterToken)
			p := w.clusterProvider()
			w.start()
			return w.shows(p, v1alpha1.ConditionReady, v1alpha1.ReasonReady)
		}, health.HealthStatusHealthy, "The credentials of account fake-account work", status.CurrentStatus, status.CurrentStatus},

		{"ClusterTokenProvider", "credentials-missing", func(w *world) client.Object {
			p := w.clusterProvider()
			w.start()
			return w.shows(p, v1alpha1.ConditionStalled, v1alpha1.ReasonCredentialsMissing)
		}, health.HealthStatusDegraded, "minter", status.FailedStatus, status.FailedStatus},
	}
}

// shutOut makes a ClusterTokenProvider no longer admit this namespace.
func (w *world) shutOut(p client.Object) {
	w.Helper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"allowedNamespaces":{"matchLabels":{"tokens":"elsewhere"}}}}`))
	w.OK(w.Patch(w.Context(), p, patch))
}

// rotationIsDue advances the clock until the rotation is due.
func (w *world) rotationIsDue() {
	w.Helper()
	t := &v1alpha1.ApiToken{}
	w.OK(w.Get(w.Context(), client.ObjectKey{Namespace: w.ns, Name: tokenName}, t))
	w.clock.AdvanceTo(t.Status.RotatesAt.Add(2 * time.Second))
	w.poke()
}
