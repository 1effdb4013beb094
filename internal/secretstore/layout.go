package secretstore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// TargetOf returns the desired Secret of an ApiToken at a provider with these settings. If
// driver is nil, only the metadata is known.
func TargetOf(t *v1alpha1.ApiToken, driver provider.Driver, cfg provider.Config) Target {
	grant := plan.GrantOf(&t.Spec)
	return Target{
		Token: t, Fingerprint: plan.Fingerprint(&t.Spec),
		Connection: provider.ConnectionOf(driver, cfg, grant), CredentialKeys: provider.CredentialKeys(driver, cfg, grant),
	}
}

// layout is the declared metadata of a Secret. It can change without a new credential.
type layout struct {
	Labels      map[string]string
	Annotations map[string]string
	// OwnerUID is empty with deletionPolicy Retain: without an owner reference, garbage
	// collection does not delete the Secret.
	OwnerUID string
}

func layoutOf(t Target) layout {
	l := layout{Labels: t.Token.Spec.Secret.Labels, Annotations: t.Token.Spec.Secret.Annotations}
	if t.Token.Spec.DeletionPolicy != v1alpha1.DeletionRetain {
		l.OwnerUID = string(t.Token.UID)
	}
	return l
}

// digests are the value of AnnotationLayout: a hash of the metadata and of each part of the
// connection, joined by ".".
type digests struct{ metadata, settings, declaration string }

func digestsOf(t Target) digests {
	return digests{metadata: digest(layoutOf(t)), settings: digest(nilIfEmpty(t.Connection.Settings)), declaration: digest(nilIfEmpty(t.Connection.Declaration))}
}

func (d digests) String() string {
	return strings.Join([]string{d.metadata, d.settings, d.declaration}, ".")
}

// Layout identifies everything that a Secret should carry in addition to its credential.
func (t Target) Layout() string { return digestsOf(t).String() }

// parseDigests reads AnnotationLayout. It reports false for the value of an earlier
// version, which is one hash, and for anything else.
func parseDigests(s string) (digests, bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 { //nolint:mnd // the fields of digests
		return digests{}, false
	}
	return digests{parts[0], parts[1], parts[2]}, true
}

// nilIfEmpty returns nil for an empty map, so that both have the same hash.
func nilIfEmpty[M ~map[string]V, V any](m M) M {
	if len(m) == 0 {
		return nil
	}
	return m
}

// isEarlierDigest reports whether an earlier version of the operator wrote this value of
// AnnotationLayout for the same declaration. An upgrade does not rewrite such a Secret.
func isEarlierDigest(t Target, value string) bool {
	type whole struct {
		Labels, Annotations, Connection map[string]string
		OwnerUID                        string
	}
	l := layoutOf(t)
	connection := map[string]string{}
	maps.Copy(connection, t.Connection.Settings)
	maps.Copy(connection, t.Connection.Declaration)
	w := whole{Labels: l.Labels, Annotations: l.Annotations, Connection: connection, OwnerUID: l.OwnerUID}
	if value == digest(w) {
		return true
	}
	w.Connection = nilIfEmpty(connection)
	return value == digest(w)
}

// compareDigests sets which parts of a Secret are current, as its metadata shows.
func compareDigests(t Target, meta *metav1.ObjectMeta, v *plan.Secret) {
	value := meta.Annotations[v1alpha1.AnnotationLayout]
	has, ok := parseDigests(value)
	if !ok {
		same := isEarlierDigest(t, value)
		v.MetadataCurrent, v.SettingsCurrent, v.DeclarationCurrent = same, same, same
		return
	}
	want := digestsOf(t)
	v.MetadataCurrent, v.SettingsCurrent, v.DeclarationCurrent =
		has.metadata == want.metadata, has.settings == want.settings, has.declaration == want.declaration
}

// setMetadata sets the declared labels, annotations and owner, and removes those of an
// earlier declaration.
func (s *Store) setMetadata(t Target, meta *metav1.ObjectMeta) {
	l := layoutOf(t)
	extra := splitExtra(meta.Annotations[v1alpha1.AnnotationExtra])
	meta.Labels = merged(meta.Labels, extra.labels, l.Labels)
	meta.Annotations = merged(meta.Annotations, extra.annotations, l.Annotations)
	meta.Labels[v1alpha1.LabelManaged] = "true"
	meta.Annotations[v1alpha1.AnnotationToken] = t.Token.Name
	meta.Annotations[v1alpha1.AnnotationCluster] = s.Cluster
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

// extraKeys are the label and annotation keys that spec.secret declared.
type extraKeys struct{ labels, annotations []string }

func joinExtra(l layout) string {
	return strings.Join(slices.Sorted(maps.Keys(l.Labels)), ",") + ";" + strings.Join(slices.Sorted(maps.Keys(l.Annotations)), ",")
}

// splitExtra reads AnnotationExtra. Anyone who can write the Secret can write it, so the
// operator's own keys, which cannot be declared, are ignored.
func splitExtra(s string) extraKeys {
	labels, annotations, _ := strings.Cut(s, ";")
	return extraKeys{labels: declarable(labels), annotations: declarable(annotations)}
}

func declarable(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ","), func(key string) bool {
		return strings.HasPrefix(key, v1alpha1.GroupVersion.Group+"/")
	})
}

// checksum covers every key and value of a Secret with 128 bits of SHA-256. Credentials
// have at least that many random bits, so it does not reveal them.
func checksum(data map[string][]byte) string { return digest(data) }

func digest(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}
