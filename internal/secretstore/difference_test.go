package secretstore

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

// managed is an entry of managedFields, as the API server writes it.
func managed(name string, after time.Duration, fields string) metav1.ManagedFieldsEntry {
	at := metav1.NewTime(epoch.Add(after))
	return metav1.ManagedFieldsEntry{Manager: name, Time: &at, FieldsV1: metav1.NewFieldsV1(fields)}
}

// TestDifferenceNamesTheFieldManager: the View names the difference and the field manager
// that wrote it.
func TestDifferenceNamesTheFieldManager(t *testing.T) {
	ours := managed("operator", time.Hour, `{"f:metadata":{"f:annotations":{"f:apitoken.dev/checksum":{}},"f:labels":{"f:x":{}}}}`)
	theirs := managed("their-sync", time.Minute, `{"f:metadata":{"f:labels":{".":{},"f:team":{}}}}`)
	last := managed("kubectl-edit", time.Minute+time.Second, `{"f:metadata":{"f:labels":{"f:y":{}}}}`)
	broken := managed("broken", 0, `{`)
	cases := map[string]struct {
		edit     func(*corev1.Secret)
		what, by string
		fields   []metav1.ManagedFieldsEntry
	}{
		"a value":            {func(s *corev1.Secret) { s.Labels["team"] = "x" }, `label "team"`, "their-sync", []metav1.ManagedFieldsEntry{ours, last, theirs, broken}},
		"a value, not said":  {func(s *corev1.Secret) { s.Labels["team"] = "x" }, `label "team"`, "", []metav1.ManagedFieldsEntry{ours}},
		"taken away":         {func(s *corev1.Secret) { delete(s.Labels, "team") }, `label "team"`, "kubectl-edit", []metav1.ManagedFieldsEntry{broken, last, ours}},
		"our label":          {func(s *corev1.Secret) { delete(s.Labels, v1alpha1.LabelManaged) }, `label "apitoken.dev/managed"`, "", nil},
		"an annotation":      {func(s *corev1.Secret) { s.Annotations["example.com/a"] = "x" }, `annotation "example.com/a"`, "kubectl-edit", []metav1.ManagedFieldsEntry{last}},
		"the owner":          {func(s *corev1.Secret) { s.OwnerReferences = nil }, "the owner reference", "", nil},
		"our own annotation": {func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.AnnotationLayout) }, `annotation "apitoken.dev/layout"`, "", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.published(1)
			s := b.secret()
			c.edit(s)
			s.ManagedFields = c.fields
			v := b.store.live(b.target, s).View
			if v.MetadataCurrent || v.Contest.What != c.what || v.Contest.By != c.by {
				t.Errorf("current %t, %+v; want %s by %q", v.MetadataCurrent, v.Contest, c.what, c.by)
			}
		})
	}
	b := newBench(t)
	b.published(1)
	if v := b.read().View; !v.MetadataCurrent || v.Contest.What != "" {
		t.Errorf("as it was written: %+v", v)
	}
}
