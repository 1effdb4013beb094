package secretstore

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

// difference is a part of a Secret's metadata that differs from the declaration.
type difference struct {
	// what names it in a message.
	what string
	// kind and key are where managedFields lists it.
	kind, key string
}

func ofLabel(key string) difference {
	return difference{what: "label " + strconv.Quote(key), kind: "f:labels", key: "f:" + key}
}

func ofAnnotation(key string) difference {
	return difference{what: "annotation " + strconv.Quote(key), kind: "f:annotations", key: "f:" + key}
}

// difference returns the first difference between the declaration and the metadata of a
// Secret that was read live. The View must already say whether the parts of the connection
// are current.
func (s Snapshot) difference(t Target, secret *corev1.Secret) (difference, bool) {
	l := layoutOf(t)
	if key, ok := missing(secret.Labels, l.Labels); ok {
		return ofLabel(key), true
	}
	if key, ok := missing(secret.Labels, map[string]string{v1alpha1.LabelManaged: "true"}); ok {
		return ofLabel(key), true
	}
	if key, ok := missing(secret.Annotations, l.Annotations); ok {
		return ofAnnotation(key), true
	}
	ownerUID := ""
	if c := metav1.GetControllerOfNoCopy(secret); c != nil {
		ownerUID = string(c.UID)
	}
	if ownerUID != l.OwnerUID {
		return difference{what: "the owner reference", kind: "f:ownerReferences"}, true
	}
	if !s.digestsHold(t, secret.Annotations[v1alpha1.AnnotationLayout]) {
		return ofAnnotation(v1alpha1.AnnotationLayout), true
	}
	return difference{}, false
}

// digestsHold reports whether AnnotationLayout agrees with the contents of the Secret, and
// the record of its keys exists. Otherwise the cache would show another result than a live
// read.
func (s Snapshot) digestsHold(t Target, value string) bool {
	v := &s.View
	has, ok := parseDigests(value)
	if !ok {
		return isEarlierDigest(t, value)
	}
	want := digestsOf(t)
	return has.metadata == want.metadata && v.SettingsCurrent == (has.settings == want.settings) &&
		v.DeclarationCurrent == (has.declaration == want.declaration) && (s.recorded || !v.Intact || !t.hasDriver())
}

// missing returns the first key of want that have lacks or has with another value.
func missing(have, want map[string]string) (string, bool) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got, ok := have[key]; !ok || got != want[key] {
			return key, true
		}
	}
	return "", false
}

// manager returns the field manager that wrote the differing field. If the field was
// removed, it returns the manager other than the operator that wrote last. It is empty if
// managedFields does not tell. Their format is FieldsV1 of
// k8s.io/apimachinery/pkg/apis/meta/v1.
func (d difference) manager(fields []metav1.ManagedFieldsEntry) string {
	var last *metav1.ManagedFieldsEntry
	for i := range fields {
		e := &fields[i]
		switch {
		case owns(e, "f:annotations", "f:"+v1alpha1.AnnotationChecksum): // the operator
		case owns(e, d.kind, d.key):
			return e.Manager
		case last == nil || last.Time.Before(e.Time):
			last = e
		}
	}
	if last == nil {
		return ""
	}
	return last.Manager
}

// owns reports whether an entry of managedFields lists a field of the metadata.
func owns(e *metav1.ManagedFieldsEntry, kind, key string) bool {
	if e.FieldsV1 == nil {
		return false
	}
	var set struct {
		Metadata map[string]json.RawMessage `json:"f:metadata"`
	}
	var keys map[string]json.RawMessage
	if json.Unmarshal(e.FieldsV1.GetRawBytes(), &set) != nil || json.Unmarshal(set.Metadata[kind], &keys) != nil {
		return false
	}
	_, ok := keys[key]
	return ok || key == "" && len(keys) > 0
}
