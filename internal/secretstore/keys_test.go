package secretstore

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// publishedWith publishes credential number 1 with these keys.
func (b *bench) publishedWith(values map[string]string) Snapshot {
	b.Helper()
	entry, minted := credential(1)
	minted.Secret = plain(values)
	seen, err := b.store.Publish(b.Context(), b.target, b.read(), entry, minted)
	b.ok(err)
	return seen
}

// holds checks the data of the Secret, and that it is intact.
func (b *bench) holds(what string, want map[string]string) {
	b.Helper()
	if diff := cmp.Diff(want, asText(b.secret().Data)); diff != "" {
		b.Errorf("%s: the data (-want +got):\n%s", what, diff)
	}
	if v := b.read().View; !v.Intact {
		b.Errorf("%s: the Secret is not intact", what)
	}
}

// relabel changes a declared label and syncs the Secret.
func (b *bench) relabel(value string) {
	b.Helper()
	b.target.Token.Spec.Secret.Labels = map[string]string{"team": value}
	b.synced()
}

// restTarget has a driver whose credential contains a key of an S3 connection.
func (b *bench) restTarget(connection provider.Connection) {
	b.target.Connection = connection
	b.target.CredentialKeys = []string{"AWS_REGION", "KEY"}
}

// asEarlier edits the Secret to what an earlier version wrote: one hash, and no record of
// keys.
func (b *bench) asEarlier() {
	b.Helper()
	l := layoutOf(b.target)
	b.edit(func(s *corev1.Secret) {
		delete(s.Annotations, v1alpha1.AnnotationKeys)
		s.Annotations[v1alpha1.AnnotationLayout] = digest(struct {
			Labels, Annotations, Connection map[string]string
			OwnerUID                        string
		}{l.Labels, l.Annotations, allKeys(b.target.Connection, nil), l.OwnerUID})
	})
}

// TestSyncKeepsTheCredentialsKeys: a credential's key stays under any name, and a key that
// is no longer in the connection is removed.
func TestSyncKeepsTheCredentialsKeys(t *testing.T) {
	b := newBench(t)
	b.restTarget(provider.Connection{Settings: map[string]string{"HOST": "a.example.com", "OLD": "x"}, Declaration: map[string]string{"PATH_OF": "datasets"}})
	credential := map[string]string{"AWS_REGION": "of-the-credential", "KEY": "CANARY-1"}
	b.publishedWith(credential)
	b.relabel("a")
	b.holds("after a label", with(credential, map[string]string{"HOST": "a.example.com", "OLD": "x", "PATH_OF": "datasets"}))

	b.target.Connection = provider.Connection{Settings: map[string]string{"HOST": "b.example.com"}}
	b.synced()
	b.holds("after two keys were removed", with(credential, map[string]string{"HOST": "b.example.com"}))

	// The provider's settings change so that the key would follow from them. Until the next
	// credential is issued, it belongs to this one.
	b.target.CredentialKeys = []string{"KEY"}
	b.target.Connection.Settings = map[string]string{"AWS_REGION": "of-the-settings"}
	b.relabel("b")
	b.holds("after a key moved", credential)
	if v := b.read().View; !current(v) {
		t.Errorf("it is never current: %+v", v)
	}
	if seen, _ := b.cached(b.read().Version); !current(seen.View) {
		t.Errorf("the cache shows something else: %+v", seen.View)
	}
}

// TestSyncChangesSelectedPartsOnly: any other part stays unchanged, in the data and in the
// metadata that the cache shows.
func TestSyncChangesSelectedPartsOnly(t *testing.T) {
	b := newBench(t)
	b.published(1)
	entry, _ := credential(1)
	keys := map[string]string{"AWS_ACCESS_KEY_ID": "KEY1", "AWS_SECRET_ACCESS_KEY": "CANARY-1"}
	old := allKeys(b.target.Connection, keys)
	b.target.Connection, b.target.Fingerprint = s3("https://new.example.com", "eu-2", "models"), "beef"

	seen, err := b.store.Sync(b.Context(), b.target, b.read(), entry, plan.SyncSecret{Metadata: true})
	b.ok(err)
	b.holds("labels only", old)
	if v := seen.View; !v.MetadataCurrent || v.SettingsCurrent || v.DeclarationCurrent {
		t.Errorf("labels only: %+v", v)
	}
	_, err = b.store.Sync(b.Context(), b.target, b.read(), entry, plan.SyncSecret{Settings: true})
	b.ok(err)
	b.holds("settings", with(old, b.target.Connection.Settings))
	cached, _ := b.cached(b.read().Version)
	if v := cached.View; !v.MetadataCurrent || !v.SettingsCurrent || v.DeclarationCurrent {
		t.Errorf("in the cache: %+v", v)
	}
	_, err = b.store.Sync(b.Context(), b.target, b.read(), entry, plan.SyncSecret{Declaration: true})
	b.ok(err)
	b.holds("all", allKeys(b.target.Connection, keys))

	// A credential that was issued for another declaration is restored without the keys of
	// the new one.
	entry, minted := credential(1)
	_, err = b.store.Publish(b.Context(), b.target, b.read(), entry, minted)
	b.ok(err)
	b.holds("published for another declaration", with(b.target.Connection.Settings, keys))
}

// TestKeyCanMoveToAnotherPart: no key is lost when the templates of a provider change.
func TestKeyCanMoveToAnotherPart(t *testing.T) {
	start := provider.Connection{Settings: map[string]string{"URL": "fixed"}, Declaration: map[string]string{"B": "one"}}
	turned := provider.Connection{Settings: map[string]string{"B": "fixed"}, Declaration: map[string]string{"URL": "two"}}
	for name, c := range map[string]struct {
		parts plan.SyncSecret
		want  map[string]string
	}{
		"neither":     {plan.SyncSecret{Metadata: true}, map[string]string{"URL": "fixed", "B": "one"}},
		"settings":    {plan.SyncSecret{Settings: true}, map[string]string{"URL": "fixed", "B": "fixed"}},
		"declaration": {plan.SyncSecret{Declaration: true}, map[string]string{"URL": "two", "B": "one"}},
		"both":        {plan.SyncSecret{Settings: true, Declaration: true}, map[string]string{"URL": "two", "B": "fixed"}},
	} {
		b := newBench(t)
		b.target.Connection = start
		b.published(1)
		b.target.Connection = turned
		entry, _ := credential(1)
		seen, err := b.store.Sync(b.Context(), b.target, b.read(), entry, c.parts)
		b.ok(err)
		b.holds(name, with(c.want, map[string]string{"AWS_ACCESS_KEY_ID": "KEY1", "AWS_SECRET_ACCESS_KEY": "CANARY-1"}))
		if !seen.View.MetadataCurrent {
			t.Errorf("%s: it is never current: %+v", name, seen.View)
		}
	}
}

// TestForgedRecordOfKeysIsIgnored: anyone who can write the Secret can write the record. It
// never assigns a key of the credential to the connection, and a record about other data is
// ignored.
func TestForgedRecordOfKeysIsIgnored(t *testing.T) {
	forge := func(change func(*record)) func(*corev1.Secret) {
		return func(s *corev1.Secret) {
			var r record
			if err := json.Unmarshal([]byte(s.Annotations[v1alpha1.AnnotationKeys]), &r); err != nil {
				t.Fatal(err)
			}
			change(&r)
			raw, _ := json.Marshal(r)
			s.Annotations[v1alpha1.AnnotationKeys] = string(raw)
		}
	}
	settings := []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"}
	cases := map[string]func(*corev1.Secret){
		"none":          func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.AnnotationKeys) },
		"no JSON":       func(s *corev1.Secret) { s.Annotations[v1alpha1.AnnotationKeys] = "{" },
		"empty":         func(s *corev1.Secret) { s.Annotations[v1alpha1.AnnotationKeys] = "{}" },
		"another kind":  func(s *corev1.Secret) { s.Annotations[v1alpha1.AnnotationKeys] = `{"credential":"x"}` },
		"a key more":    forge(func(r *record) { r.Settings = append(r.Settings, "PATH") }),
		"a key less":    forge(func(r *record) { r.Credential = r.Credential[1:] }),
		"a key twice":   forge(func(r *record) { r.Declaration = append(r.Declaration, r.Credential[0]) }),
		"of other data": forge(func(r *record) { r.Checksum = "0" }),
		"the credential's to go": forge(func(r *record) {
			r.Credential, r.Settings, r.Declaration = nil, settings, []string{"AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "BUCKET_NAME"}
		}),
		"everything to stay": forge(func(r *record) {
			*r = record{Credential: append(settings, "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "BUCKET_NAME"), Checksum: r.Checksum}
		}),
		"metadata that must stay": func(s *corev1.Secret) {
			s.Annotations[v1alpha1.AnnotationExtra] = "theirs;" + v1alpha1.AnnotationCredential
		},
	}
	for name, edit := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.published(1)
			b.edit(edit)
			b.relabel("other")
			entry, _ := credential(1)
			data := asText(b.secret().Data)
			if data["AWS_ACCESS_KEY_ID"] != "KEY1" || data["AWS_SECRET_ACCESS_KEY"] != "CANARY-1" {
				t.Errorf("the credential is gone: %v", data)
			}
			if s := b.secret(); s.Annotations[v1alpha1.AnnotationCredential] != entry.Name {
				t.Error("the Secret does not say which credential it holds")
			}
			b.holds("after it", allKeys(b.target.Connection, map[string]string{"AWS_ACCESS_KEY_ID": "KEY1", "AWS_SECRET_ACCESS_KEY": "CANARY-1"}))
			if v := b.read().View; !current(v) {
				t.Errorf("it is never current: %+v", v)
			}
		})
	}
}

// TestUpgradeDoesNotRewriteSecrets: a Secret of an earlier version is not written, and
// keeps its keys at the next write.
func TestUpgradeDoesNotRewriteSecrets(t *testing.T) {
	b := newBench(t)
	b.restTarget(provider.Connection{Settings: map[string]string{"HOST": "a.example.com"}, Declaration: map[string]string{"BUCKET_NAME": "datasets"}})
	credential := map[string]string{"AWS_REGION": "of-the-credential", "KEY": "CANARY-1"}
	b.publishedWith(credential)
	b.asEarlier()
	if v := b.read().View; !current(v) || !v.Intact {
		t.Fatalf("it is written at an upgrade: %+v", v)
	}
	if seen, _ := b.cached(b.read().Version); !current(seen.View) {
		t.Fatalf("it is read at an upgrade: %+v", seen.View)
	}

	// The declaration has changed, and no credential was issued for it yet.
	b.target.Connection.Declaration, b.target.Fingerprint = map[string]string{"BUCKET_NAME": "models"}, "beef"
	entry := firstEntry()
	_, err := b.store.Sync(b.Context(), b.target, b.read(), entry, plan.SyncSecret{Metadata: true, Settings: true})
	b.ok(err)
	b.holds("before a credential for it", with(credential, map[string]string{"HOST": "a.example.com", "BUCKET_NAME": "datasets"}))
	if v := b.read().View; !v.MetadataCurrent || !v.SettingsCurrent || v.DeclarationCurrent {
		t.Errorf("before a credential for it: %+v", v)
	}
	b.synced()
	b.holds("after it", with(credential, map[string]string{"HOST": "a.example.com", "BUCKET_NAME": "models"}))
}

// TestSyncWithoutADriverLeavesTheConnection: it changes no connection key and writes no
// record of keys.
func TestSyncWithoutADriverLeavesTheConnection(t *testing.T) {
	b := newBench(t)
	b.published(1)
	before := asText(b.secret().Data)
	b.edit(func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.AnnotationKeys) })
	b.target.Connection, b.target.CredentialKeys = provider.Connection{}, nil
	b.target.Token.Spec.Secret.Labels = map[string]string{"team": "other"}
	entry, _ := credential(1)
	seen, err := b.store.Sync(b.Context(), b.target, b.read(), entry, plan.SyncSecret{Metadata: true})
	b.ok(err)
	b.holds("without a driver", before)
	if s := b.secret(); s.Labels["team"] != "other" || s.Annotations[v1alpha1.AnnotationKeys] != "" || !seen.View.MetadataCurrent {
		t.Errorf("labels %v, keys %q, %+v", s.Labels, s.Annotations[v1alpha1.AnnotationKeys], seen.View)
	}
}

// TestEditedDataIsNeverRecorded: no write and no read makes edited data count as checked.
func TestEditedDataIsNeverRecorded(t *testing.T) {
	entry, _ := credential(1)
	for name, edit := range map[string]func(*corev1.Secret){
		"a value":  func(s *corev1.Secret) { s.Data["AWS_SECRET_ACCESS_KEY"] = []byte("x") },
		"a key":    func(s *corev1.Secret) { s.Data["x"] = nil },
		"checksum": func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.AnnotationChecksum) },
	} {
		b := newBench(t)
		if b.read().Checked() != "" {
			t.Error("a Secret that does not exist counts as checked")
		}
		wrote := b.published(1)
		if wrote.Checked() != wrote.Version || b.read().Checked() != wrote.Version || wrote.Version == "" {
			t.Errorf("%s: what was written counts as %q", name, wrote.Checked())
		}
		b.edit(edit)
		seen := b.read()
		if seen.Checked() != "" {
			t.Errorf("%s: edited data counts as checked", name)
		}
		before := maps.Clone(b.secret().Data)
		for _, parts := range []plan.SyncSecret{{}, {Metadata: true}, {Settings: true, Declaration: true}} {
			_, err := b.store.Sync(b.Context(), b.target, seen, entry, parts)
			b.conflicts(fmt.Sprintf("%s: %+v", name, parts), err)
		}
		if cached, _ := b.cached(seen.Version); cached.Checked() != "" {
			t.Errorf("%s: the cache counts as checked", name)
		}
		if diff := cmp.Diff(before, b.secret().Data); diff != "" {
			t.Errorf("%s: it was written: %s", name, diff)
		}
	}
}

// firstEntry is the ledger entry of credential number 1.
func firstEntry() *v1alpha1.LedgerEntry {
	entry, _ := credential(1)
	return entry
}

// TestManyKeysAreDividedInLinearTime: with this many keys, a forged record that names each
// of them would take minutes in quadratic time.
func TestManyKeysAreDividedInLinearTime(t *testing.T) {
	const keys = 200_000
	var r record
	secret := &corev1.Secret{Data: map[string][]byte{}}
	for i := range keys {
		k := fmt.Sprintf("%06d", i)
		secret.Data[k], r.Settings = nil, append(r.Settings, k)
	}
	r.Settings, r.Declaration = r.Settings[:keys/2], r.Settings[keys/2:]
	r.Checksum = checksum(secret.Data)
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	secret.Annotations = map[string]string{v1alpha1.AnnotationKeys: string(raw), v1alpha1.AnnotationChecksum: r.Checksum}
	computer := clock.NewReal()
	c, known := divide(Target{}, secret)
	if took := computer.Monotonic(); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
	if !known || len(c.credential) != 0 || len(c.settings) != keys/2 || len(c.declaration) != keys/2 {
		t.Errorf("known %t: %d, %d and %d keys", known, len(c.credential), len(c.settings), len(c.declaration))
	}
}
