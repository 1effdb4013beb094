package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

func providerMissing(s *situation) (Decision, bool) {
	if s.Provider.Found {
		return Decision{}, false
	}
	return stalled(v1alpha1.ReasonProviderNotFound, s.notFoundMessage(), 0), true
}

// notFoundMessage says that there is no such provider. Users often forget the kind.
func (o *Observation) notFoundMessage() string {
	ref, where := o.Token.Spec.ProviderRef, ""
	if ref.Kind != v1alpha1.KindClusterTokenProvider {
		where = fmt.Sprintf(" in namespace %q", o.Token.Namespace)
	}
	todo := "create it, or name another provider"
	if other := o.Provider.OtherKind; other != "" {
		todo = fmt.Sprintf("there is a %s of this name, for which spec.providerRef needs kind: %s", other, other)
	}
	return fmt.Sprintf("spec.providerRef: %s %q does not exist%s: %s", ref.Kind, ref.Name, where, todo)
}

func namespaceNotAdmitted(s *situation) (Decision, bool) {
	if s.Provider.Admitted {
		return Decision{}, false
	}
	ref := s.Token.Spec.ProviderRef
	return stalled(v1alpha1.ReasonNamespaceNotAllowed, fmt.Sprintf(
		"spec.providerRef: %s %q does not admit namespace %q: label the namespace so that the provider's spec.allowedNamespaces selects it, or name another provider",
		ref.Kind, ref.Name, s.Token.Namespace), 0), true
}

func providerDeleting(s *situation) (Decision, bool) {
	if !s.Provider.Deleting {
		return Decision{}, false
	}
	ref := s.Token.Spec.ProviderRef
	return stalled(v1alpha1.ReasonProviderDeleting, fmt.Sprintf(
		"spec.providerRef: %s %q is being deleted and only revokes: create another provider, and an ApiToken that names it", ref.Kind, ref.Name), 0), true
}

func endpointUnverified(s *situation) (Decision, bool) {
	if !s.Provider.Unverified || s.Provider.Reason != v1alpha1.ReasonEndpointUnverified {
		return Decision{}, false
	}
	return s.unverifiedEndpoint()
}

// unverifiedEndpoint says that no request is sent to the provider, because its endpoint
// can be another server than the one that issued the credentials.
func (o *Observation) unverifiedEndpoint() (Decision, bool) {
	p, ref := &o.Provider, o.Token.Spec.ProviderRef
	if !p.Found || !p.Unverified {
		return Decision{}, false
	}
	said := strings.TrimSuffix(orElse(o.providerMessage(), "its endpoint has not been verified yet"), ".")
	message := fmt.Sprintf("%s %q: %s", ref.Kind, ref.Name, said)
	if p.Reason == v1alpha1.ReasonEndpointUnverified {
		return stalled(p.Reason, message, Recheck), true
	}
	return waiting(v1alpha1.ReasonProviderNotReady, message, Recheck), true
}

// accountBlocked: the provider rejects every request, until its customer pays a bill, for example.
func accountBlocked(s *situation) (Decision, bool) {
	if s.Provider.Ready || s.Provider.Reason != v1alpha1.ReasonAccountBlocked {
		return Decision{}, false
	}
	ref := s.Token.Spec.ProviderRef
	return stalled(v1alpha1.ReasonAccountBlocked, fmt.Sprintf(
		"%s %q cannot issue anything now: %s", ref.Kind, ref.Name, orElse(s.providerMessage(), "its account is blocked: settle it with the provider")), 0), true
}

func providerNotReady(s *situation) (Decision, bool) {
	if s.Provider.Ready {
		return Decision{}, false
	}
	ref := s.Token.Spec.ProviderRef
	return waiting(v1alpha1.ReasonProviderNotReady, fmt.Sprintf(
		"%s %q is not ready (%s): %s", ref.Kind, ref.Name, orElse(s.Provider.Reason, "not checked yet"),
		orElse(s.providerMessage(), "its credentials have not been checked yet")), 0), true
}

// accountChanged: an entry was issued by another account than the provider has now. It is
// checked every minute, because no event reports a change of the account.
func accountChanged(s *situation) (Decision, bool) {
	e := s.entryOfOtherAccount()
	if e == nil {
		return Decision{}, false
	}
	message := accountChangedMessage(s, e)
	if s.entry(e.Name) == nil {
		message += fmt.Sprintf(", or delete Secret %q, which holds it", s.Secret.Name)
	}
	return stalled(v1alpha1.ReasonProviderAccountChanged, message, Recheck), true
}

// entryOfOtherAccount returns an entry that was issued by another account than the provider
// has now, or nil. A credential that only the Secret names counts too.
func (o *Observation) entryOfOtherAccount() *Entry {
	for i := range o.Ledger {
		if e := &o.Ledger[i]; o.otherAccount(e.Account) {
			return e
		}
	}
	if o.restorable() && o.otherAccount(o.Secret.Facts.Account) {
		return &Entry{LedgerEntry: v1alpha1.LedgerEntry{Name: o.Secret.Credential, Account: o.Secret.Facts.Account}}
	}
	return nil
}

// otherAccount reports whether both accounts are known and differ.
func (o *Observation) otherAccount(account string) bool {
	p := &o.Provider
	return p.Account != "" && !provider.Account{ID: p.Account, Former: p.Former}.Is(account)
}

func accountChangedMessage(s *situation, e *Entry) string {
	return fmt.Sprintf("credential %s was issued by account %s, but provider %q now has the credentials of account %s: restore the old ones in its Secret",
		e.Name, e.Account, s.Token.Spec.ProviderRef.Name, s.Provider.Account)
}

// refusalReasons are the condition reasons for what a driver refuses.
var refusalReasons = map[provider.RefusalReason]string{
	provider.RefusedScope:    v1alpha1.ReasonScopeNotGrantable,
	provider.RefusedLifetime: v1alpha1.ReasonLifetimeTooLong,
	provider.RefusedBuckets:  v1alpha1.ReasonTooManyBuckets,
	provider.RefusedBucket:   v1alpha1.ReasonBucketNotGrantable,
	provider.RefusedNarrow:   v1alpha1.ReasonRestrictionUnsupported,
}

// refusedReasons are all reasons of a refusal: those above, and the one for any other.
func refusedReasons() []string {
	all := []string{v1alpha1.ReasonProviderRefused}
	for _, reason := range refusalReasons {
		all = append(all, reason)
	}
	slices.Sort(all)
	return all
}

// declarationRefused: the driver or the account cannot grant what is declared.
func declarationRefused(s *situation) (Decision, bool) {
	if limit := s.Provider.Capabilities.MaxLifetime; limit > 0 && s.Token.Spec.ExpiresAt == nil {
		if lifetime := Lifetime(&s.Token.Spec); lifetime > limit {
			return stalled(v1alpha1.ReasonLifetimeTooLong, fmt.Sprintf(
				"spec.expiresIn: %s is longer than the %s that this provider issues credentials for: declare at most that", lifetime, limit), 0), true
		}
	}
	r := s.Provider.Refusal
	if r == nil {
		r = s.refusedScope()
	}
	if r == nil {
		return Decision{}, false
	}
	reason, known := refusalReasons[r.Reason]
	if !known {
		reason = v1alpha1.ReasonProviderRefused
	}
	var after time.Duration
	if r.Reason == provider.RefusedLifetime && s.Token.Spec.ExpiresAt != nil {
		after = Recheck // a hard end that is too far ahead comes closer without an event
	}
	return stalled(reason, fmt.Sprintf("%s: %s: %s", r.Field, r.Value, r.Message), after), true
}

// refusedScope is the refusal of a scope that the account may not grant, for drivers whose
// scopes depend on the account.
func (o *Observation) refusedScope() *provider.Refusal {
	if len(o.Provider.Capabilities.Scopes) > 0 || len(o.Provider.GrantableScopes) == 0 {
		return nil
	}
	return provider.RefuseScopes(o.Provider.GrantableScopes, GrantOf(&o.Token.Spec))
}
