package apitoken_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// said is an event of an ApiToken, with the state when it was emitted.
type said struct {
	note string
	// credential is the name of the credential that the event refers to; empty for the
	// ApiToken as a whole.
	credential string
	token      *v1alpha1.ApiToken
	now        time.Time
	facts
}

// facts returns the state that an event is checked against, in addition to the ApiToken.
type facts interface {
	at(credential string) atProvider
	// secret returns a Secret, or nil.
	secret(name string) *corev1.Secret
	// held returns an error unless the Secret of the ApiToken named the credential at some time.
	held(t *v1alpha1.ApiToken, credential string) error
}

// atProvider is the state of a credential at the provider.
type atProvider struct {
	id      string
	grant   provider.Grant
	granted bool
	// live: the provider accepts it. minted, revoked: the operator called Mint, Revoke. If it
	// was minted, is not revoked and not live, the test removed it.
	live, minted, revoked bool
}

// claim checks the events with one reason. The check returns why an event is false.
type claim struct {
	// examples are notes that the check must reject if the ApiToken has no status and every credential is
	// live.
	examples []string
	check    func(said) error
}

// claims has a check for every event constant in events.go: see TestEveryEventHasAClaim.
var claims = map[string]claim{
	"Issued": {[]string{`issued credential own-1 (K1) and published it in Secret "training"`}, func(s said) error {
		return errors.Join(s.inState(v1alpha1.StateActive), s.isLive(), s.held(s.token, s.credential))
	}},
	"Adopted": {[]string{
		"adopted credential own-1 (K1): an interrupted attempt had already published it in the Secret",
		"adopted credential own-1: the Secret holds it and it is live at the provider, but the status had lost it; it stays in use",
		"credential own-1 in the Secret is newer than the status, which was restored: it will be replaced, then revoked",
		"adopted credential own-1 has the id K1 at the provider",
	}, adoptedClaim},
	"Abandoned": {[]string{"attempt own-1 was abandoned: its credential, if it created one, will be revoked once none of its requests can take effect any more"},
		func(s said) error { return s.inState(v1alpha1.StateAbandoned) }},
	"Revoked": {[]string{
		"credential own-1 (K1) is revoked: the provider no longer shows it, or shows it as ended",
		"credential own-1 (K1) is no longer tracked: the provider rejects it, or a user confirmed that it is deleted",
		"attempt own-1 is no longer tracked: it has no credential of its own",
		"revoked credentials that the provider listed for this ApiToken but its status did not: own-1 (K1)",
	}, revokedClaim},
	"Rotated": {[]string{"credential own-1 (K1) was replaced by own-2 (K2) (Scheduled) and will be revoked at 2030-01-01T01:00:00Z"}, func(s said) error {
		active, e := activeOf(s.token), s.entry(s.credential)
		if active == nil || !strings.Contains(s.note, "replaced by "+active.Name+" ") {
			return errors.New("the credential that replaced it is not Active")
		}
		if e == nil || e.RetireAt == nil || !strings.Contains(s.note, "revoked at "+e.RetireAt.UTC().Format(time.RFC3339)) {
			return errors.New("the ledger has a different end of its overlap, or no end")
		}
		return s.inState(v1alpha1.StateRetiring)
	}},
	"RevocationFailed": {[]string{plan.NotRevoked + "the provider does not answer"}, func(s said) error {
		if len(s.token.Status.Credentials) == 0 && s.token.DeletionTimestamp.IsZero() {
			return errors.New("there is nothing to revoke")
		}
		if !slices.ContainsFunc(s.token.Status.Conditions, func(c metav1.Condition) bool {
			return c.Type != v1alpha1.ConditionReady && c.Status == metav1.ConditionTrue
		}) {
			return errors.New("no condition reports a problem")
		}
		return nil
	}},
	"Retained": {[]string{
		`Secret "training" and its credential own-1 (K1) are kept because deletionPolicy is Retain; the operator will not revoke the credential`,
		`Secret "training" is kept because deletionPolicy is Retain. The operator had started to revoke its credential K1, which may no longer work`,
	}, retainedClaim},
	"Expired": {[]string{`the expiry time has passed: credential own-1 is being revoked, and Secret "training" is deleted`}, func(s said) error {
		for i := range s.token.Status.Credentials {
			if e := &s.token.Status.Credentials[i]; strings.Contains(s.note, e.Name) {
				return errors.Join(s.about(e.Name).inState(v1alpha1.StateRetiring), s.over(e))
			}
		}
		return errors.New("the ledger has no such credential")
	}},
	"Updated": {[]string{"credential own-1 (K1) was changed in place at the provider; its secret is unchanged"}, func(s said) error {
		got, want := s.at(s.credential), plan.GrantOf(&s.token.Spec)
		if !got.granted || !slices.Equal(got.grant.Buckets, want.Buckets) || !slices.Equal(got.grant.Scopes, want.Scopes) {
			return fmt.Errorf("the provider grants %+v", got.grant)
		}
		return errors.Join(s.inState(v1alpha1.StateActive), s.isLive(), s.held(s.token, s.credential))
	}},
	"RotatedWithGap": {[]string{"the credential was rotated with a gap of 1m0s: the account has no free slot for a second one, and spec.rotation.strategy is RevokeFirst"}, func(s said) error {
		if s.token.Status.GapSince != nil || activeOf(s.token) == nil || !strings.Contains(s.note, "gap of "+s.token.Status.LastGap+":") {
			return fmt.Errorf("the gap since %v has not ended, or the last gap was %q", s.token.Status.GapSince, s.token.Status.LastGap)
		}
		return nil
	}},
	"DeletedByHand": {[]string{
		"credential K1 is deleted: an annotation of the ApiToken confirms it",
		"credential K1 is deleted: the provider rejects it",
	}, func(s said) error {
		for i := range s.token.Status.Credentials {
			if e := &s.token.Status.Credentials[i]; e.Gone && strings.Contains(s.note, "credential "+plan.Called(e)+" ") {
				return nil
			}
		}
		return errors.New("no entry with this credential is marked as gone")
	}},
	"HandoverNotNeeded": {[]string{"credential K1 is already in use; its handover Secret is deleted"}, func(s said) error {
		if active := activeOf(s.token); active == nil || !strings.Contains(s.note, "credential "+active.ID+" ") {
			return errors.New("this credential is not in use")
		}
		return nil
	}},
	"CredentialDrifted": {[]string{
		"the provider no longer knows credential K1: another one is issued",
		"the provider shows credential K1 differently from how it was issued (Missing), and too many other credentials as well. This looks like a mistake of the provider, so nothing is changed",
	}, func(s said) error {
		active := activeOf(s.token)
		if active == nil || !strings.Contains(s.note, plan.Called(active)) {
			return errors.New("this credential is not in use")
		}
		if drifts := active.Drift != ""; drifts == strings.Contains(s.note, "nothing is changed") {
			return fmt.Errorf("the drift in the ledger is %q", active.Drift)
		}
		return nil
	}},
	"CredentialRecovered": {[]string{"the provider again shows credential K1 as it was issued"}, func(s said) error {
		if active := activeOf(s.token); active == nil || active.Drift != "" || !strings.Contains(s.note, plan.Called(active)) {
			return errors.New("the ledger has a drift, or another credential")
		}
		return nil
	}},
	"SecretContested": {[]string{`the labels of Secret "training" was changed back by field manager "x"; the operator has restored it, and waits 1m0s before it does so again`}, func(s said) error {
		if secret := s.secret(s.token.SecretName()); secret == nil || secret.Annotations[v1alpha1.AnnotationToken] != s.token.Name {
			return errors.New("there is no Secret of this ApiToken")
		}
		return nil
	}},
	"EndIgnored": {[]string{"metadata.annotations[apitoken.dev/end]: the value is not the name of a credential"}, func(s said) error {
		value := s.token.Annotations[v1alpha1.AnnotationEnd]
		if e := s.entry(value); value == "" || e != nil && e.State == v1alpha1.StateRetiring {
			return fmt.Errorf("the annotation is %q: it is missing, or it has an effect", value)
		}
		return nil
	}},
}

func (s said) entry(name string) *v1alpha1.LedgerEntry {
	for i := range s.token.Status.Credentials {
		if s.token.Status.Credentials[i].Name == name {
			return &s.token.Status.Credentials[i]
		}
	}
	return nil
}

// about returns the same event about another credential.
func (s said) about(credential string) said {
	s.credential = credential
	return s
}

// inState checks the state of the credential's entry, and that the note names it.
func (s said) inState(state v1alpha1.CredentialState) error {
	e := s.entry(s.credential)
	if e == nil || e.State != state {
		return fmt.Errorf("the ledger does not have %q as %s", s.credential, state)
	}
	if s.note != "" && !strings.Contains(s.note, e.Name) {
		return fmt.Errorf("the note does not name %s", e.Name)
	}
	return nil
}

func (s said) isLive() error {
	got := s.at(s.credential)
	if e := s.entry(s.credential); !got.live && (!got.minted || got.revoked) || e != nil && e.ID != "" && !strings.Contains(s.note, e.ID) {
		return fmt.Errorf("credential %s is not live, or the note does not have its id", s.credential)
	}
	return nil
}

// over returns an error unless the credential has expired or the hard end has passed.
func (s said) over(e *v1alpha1.LedgerEntry) error {
	end, err := s.token.Spec.HardEnd()
	if err == nil && !end.IsZero() && !s.now.Before(end) || e.ExpiresAt != nil && !s.now.Before(e.ExpiresAt.Time) {
		return nil
	}
	return errors.New("it has not expired")
}

func adoptedClaim(s said) error {
	switch {
	case strings.Contains(s.note, "has the id "):
		e := s.entry(s.credential)
		if e == nil || !strings.HasSuffix(s.note, "has the id "+e.ID+" at the provider") || s.at(s.credential).id != e.ID {
			return errors.New("the ledger, or the provider, has another id")
		}
		return nil
	case strings.Contains(s.note, "will be replaced, then revoked"):
		return errors.Join(s.inState(v1alpha1.StateRetiring), s.held(s.token, s.credential))
	default:
		return errors.Join(s.inState(v1alpha1.StateActive), s.held(s.token, s.credential))
	}
}

var credentialNames = regexp.MustCompile(`[a-z0-9-]+(?: \([^)]*\))?(?:, |$)`)

func revokedClaim(s said) error {
	if _, listed, ok := strings.Cut(s.note, "but its status did not: "); ok {
		listed, _, _ = strings.Cut(listed, " and ")
		for _, found := range credentialNames.FindAllString(listed, -1) {
			name, _, _ := strings.Cut(strings.TrimSuffix(found, ", "), " (")
			if s.entry(name) != nil || s.at(name).live {
				return fmt.Errorf("%s is live, or in the ledger", name)
			}
		}
		return nil
	}
	e := s.entry(s.credential)
	switch {
	case e != nil && s.token.DeletionTimestamp.IsZero():
		return errors.New("the ledger still has it")
	case strings.Contains(s.note, "a user confirmed") && strings.Contains(s.note, "("+s.token.Annotations[v1alpha1.AnnotationDeleted]+")"):
		return nil // the user can be mistaken, and the credential live
	case s.at(s.credential).live:
		return errors.New("it is live")
	case strings.Contains(s.note, "is revoked") && !s.at(s.credential).revoked:
		return errors.New("the operator never called Revoke for it")
	case !strings.Contains(s.note, s.credential):
		return errors.New("the note does not name it")
	}
	return nil
}

func retainedClaim(s said) error {
	secret := s.secret(s.token.SecretName())
	kept := secret != nil && secret.Annotations[v1alpha1.AnnotationRetained] == "true" && len(secret.OwnerReferences) == 0
	switch {
	case slices.Contains(s.token.Finalizers, v1alpha1.Finalizer) || s.token.Spec.DeletionPolicy != v1alpha1.DeletionRetain:
		return errors.New("the ApiToken still has its finalizer, or its deletionPolicy is not Retain")
	case strings.Contains(s.note, "no Secret to keep"), strings.Contains(s.note, "could not be deleted"):
		return nil
	case strings.Contains(s.note, "the Secret is deleted"):
		if secret != nil && secret.DeletionTimestamp == nil {
			return errors.New("the Secret still exists")
		}
		return nil
	case !kept:
		return errors.New("the Secret is gone, or still belongs to the ApiToken")
	}
	e := s.entry(secret.Annotations[v1alpha1.AnnotationCredential])
	if e != nil && strings.Contains(s.note, "will not revoke the credential") && (!strings.Contains(s.note, e.ID) || e.State == v1alpha1.StateAbandoned) {
		return errors.New("the note does not have the id of the retained credential")
	}
	return nil
}

// claimOf checks that an event of a provider has the reason and message of its Ready condition.
func claimOf(conditions []metav1.Condition, kind, reason, note string) error {
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	want := corev1.EventTypeWarning
	if ready != nil && ready.Status == metav1.ConditionTrue {
		want = corev1.EventTypeNormal
	}
	if ready == nil || ready.Reason != reason || ready.Message != note || kind != want {
		return fmt.Errorf("the condition is %+v, the event a %s", ready, kind)
	}
	return nil
}
