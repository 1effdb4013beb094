package secretstore

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
)

func TestForeignOwnersAreRecognized(t *testing.T) {
	yes := true
	token := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Name: "training", UID: "1"}}
	ref := func(version, kind, name, uid string, controller *bool) metav1.ObjectMeta {
		return metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{
			{APIVersion: version, Kind: kind, Name: name, UID: types.UID(uid), Controller: controller},
		}}
	}
	named := func(m metav1.ObjectMeta, name string) metav1.ObjectMeta {
		m.Annotations = map[string]string{v1alpha1.AnnotationToken: name}
		return m
	}
	group := v1alpha1.GroupVersion.String()
	cases := map[string]struct {
		meta    metav1.ObjectMeta
		foreign bool
		who     string
	}{
		"controlled by it":                 {ref(group, "ApiToken", "training", "1", &yes), false, `ApiToken "training"`},
		"controlled by a former one":       {ref(group, "ApiToken", "training", "0", &yes), false, `ApiToken "training"`},
		"controlled by another":            {ref(group, "ApiToken", "other", "1", &yes), true, `ApiToken "other"`},
		"controlled by another kind":       {ref("v1", "ConfigMap", "training", "1", &yes), true, `ConfigMap "training"`},
		"controlled by another group":      {ref("example.com/v1", "ApiToken", "training", "1", &yes), true, `ApiToken "training"`},
		"controlled by another, names it":  {named(ref("v1", "ConfigMap", "c", "1", &yes), "training"), true, `ConfigMap "c"`},
		"owned, not controlled, names it":  {named(ref("v1", "ConfigMap", "c", "1", nil), "training"), false, `ApiToken "training"`},
		"owned, not controlled":            {ref("v1", "ConfigMap", "c", "1", nil), true, "an unknown owner (no owner reference)"},
		"names it":                         {named(metav1.ObjectMeta{}, "training"), false, `ApiToken "training"`},
		"names another":                    {named(metav1.ObjectMeta{}, "other"), true, `ApiToken "other"`},
		"managed by another":               {metav1.ObjectMeta{Labels: map[string]string{"app.kubernetes.io/managed-by": "Helm"}}, true, `"Helm"`},
		"not owned":                        {metav1.ObjectMeta{}, true, "an unknown owner (no owner reference)"},
		"labelled as ours and naming none": {metav1.ObjectMeta{Labels: map[string]string{v1alpha1.LabelManaged: "true"}}, true, "an unknown owner"},
	}
	for name, c := range cases {
		who, foreign := owner(c.meta, token)
		if foreign != c.foreign || !strings.Contains(who, c.who) {
			t.Errorf("%s: foreign %t, belongs to %s; want %t, %s", name, foreign, who, c.foreign, c.who)
		}
	}
}

func TestChecksumCoversEveryKeyAndValue(t *testing.T) {
	data := map[string][]byte{"a": []byte("1"), "b": []byte("2")}
	if sum := checksum(data); len(sum) != 32 || sum != checksum(map[string][]byte{"b": []byte("2"), "a": []byte("1")}) {
		t.Errorf("checksum %s depends on the order", sum)
	}
	others := map[string]map[string][]byte{
		"a changed value": {"a": []byte("1"), "b": []byte("3")},
		"swapped values":  {"a": []byte("2"), "b": []byte("1")},
		"a missing key":   {"a": []byte("1")},
		"one more key":    {"a": []byte("1"), "b": []byte("2"), "c": nil},
		"another key":     {"a": []byte("1"), "c": []byte("2")},
		"nothing":         nil,
	}
	for name, other := range others {
		if checksum(other) == checksum(data) {
			t.Errorf("%s is not found", name)
		}
	}
}

// TestChangedDataIsNotIntact: any change to the data is found, and a change to anything
// else leaves the data intact.
func TestChangedDataIsNotIntact(t *testing.T) {
	edits := map[string]struct {
		intact, layout bool
		edit           func(*corev1.Secret)
	}{
		"nothing":               {true, true, func(*corev1.Secret) {}},
		"a label of theirs":     {true, true, func(s *corev1.Secret) { s.Labels["theirs"] = "1" }},
		"a value":               {false, true, func(s *corev1.Secret) { s.Data["AWS_SECRET_ACCESS_KEY"] = []byte("x") }},
		"a connection key":      {false, true, func(s *corev1.Secret) { s.Data["AWS_REGION"] = []byte("x") }},
		"a key more":            {false, true, func(s *corev1.Secret) { s.Data["x"] = nil }},
		"a key less":            {false, true, func(s *corev1.Secret) { delete(s.Data, "AWS_REGION") }},
		"the checksum":          {false, true, func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.AnnotationChecksum) }},
		"a declared label":      {true, false, func(s *corev1.Secret) { delete(s.Labels, "team") }},
		"its value":             {true, false, func(s *corev1.Secret) { s.Labels["team"] = "x" }},
		"our label":             {true, false, func(s *corev1.Secret) { delete(s.Labels, v1alpha1.LabelManaged) }},
		"a declared annotation": {true, false, func(s *corev1.Secret) { delete(s.Annotations, "example.com/a") }},
		"the layout":            {true, false, func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.AnnotationLayout) }},
		"the owner":             {true, false, func(s *corev1.Secret) { s.OwnerReferences = nil }},
	}
	for name, c := range edits {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.published(1)
			b.edit(c.edit)
			if v := b.read().View; v.Intact != c.intact || v.MetadataCurrent != c.layout || v.Foreign {
				t.Errorf("intact %t, metadata current %t, foreign %t; want %t, %t", v.Intact, v.MetadataCurrent, v.Foreign, c.intact, c.layout)
			}
		})
	}
}

// TestAnnotationsOfAForeignSecretAreIgnored: this also holds for a Secret of another
// cluster.
func TestAnnotationsOfAForeignSecretAreIgnored(t *testing.T) {
	for name, edit := range map[string]func(*corev1.Secret){
		"another cluster": func(s *corev1.Secret) { s.Annotations[v1alpha1.AnnotationCluster] = "zzzzzzzz" },
		"another owner":   func(s *corev1.Secret) { s.OwnerReferences[0].Name = "other" },
	} {
		b := newBench(t)
		b.published(1)
		b.edit(edit)
		if v := b.read().View; v.Credential != "" || v.Facts.Account != "" || v.Facts.Revision != 0 || !v.Exists {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// TestCachedSecretIsTrustedAtTheRecordedVersion: the metadata alone proves the data intact
// only at the version that the status records.
func TestCachedSecretIsTrustedAtTheRecordedVersion(t *testing.T) {
	b := newBench(t)
	if seen, pending := b.cached(""); seen.View.Exists || !seen.View.Trusted || pending {
		t.Errorf("absent: %+v, pending %t", seen.View, pending)
	}
	wrote := b.published(1)
	seen, pending := b.cached(wrote.Version)
	if !seen.View.Trusted || !seen.View.Intact || !current(seen.View) || seen.View.Live || pending {
		t.Errorf("as it was written: %+v, pending %t", seen.View, pending)
	}
	if seen, _ := b.cached("1"); seen.View.Trusted || seen.View.Intact {
		t.Errorf("at another version than the status knows: %+v", seen.View)
	}
	b.target.Token.Spec.Secret.Labels = nil
	if seen, _ := b.cached(wrote.Version); current(seen.View) {
		t.Error("a changed declaration is not seen in the metadata")
	}
}

// TestOwnWriteHidesALaggingCache: the write of this process replaces an older version from
// the cache, for CacheLag.
func TestOwnWriteHidesALaggingCache(t *testing.T) {
	var r recent
	meta := func(version string) metav1.ObjectMeta { return metav1.ObjectMeta{ResourceVersion: version} }
	r.remember(key, meta("10"), 0)
	for _, lagging := range []string{"", "9", "2"} {
		if got, ok := r.newer(key, lagging, time.Second); !ok || got.ResourceVersion != "10" {
			t.Errorf("over %q: %q, %t", lagging, got.ResourceVersion, ok)
		}
	}
	if _, ok := r.newer(key, "9", CacheLag); !ok {
		t.Error("forgotten before its time")
	}
	if _, ok := r.newer(key, "9", CacheLag+1); ok {
		t.Error("believed for ever")
	}
	for _, caughtUp := range []string{"10", "11", "100"} {
		r.remember(key, meta("10"), 0)
		if _, ok := r.newer(key, caughtUp, 0); ok {
			t.Errorf("it replaces the later version %s", caughtUp)
		}
		if _, ok := r.newer(key, "9", 0); ok {
			t.Error("believed after the cache had caught up")
		}
	}
	for version, left := range map[string]bool{"9": false, "10": true, "11": true} {
		r.remember(key, meta("10"), 0)
		r.shown(key, version)
		if _, lags := r.newer(key, "", 0); lags == left {
			t.Errorf("the cache showed %s, and then no Secret: it lags %t", version, lags)
		}
	}
	r.remember(key, meta("10"), 0)
	r.forget(key)
	if _, ok := r.newer(key, "9", 0); ok {
		t.Error("not forgotten")
	}
	r.remember(key, meta("odd"), 0)
	if _, ok := r.newer(key, "9", 0); ok {
		t.Error("believed over a version that cannot be compared")
	}
}

// TestSnapshotPrintsNoValues: no verb of fmt prints a value.
func TestSnapshotPrintsNoValues(t *testing.T) {
	b := newBench(t)
	wrote := b.published(1)
	type holder struct{ seen Snapshot }
	for _, v := range []any{wrote, &wrote, b.read(), holder{wrote}, &holder{wrote}, []Snapshot{wrote}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "CANARY") || strings.Contains(text, fmt.Sprintf("%x", "CANARY")) {
				t.Errorf("%s of %T shows a value: %s", verb, v, text)
			}
		}
	}
}
