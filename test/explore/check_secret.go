package explore

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/fake"
)

// The data keys and annotations of a Secret that describe its credential.
const (
	keyBucket   = "BUCKET_NAME"
	keyEndpoint = "AWS_ENDPOINT_URL"
	// wrong is the value that a user writes into the Secret.
	wrong = "edited"
)

// checkSecret checks S2 and S7. A gap is allowed with RevokeFirst, while an old Secret is
// restored, while the Secret is being deleted, and from the attempt to delete it at the
// end.
func (w *world) checkSecret(token *v1alpha1.ApiToken) {
	s := w.secret()
	gap := token.Status.GapSince != nil && token.Spec.Rotation.Strategy == v1alpha1.RevokeFirst
	if s == nil || !s.DeletionTimestamp.IsZero() || !token.DeletionTimestamp.IsZero() || w.restored || gap {
		return
	}
	name := s.Annotations[v1alpha1.AnnotationCredential]
	switch {
	case w.ended[name]: // it is revoked, whether or not the Secret is deleted
	case !w.backend.Live(name):
		w.violate("S2", "the Secret holds %s, which is not live", name)
	case spoiled(s): // the operator must repair it; settled checks that it did
	case !w.works(s):
		w.violate("S2", "the provider does not accept what is in the Secret of %s", name)
	default:
		w.checkSaid(s, name)
	}
}

// checkSaid checks S7: the keys in the Secret allow what the Secret says.
func (w *world) checkSaid(s *corev1.Secret, name string) {
	grant, _ := w.backend.GrantOf(name)
	bucket, endpoint := string(s.Data[keyBucket]), string(s.Data[keyEndpoint])
	switch {
	case bucket != "" && !slices.Contains(grant.Buckets, bucket) && !slices.Contains(grant.Buckets, "*"):
		w.violate("S7", "the Secret names bucket %q, but %s grants access to %v", bucket, name, grant.Buckets)
	case endpoint != fake.S3Endpoint:
		w.violate("S7", "the Secret names endpoint %q, but %s is a credential of %s", endpoint, name, fake.S3Endpoint)
	}
}

// works reports whether the provider accepts the keys in a Secret as those of the
// credential that its annotation names.
func (w *world) works(s *corev1.Secret) bool {
	id := string(s.Data[fake.KeyID])
	return w.backend.IDOf(s.Annotations[v1alpha1.AnnotationCredential]) == id && w.backend.Accepts(id, string(s.Data[fake.KeySecret]))
}

// spoiled reports whether a user's edit of the data is still in the Secret.
func spoiled(s *corev1.Secret) bool {
	for _, value := range s.Data {
		if string(value) == wrong {
			return true
		}
	}
	return false
}
