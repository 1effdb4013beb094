// Package trim limits the metadata that the operator's cache keeps of an object, and changes
// finalizers without writing the rest.
//
// Anyone who can edit an object can add 256 KiB of annotations, and even more labels,
// finalizers and owner references. The cache keeps what the operator reads, with a limit
// per object. Never update a trimmed object as a whole: that would delete the metadata of
// others. Trimming adds an annotation that the API server rejects, so such an update fails.
// Write with a patch, or after a live read.
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
	// MaxValue is the maximum size of an annotation's value in the cache, in bytes. The
	// operator's own values have at most 256 characters.
	MaxValue = 512
	// MaxNamespaceLabels is the maximum total size of a namespace's labels in the cache, in
	// bytes of keys and values.
	MaxNamespaceLabels = 16 << 10
	// MaxFinalizers is the maximum number of finalizers that the cache keeps of one object.
	// The API server limits each to 317 bytes.
	MaxFinalizers = 16

	// TooLong replaces a longer value. It contains a NUL, so it is equal to no value that
	// the operator compares, parses or sends.
	TooLong = "\x00too long"

	// mark is the annotation of a trimmed object. The API server rejects the key, so no user
	// can set it, and a full update with it fails.
	mark = "\x00trimmed"
	// finalizersCut is the value of the mark of an object with only some of its finalizers.
	finalizersCut = "finalizers"
)

// kept describes what the cache keeps of a kind.
type kept struct {
	annotations []string
	// labels to keep; nil with allLabels.
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
	// neverCached are the annotations that are only read live.
	neverCached = []string{v1alpha1.AnnotationChecksum, v1alpha1.AnnotationKeys, v1alpha1.AnnotationExtra, v1alpha1.AnnotationFence, v1alpha1.AnnotationRetained}
)

// ByObject returns the cache options for every kind that the operator caches. The caller
// sets the selector and the namespaces of Secrets.
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

// Metadata returns an empty object for the metadata of a core kind.
func Metadata(kind string) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	return m
}

// Secret trims the metadata of a Secret like the cache.
func Secret(meta *metav1.ObjectMeta) { secrets.trim(meta) }

// Whole reports whether the object was not trimmed.
func Whole(o metav1.Object) bool {
	_, marked := o.GetAnnotations()[mark]
	return !marked
}

// LabelsCut reports whether a namespace has more labels than the cache keeps, so they must
// be read live.
func LabelsCut(o metav1.Object) bool {
	_, cut := o.GetLabels()[mark]
	return cut
}

// transform trims an object before it enters the cache. It never fails, and trimming again
// changes nothing.
func (k kept) transform(object any) (any, error) {
	if o, ok := object.(metav1.Object); ok {
		k.trim(o)
	}
	return object, nil
}

func (k kept) trim(o metav1.Object) {
	was, marked := o.GetAnnotations()[mark]
	o.SetManagedFields(nil) // an update without managed fields keeps them
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

// boundLabels returns all labels or none. With a part of them, a selector that requires a
// label to be absent could match.
func boundLabels(have map[string]string) (out map[string]string, cut bool) {
	size := 0
	for key, value := range have {
		size += len(key) + len(value)
	}
	if size <= MaxNamespaceLabels {
		return have, false
	}
	// With the hash, a change of the labels changes the object.
	raw, err := json.Marshal(have)
	if err != nil {
		return map[string]string{mark: ""}, true
	}
	sum := sha256.Sum256(raw)
	return map[string]string{mark: hex.EncodeToString(sum[:16])}, true
}

// owners returns the owner references to keep.
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
