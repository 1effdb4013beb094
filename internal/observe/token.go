package observe

import (
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/plan"
)

// PublishSettle is how long the API server can still carry out a publish after the attempt
// stopped waiting for it. The API server limits a request to one minute by default
// (kube-apiserver --request-timeout).
const PublishSettle = time.Minute

// Token returns the part of an ApiToken that decisions depend on, except its ledger.
func (s *Sources) Token(t *v1alpha1.ApiToken, namespaceEnding bool) plan.Token {
	out := plan.Token{
		Namespace: t.Namespace, Name: t.Name, UID: string(t.UID), Generation: t.Generation,
		Spec:     t.Spec,
		Deleting: !t.DeletionTimestamp.IsZero(), NamespaceEnding: namespaceEnding,
		HasFinalizer: controllerutil.ContainsFinalizer(t, v1alpha1.Finalizer),
		Revision:     t.Status.Revision, Budget: t.Status.MintBudget, Retry: t.Status.Retry,
		PublishRefused: plan.PublishRefused(&t.Status),
		Edited:         editedFor(t),
		End:            t.Annotations[v1alpha1.AnnotationEnd],
		Owns:           Owns(s.Cluster, t),
	}
	if t.Status.GapSince != nil {
		out.GapSince, out.GapReason = t.Status.GapSince.Time, t.Status.GapReason
	}
	return out
}

// Ledger returns the ledger's entries with what this process knows about each. An entry
// that is or was Active has a known outcome, so it is settled.
func (s *Sources) Ledger(t *v1alpha1.ApiToken, f *account.Facts) []plan.Entry {
	now, key := s.Clock.Monotonic(), nameOf(t)
	settle := plan.AttemptTime + max(f.Capabilities.Settle, PublishSettle)
	out := make([]plan.Entry, 0, len(t.Status.Credentials))
	for i := range t.Status.Credentials {
		e := plan.Entry{LedgerEntry: t.Status.Credentials[i]}
		known := s.Memory.Attempts.Of(key, &e.LedgerEntry, now)
		e.Ours, e.SeenFor = known.Ours, known.SeenFor
		e.Rejected = known.Rejection != nil && known.Rejection.Revision == t.Status.Revision
		answered := e.IssuedAt != nil || e.State == v1alpha1.StateActive
		if !answered {
			e.SettlesIn = max(0, settle-e.SeenFor)
		}
		e.Settled = e.SettlesIn == 0
		e.ProvesIn = s.Memory.Proofs.Wait(key, e.Name, now)
		e.FindsIn = s.Memory.Finds.Wait(key, e.Name, now)
		s.Memory.Doubts.About(key, &e, now)
		out = append(out, e)
	}
	return out
}

// Owns reports whether a credential name was made for an ApiToken in this cluster.
func Owns(cluster string, t *v1alpha1.ApiToken) func(string) bool {
	namespace, token := t.Namespace, t.Name
	return func(name string) bool {
		n, err := credname.Parse(name)
		return err == nil && n.OwnedBy(cluster, namespace, token)
	}
}

// editedFor is the generation for which a user says that the credential was edited.
func editedFor(t *v1alpha1.ApiToken) int64 {
	generation, err := strconv.ParseInt(t.Annotations[v1alpha1.AnnotationEdited], 10, 64)
	if err != nil {
		return 0
	}
	return generation
}

func nameOf(t *v1alpha1.ApiToken) types.NamespacedName {
	return types.NamespacedName{Namespace: t.Namespace, Name: t.Name}
}
