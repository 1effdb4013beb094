// Package trim decides what the operator's cache keeps of an object's metadata,
// and changes finalizers without the rest.
//
// Anyone who can edit an object can put 256 KiB of annotations on it, and more than
// that of labels, finalizers and owner references. The cache keeps what the
// operator reads, with a limit for each object. A trimmed object must therefore
// never be sent back as a whole: its writer would delete what others put there.
// Trimming leaves a mark that the API server refuses as an annotation, so such
// an update fails. Changes go as patches, or start from a live read.
package trim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

const (
	// MaxValue is the longest value of an annotation that the cache keeps, in
	// bytes. The operator's own values are at most 256 characters long.
	MaxValue = 512
	// MaxNamespaceLabels is the most that the keys and values of a namespace's
	// labels may have together to be kept, in bytes.
	MaxNamespaceLabels = 16 << 10
	// MaxFinalizers is the most finalizers that the cache keeps of one object. The
	// API server limits each to 317 bytes.
	MaxFinalizers = 16

	// TooLong replaces a longer value. No value that the operator compares with,
	// parses or sends contains a NUL.
	TooLong = "\x00too long"

	// mark is the annotation of an object that was trimmed. The API server refuses
	// the key, so nobody can set it, and a full update with it fails.
	mark = "\x00trimmed"
	// finalizersCut is the value of the mark of an object whose finalizers are not
	// all there.
	finalizersCut = "finalizers"
)

// kept is what the cache keeps of one kind.
type kept struct {
	annotations []string
	// labels that are kept; nil with allLabels.
	labels    []string
	allLabels bool
	// controller: keep the owner reference of the controller.
	controller bool
}

var (
	tokens     = kept{annotations: []string{v1alpha1.AnnotationEdited, v1alpha1.AnnotationDeleted, v1alpha1.AnnotationEnd}}
	providers  = kept{}
	namespaces = kept{allLabels: true}
	secrets    = kept{
		annotations: []string{
			v1alpha1.AnnotationToken, v1alpha1.AnnotationCluster, v1alpha1.AnnotationCredential, v1alpha1.AnnotationCredentialID,
			v1alpha1.AnnotationAccount, v1alpha1.AnnotationIssuedAt, v1alpha1.AnnotationExpiresAt, v1alpha1.AnnotationFingerprint,
			v1alpha1.AnnotationRotation, v1alpha1.AnnotationLayout,
		},
		labels:     []string{v1alpha1.LabelManaged, "app.kubernetes.io/managed-by"},
		controller: true,
	}
	// neverCached are the annotations that are read live only.
	neverCached = []string{v1alpha1.AnnotationChecksum, v1alpha1.AnnotationKeys, v1alpha1.AnnotationExtra, v1alpha1.AnnotationFence, v1alpha1.AnnotationRetained}
)

// ByObject returns the cache's options for every kind that the operator caches.
// The selector and the namespaces of Secrets are the caller's.
func ByObject(ofSecrets cache.ByObject) map[client.Object]cache.ByObject {
	ofSecrets.Transform = secrets.transform
	return map[client.Object]cache.ByObject{
		&v1alpha1.ApiToken{}:             {Transform: tokens.transform},
		&v1alpha1.TokenProvider{}:        {Transform: providers.transform},
		&v1alpha1.ClusterTokenProvider{}: {Transform: providers.transform},
		Metadata("Secret"):               ofSecrets,
		Metadata("Namespace"):            {Transform: namespaces.transform},
	}
}

// Metadata returns an empty object to read the metadata of a core kind into.
func Metadata(kind string) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	return m
}

// Secret trims the metadata of a Secret as the cache does.
func Secret(meta *metav1.ObjectMeta) { secrets.trim(meta) }

// Whole reports whether nothing was trimmed off the object.
func Whole(o metav1.Object) bool {
	_, marked := o.GetAnnotations()[mark]
	return !marked
}

// LabelsCut reports whether a namespace has more labels than the cache keeps. Then
// they must be read live.
func LabelsCut(o metav1.Object) bool {
	_, cut := o.GetLabels()[mark]
	return cut
}

// transform trims an object before it goes into the cache. It never fails, and
// trimming again changes nothing.
func (k kept) transform(object any) (any, error) {
	if o, ok := object.(metav1.Object); ok {
		k.trim(o)
	}
	return object, nil
}

func (k kept) trim(o metav1.Object) {
	was, marked := o.GetAnnotations()[mark]
	o.SetManagedFields(nil) // an update that sends none leaves them as they are
	o.SetSelfLink("")

	annotations, cut := pick(o.GetAnnotations(), k.annotations)
	if k.allLabels {
		labels, labelsCut := boundLabels(o.GetLabels())
		o.SetLabels(labels)
		cut = cut || labelsCut
	} else {
		labels, labelsCut := pick(o.GetLabels(), k.labels)
		o.SetLabels(labels)
		cut = cut || labelsCut
	}
	if o.GetGenerateName() != "" {
		o.SetGenerateName("")
		cut = true
	}
	owners := o.GetOwnerReferences()
	o.SetOwnerReferences(k.owners(owners))
	cut = cut || len(owners) != len(o.GetOwnerReferences())

	if finalizers := o.GetFinalizers(); len(finalizers) > MaxFinalizers {
		o.SetFinalizers(slices.DeleteFunc(slices.Clone(finalizers), func(f string) bool { return f != v1alpha1.Finalizer }))
		cut, was = true, finalizersCut
	}
	if cut || marked {
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[mark] = was
	}
	o.SetAnnotations(annotations)
}

// pick returns the entries with these keys, and whether anything is missing.
func pick(have map[string]string, keys []string) (out map[string]string, cut bool) {
	for _, key := range keys {
		value, ok := have[key]
		if !ok {
			continue
		}
		if out == nil {
			out = make(map[string]string, len(keys))
		}
		out[key] = bounded(value)
		cut = cut || out[key] != value
	}
	return out, cut || len(out) != len(have)
}

func bounded(value string) string {
	if len(value) > MaxValue {
		return TooLong
	}
	return value
}

// boundLabels returns all labels or none. A part would make a selector match that
// matches only where a label is missing.
func boundLabels(have map[string]string) (out map[string]string, cut bool) {
	size := 0
	for key, value := range have {
		size += len(key) + len(value)
	}
	if size <= MaxNamespaceLabels {
		return have, false
	}
	// The hash makes a change of the labels visible.
	raw, err := json.Marshal(have)
	if err != nil {
		return map[string]string{mark: ""}, true
	}
	sum := sha256.Sum256(raw)
	return map[string]string{mark: hex.EncodeToString(sum[:16])}, true
}

// owners returns what is kept of the owner references.
func (k kept) owners(have []metav1.OwnerReference) []metav1.OwnerReference {
	if !k.controller {
		return nil
	}
	for i := range have {
		if r := have[i]; r.Controller != nil && *r.Controller {
			r.APIVersion, r.Kind, r.Name = bounded(r.APIVersion), bounded(r.Kind), bounded(r.Name)
			if len(r.UID) > MaxValue {
				r.UID = TooLong
			}
			return []metav1.OwnerReference{r}
		}
	}
	return nil
}
