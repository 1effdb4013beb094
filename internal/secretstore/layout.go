package secretstore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

// layout is what a Secret carries beside the credential. It changes without a
// new credential.
type layout struct {
	Labels      map[string]string
	Annotations map[string]string
	Connection  map[string]string
	// OwnerUID is empty with deletionPolicy Retain: without an owner reference no
	// garbage collector can be faster than the operator.
	OwnerUID string
}

func (s *Store) layout(t Target) layout {
	l := layout{Labels: t.Token.Spec.Secret.Labels, Annotations: t.Token.Spec.Secret.Annotations, Connection: t.Connection}
	if t.Token.Spec.DeletionPolicy != v1alpha1.DeletionRetain {
		l.OwnerUID = string(t.Token.UID)
	}
	return l
}

func (l layout) hash() string { return digest(l) }

// layoutHolds compares a Secret that was read with what it should carry.
func (s *Store) layoutHolds(t Target, secret *corev1.Secret) bool {
	l := s.layout(t)
	if secret.Annotations[v1alpha1.AnnotationLayout] != l.hash() || secret.Labels[v1alpha1.LabelManaged] != "true" {
		return false
	}
	ownerUID := ""
	if c := metav1.GetControllerOfNoCopy(secret); c != nil {
		ownerUID = string(c.UID)
	}
	return ownerUID == l.OwnerUID && contains(secret.Labels, l.Labels) && contains(secret.Annotations, l.Annotations)
}

// contains reports whether all of want stands in have.
func contains(have, want map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// dress puts labels, annotations and owner onto a Secret's metadata, and takes
// off what an earlier declaration had put there.
func (s *Store) dress(t Target, meta *metav1.ObjectMeta) {
	l := s.layout(t)
	extra := splitExtra(meta.Annotations[v1alpha1.AnnotationExtra])
	meta.Labels = merged(meta.Labels, extra.labels, l.Labels)
	meta.Annotations = merged(meta.Annotations, extra.annotations, l.Annotations)
	meta.Labels[v1alpha1.LabelManaged] = "true"
	meta.Annotations[v1alpha1.AnnotationToken] = t.Token.Name
	meta.Annotations[v1alpha1.AnnotationCluster] = s.Cluster
	meta.Annotations[v1alpha1.AnnotationLayout] = l.hash()
	meta.Annotations[v1alpha1.AnnotationExtra] = joinExtra(l)
	delete(meta.Annotations, v1alpha1.AnnotationRetained)
	meta.OwnerReferences = othersOf(meta.OwnerReferences)
	if l.OwnerUID != "" {
		meta.OwnerReferences = append(meta.OwnerReferences,
			*metav1.NewControllerRef(t.Token, v1alpha1.GroupVersion.WithKind("ApiToken")))
	}
}

// othersOf returns the owner references that are not to an ApiToken.
func othersOf(owners []metav1.OwnerReference) []metav1.OwnerReference {
	return slices.DeleteFunc(slices.Clone(owners), func(r metav1.OwnerReference) bool {
		return r.Kind == "ApiToken" && r.APIVersion == v1alpha1.GroupVersion.String()
	})
}

func merged(have map[string]string, drop []string, want map[string]string) map[string]string {
	out := maps.Clone(have)
	if out == nil {
		out = map[string]string{}
	}
	for _, k := range drop {
		delete(out, k)
	}
	maps.Copy(out, want)
	return out
}

// extraKeys are the label and annotation keys that spec.secret asked for.
type extraKeys struct{ labels, annotations []string }

func joinExtra(l layout) string {
	return strings.Join(slices.Sorted(maps.Keys(l.Labels)), ",") + ";" + strings.Join(slices.Sorted(maps.Keys(l.Annotations)), ",")
}

func splitExtra(s string) extraKeys {
	labels, annotations, _ := strings.Cut(s, ";")
	return extraKeys{labels: strings.Split(labels, ","), annotations: strings.Split(annotations, ",")}
}

// checksum covers every key and value of a Secret: 128 bits of SHA-256. The
// values are credentials of at least as many random bits, so it gives nothing away.
func checksum(data map[string][]byte) string { return digest(data) }

func digest(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}
