package plan

import (
	"fmt"
	"strings"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// endpointUnverified says that nothing can be done at the provider, because its endpoint
// may be another server than the one that issued the credentials.
func (o *Observation) endpointUnverified() (Decision, bool) {
	p, ref := &o.Provider, o.Token.Spec.ProviderRef
	if !p.Found || !p.Unverified {
		return Decision{}, false
	}
	said := strings.TrimSuffix(orElse(o.providerMessage(), "its endpoint has not been verified yet"), ".")
	message := fmt.Sprintf("%s %q: %s", ref.Kind, ref.Name, said)
	if p.Reason == v1alpha1.ReasonEndpointUnverified {
		return stalled(p.Reason, message, Recheck), true
	}
	return Decision{Action: Wait{}, State: Progressing, Reason: v1alpha1.ReasonProviderNotReady, Message: message, After: Recheck}, true
}

// endpointUnverifiedWait says why a credential that is due is not revoked. What is in
// order is not touched.
func endpointUnverifiedWait(o *Observation) (Decision, bool) {
	verified := *o
	verified.Provider.Unverified = false
	if len(verified.revocable()) == 0 {
		return Decision{}, false
	}
	d, ok := o.endpointUnverified()
	d.After = soonest(d.After, o.nextLook())
	return d, ok
}

// accountChanged returns an entry that was issued by another account than the
// provider has now, or nil. A credential that only the Secret knows counts.
func (o *Observation) accountChanged() *Entry {
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
