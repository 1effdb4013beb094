package secretstore

import (
	"encoding/json"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// Each key of a published Secret belongs to the credential, follows from the provider's
// settings, or follows from the declaration. AnnotationKeys records which, so that Sync
// neither removes a key of the credential nor leaves one that is no longer declared.
//
// Anyone who can write the Secret can write the annotation. It is therefore used only if it
// lists exactly the keys of the data that the checksum covers. A key that the driver
// documents as part of its credentials always belongs to the credential.

// contents are the data of a Secret. Each key is in exactly one part.
type contents struct{ credential, settings, declaration map[string]provider.Value }

// record is the value of AnnotationKeys, as JSON.
type record struct {
	Credential  []string `json:"credential"`
	Settings    []string `json:"settings,omitempty"`
	Declaration []string `json:"declaration,omitempty"`
	// Checksum is the checksum of the data that the record describes. An earlier version of
	// the operator that writes other data leaves the annotation unchanged.
	Checksum string `json:"checksum"`
}

// plain converts the values of a connection, which contains no secrets.
func plain(m map[string]string) map[string]provider.Value {
	out := make(map[string]provider.Value, len(m))
	for k, v := range m {
		out[k] = provider.NewValue(v)
	}
	return out
}

// issued returns the contents of a Secret for a credential that was just issued or is
// restored. Keys that follow from the declaration are left out if it was issued for another
// declaration.
func issued(t Target, fingerprint string, credential map[string]provider.Value) contents {
	c := contents{credential: credential, settings: plain(t.Connection.Settings)}
	if fingerprint == t.Fingerprint {
		c.declaration = plain(t.Connection.Declaration)
	}
	return c.divided()
}

// divided removes duplicate keys. The credential comes before the settings, and these
// before the declaration.
func (c contents) divided() contents {
	out := contents{credential: c.credential, settings: maps.Clone(c.settings), declaration: maps.Clone(c.declaration)}
	for k := range c.credential {
		delete(out.settings, k)
		delete(out.declaration, k)
	}
	for k := range out.settings {
		delete(out.declaration, k)
	}
	return out
}

// data returns the contents as the data of a Secret.
func (c contents) data() map[string][]byte {
	out := map[string][]byte{}
	for _, part := range []map[string]provider.Value{c.declaration, c.settings, c.credential} {
		for k, v := range part {
			out[k] = []byte(v.Reveal())
		}
	}
	return out
}

// record returns the value of AnnotationKeys.
func (c contents) record(sum string) string {
	raw, err := json.Marshal(record{
		Credential: slices.Sorted(maps.Keys(c.credential)), Settings: slices.Sorted(maps.Keys(c.settings)),
		Declaration: slices.Sorted(maps.Keys(c.declaration)), Checksum: sum,
	})
	if err != nil {
		return "" // strings always marshal
	}
	return string(raw)
}

// recorded reads the record of a Secret. It reports false if the record is missing or does
// not describe the data of this Secret.
func recorded(secret *corev1.Secret) (record, bool) {
	var r record
	if json.Unmarshal([]byte(secret.Annotations[v1alpha1.AnnotationKeys]), &r) != nil {
		return record{}, false
	}
	sum := checksum(secret.Data)
	if r.Checksum != sum || secret.Annotations[v1alpha1.AnnotationChecksum] != sum {
		return record{}, false
	}
	keys := slices.Concat(r.Credential, r.Settings, r.Declaration)
	slices.Sort(keys)
	return r, slices.Equal(keys, slices.Sorted(maps.Keys(secret.Data)))
}

// divide assigns the keys of a Secret to their parts. A Secret without a usable record was
// written by an earlier version, or its record was edited: then divide uses the names that
// the driver documents, and assigns unknown keys to the credential. known reports whether
// there is a usable record.
func divide(t Target, secret *corev1.Secret) (c contents, known bool) {
	r, known := recorded(secret)
	if !known {
		r = documented(t)
	}
	c = contents{credential: map[string]provider.Value{}, settings: map[string]provider.Value{}, declaration: map[string]provider.Value{}}
	parts := make(map[string]map[string]provider.Value, len(secret.Data)) // there can be tens of thousands of keys
	for _, of := range []struct {
		keys []string
		part map[string]provider.Value
	}{{r.Declaration, c.declaration}, {r.Settings, c.settings}, {t.CredentialKeys, c.credential}} {
		for _, k := range of.keys {
			parts[k] = of.part
		}
	}
	for k, raw := range secret.Data {
		part, ok := parts[k]
		if !ok {
			part = c.credential
		}
		part[k] = provider.NewValue(string(raw))
	}
	return c, known
}

// documented returns the keys that the driver names now, and those of an S3 connection,
// which earlier versions wrote depending on the declaration.
func documented(t Target) record {
	s3 := provider.S3Connection("x", "x", []string{"x"})
	return record{
		Settings:    slices.Collect(maps.Keys(t.Connection.Settings)),
		Declaration: slices.AppendSeq(slices.Collect(maps.Keys(t.Connection.Declaration)), maps.Keys(s3)),
	}
}

// follow updates the selected parts to the target. A key that moves to a part that is not
// selected keeps its value there.
func (c contents) follow(t Target, settings, declaration bool) contents {
	out := contents{credential: c.credential, settings: maps.Clone(c.settings), declaration: maps.Clone(c.declaration)}
	if settings {
		keep(out.settings, out.declaration, t.Connection.Declaration)
		out.settings = plain(t.Connection.Settings)
	}
	if declaration {
		if !settings {
			keep(out.declaration, out.settings, t.Connection.Settings)
		}
		out.declaration = plain(t.Connection.Declaration)
		for k := range out.declaration {
			delete(out.settings, k)
		}
	}
	return out.divided()
}

// keep copies the wanted keys from one part to the other.
func keep(from, to map[string]provider.Value, wanted map[string]string) {
	for k, v := range from {
		if _, ok := wanted[k]; ok {
			to[k] = v
		}
	}
}

// same reports whether a part of a Secret equals what the target wants. Keys of the
// credential do not count.
func (c contents) same(have map[string]provider.Value, wanted map[string]string) bool {
	n := 0
	for k, v := range wanted {
		if _, ok := c.credential[k]; ok {
			continue
		}
		if got, ok := have[k]; !ok || got.Reveal() != v {
			return false
		}
		n++
	}
	return n == len(have)
}
