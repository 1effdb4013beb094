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

// difference is something in a Secret's metadata that is not as declared.
type difference struct {
	// what it is, for a message.
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

// difference returns the first thing in the metadata of a Secret, as it was read live,
// that is not as declared. The parts of the connection in the View are judged already.
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

// digestsHold reports whether AnnotationLayout says what the Secret carries, and the
// record of its keys is there. Until then the cache would show something else.
func (s Snapshot) digestsHold(t Target, value string) bool {
	v := &s.View
	has, ok := parseDigests(value)
	if !ok {
		return earlier(t, value)
	}
	want := digestsOf(t)
	return has.metadata == want.metadata && v.SettingsCurrent == (has.settings == want.settings) &&
		v.DeclarationCurrent == (has.declaration == want.declaration) && (s.recorded || !v.Intact || !t.driven())
}

// missing returns the first key that is not in have as it is in want.
func missing(have, want map[string]string) (string, bool) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got, ok := have[key]; !ok || got != want[key] {
			return key, true
		}
	}
	return "", false
}

// manager returns the field manager that wrote what differs, or, of something that was
// taken away, the one of others than the operator that wrote last. It is empty when the
// API server does not say. The format of managedFields is FieldsV1 of
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
