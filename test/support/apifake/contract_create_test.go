package apifake_test

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

var createScenarios = []scenario{
	{"create fills in the system's metadata", func(w *world) {
		token := w.token("a")
		w.equal("generation", token.Generation, int64(1))
		w.equal("has all", token.UID != "" && token.ResourceVersion != "" && !token.CreationTimestamp.IsZero(), true)
		secret := w.secret("a")
		w.equal("generation of a Secret", secret.Generation, int64(0))
		w.equal("type of a Secret", secret.Type, corev1.SecretTypeOpaque)
		w.equal("kinds in answers", []string{token.Kind, secret.Kind, reread(w, token).Kind}, []string{"", "", ""})
	}},
	{"create ignores what only the system sets", func(w *world) {
		token := w.token("a", func(t *v1alpha1.ApiToken) {
			t.UID, t.Generation = "mine", 7
			t.CreationTimestamp = metav1.Unix(1, 0)
			t.DeletionTimestamp = new(metav1.Unix(1, 0))
			t.DeletionGracePeriodSeconds = new(int64(3))
			t.Finalizers = []string{v1alpha1.Finalizer}
			t.Status.Revision = 5
		})
		token = reread(w, token)
		w.equal("generation", token.Generation, int64(1))
		w.equal("UID", token.UID == "mine", false)
		w.equal("created in 1970", token.CreationTimestamp.Unix() == 1, false)
		w.equal("being deleted", token.DeletionTimestamp != nil || token.DeletionGracePeriodSeconds != nil, false)
		w.equal("status", token.Status, v1alpha1.ApiTokenStatus{})
	}},
	{"create takes the status out of the sender's object too", func(w *world) {
		token := w.token("a", func(t *v1alpha1.ApiToken) { t.Status.Revision = 5 })
		w.equal("revision", token.Status.Revision, int64(0))
	}},
	{"create refuses a resourceVersion", func(w *world) {
		token := w.newToken("a")
		token.ResourceVersion = "1"
		w.fails(w.Create(w.ctx, token), metav1.StatusReasonUnknown)
		secret := w.newSecret("a")
		secret.ResourceVersion = "1"
		w.fails(w.Create(w.ctx, secret), metav1.StatusReasonUnknown)
		w.gone(token)
	}},
	{"create refuses a name that is taken", func(w *world) {
		first := w.token("a")
		w.fails(w.Create(w.ctx, w.newToken("a")), metav1.StatusReasonAlreadyExists)
		w.secret("a")
		w.fails(w.Create(w.ctx, w.newSecret("a")), metav1.StatusReasonAlreadyExists)
		unchanged(w, first)
		again := w.newToken("a")
		again.ResourceVersion = first.ResourceVersion
		w.fails(w.Create(w.ctx, again), metav1.StatusReasonUnknown)
	}},
	{"create needs a name", func(w *world) {
		w.fails(w.Create(w.ctx, w.newToken("")), metav1.StatusReasonInvalid)
	}},
	{"create needs a namespace that exists", func(w *world) {
		token := w.newToken("a")
		token.Namespace = "nowhere"
		w.fails(w.Create(w.ctx, token), metav1.StatusReasonNotFound)
	}},
	{"a new object of the same name has another UID and a later version", func(w *world) {
		first := w.token("a")
		w.ok(w.Delete(w.ctx, first))
		w.gone(first)
		second := w.token("a")
		w.equal("same UID", first.UID == second.UID, false)
		w.equal("same version", first.ResourceVersion == second.ResourceVersion, false)
	}},
	{"a dry-run create checks and stores nothing", func(w *world) {
		token := w.newToken("a")
		w.ok(w.Create(w.ctx, token, client.DryRunAll))
		w.equal("answer", token.UID != "" && token.Generation == 1 && token.ResourceVersion == "", true)
		w.gone(token)
		w.token("a")
		w.fails(w.Create(w.ctx, w.newToken("a"), client.DryRunAll), metav1.StatusReasonAlreadyExists)
		w.secret("a")
		w.fails(w.Create(w.ctx, w.newSecret("a"), client.DryRunAll), metav1.StatusReasonAlreadyExists)
	}},
	{"a terminating namespace takes no new objects", func(w *world) {
		old := w.token("old", finalizer)
		w.ok(w.Delete(w.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.ns}}))
		var ns corev1.Namespace
		w.ok(w.Get(w.ctx, types.NamespacedName{Name: w.ns}, &ns))
		w.equal("phase", ns.Status.Phase, corev1.NamespaceTerminating)
		w.equal("being deleted", ns.DeletionTimestamp != nil, true)
		for _, obj := range []client.Object{w.newSecret("new"), w.newToken("new"), w.newToken("old")} {
			err := w.Create(w.ctx, obj)
			w.fails(err, metav1.StatusReasonForbidden)
			w.equal("has the cause", apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), true)
		}
		w.fails(w.Create(w.ctx, w.newSecret("new"), client.DryRunAll), metav1.StatusReasonForbidden)
		old.Labels = map[string]string{"still": "writable"}
		w.ok(w.Update(w.ctx, old))
		w.ok(w.Delete(w.ctx, &ns))
	}},
	{"defaults are set on create, and inside a block only when it is there", func(w *world) {
		bare := w.token("bare")
		w.equal("bare", bare.Spec, v1alpha1.ApiTokenSpec{
			ProviderRef:    v1alpha1.ProviderReference{Kind: v1alpha1.KindTokenProvider, Name: "store"},
			Scopes:         []v1alpha1.Scope{"objectstorage:object-read-only"},
			Buckets:        []v1alpha1.Bucket{"b1"},
			DeletionPolicy: v1alpha1.DeletionRevoke,
		})
		rotated := w.token("rotated", func(t *v1alpha1.ApiToken) {
			t.Spec.ExpiresIn = &metav1.Duration{Duration: 10 * time.Hour}
			t.Spec.Rotation.Generation = 1
		})
		w.equal("rotation", rotated.Spec.Rotation, v1alpha1.Rotation{Generation: 1, Strategy: v1alpha1.MakeBeforeBreak})
		spec := v1alpha1.ProviderSpec{CredentialsSecretRef: v1alpha1.SecretReference{Name: "minter"}, AWS: &v1alpha1.AWSProvider{}}
		provider := &v1alpha1.TokenProvider{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "a"}, Spec: spec}
		w.ok(w.Create(w.ctx, provider))
		w.equal("region", provider.Spec.AWS.Region, "us-east-1")
		cluster := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: w.ns}}
		cluster.Spec.ProviderSpec = spec
		cluster.Spec.AllowedNamespaces = &metav1.LabelSelector{}
		w.ok(w.Create(w.ctx, cluster))
		w.equal("region", reread(w, cluster).Spec.AWS.Region, "us-east-1")
		w.equal("selector", reread(w, cluster).Spec.AllowedNamespaces, &metav1.LabelSelector{})
		w.equal("generation", cluster.Generation, int64(1))
		w.ok(w.Delete(w.ctx, cluster))
	}},
}
