package plan

import "time"

// Secret is the target Secret. Unless Live is set, it comes from the metadata cache, and
// Trusted says whether it is unchanged since it was last written or checked.
type Secret struct {
	Live    bool
	Trusted bool
	Exists  bool
	// Foreign: it belongs to Owner, and not to this ApiToken.
	Foreign bool
	Owner   string
	// Deleting: it is being deleted, and the finalizers in HeldBy keep it. Nothing is
	// published in it.
	Deleting bool
	HeldBy   string
	// Name of the Secret.
	Name string
	// Credential is the name of the credential it holds; empty when it holds none, or one
	// of another cluster.
	Credential string
	// Intact: its data is what the operator wrote.
	Intact bool
	// MetadataCurrent: its labels, annotations and owner are as declared.
	MetadataCurrent bool
	// SettingsCurrent: the keys that come from the provider's settings, such as an
	// endpoint, match these settings.
	SettingsCurrent bool
	// DeclarationCurrent: the keys that come from the declaration, such as BUCKET_NAME,
	// match the declaration.
	DeclarationCurrent bool
	// Contest describes another client that keeps reverting its metadata.
	Contest Contest
	// Facts are its annotations about the credential.
	Facts CredentialFacts
}

// Contest describes another client that reverts the Secret's metadata each time the
// operator writes it.
type Contest struct {
	// What differs from the declaration, such as `label "team"`, in the live Secret.
	What string
	// By is the field manager that wrote it; empty when the API server does not report it.
	By string
	// Pause is the time between two writes of the metadata by the operator, and Wait what
	// is left of it; 0: the operator may write.
	Pause, Wait time.Duration
}

// CredentialFacts are the annotations of a Secret about its credential. Anyone who can
// write the Secret can write them. So a rule uses them only where a wrong value cannot
// grant more access, and never takes an id from them.
type CredentialFacts struct {
	Account, Fingerprint string
	RotationGeneration   int64
	Revision             int64
	ExpiresAt            time.Time
}

// Holds reports whether the Secret belongs to this ApiToken and names the credential.
func (s *Secret) Holds(name string) bool { return s.Exists && !s.Foreign && s.Credential == name }

func (o *Observation) holds(name string) bool { return o.Secret.Holds(name) }

// secretKnown reports whether the content of the Secret is known.
func (o *Observation) secretKnown() bool { return o.Secret.Live || o.Secret.Trusted }

// claims reports whether the Secret, read live, names a credential of this ApiToken.
func (o *Observation) claims() bool {
	secret := &o.Secret
	return secret.Live && secret.Exists && !secret.Foreign && secret.Credential != "" && o.Token.Owns != nil && o.Token.Owns(secret.Credential)
}

// restorable reports whether the status was lost: nothing is in it, and the Secret names a
// credential that was made for this ApiToken in this cluster.
func (o *Observation) restorable() bool {
	return o.Token.Revision == 0 && len(o.Ledger) == 0 && o.claims()
}

// wasIssued reports whether the Secret names a credential that the ledger once had.
func (o *Observation) wasIssued() bool {
	secret := &o.Secret
	return secret.Exists && !secret.Foreign && secret.Credential != "" && o.owns(secret.Credential) &&
		o.Token.Revision > 0 && secret.Facts.Revision <= o.Token.Revision
}
