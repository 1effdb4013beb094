package orphansweep

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

const (
	// reasonDrifted is the reason of the event on a provider.
	reasonDrifted = "CredentialsDrifted"
	// askedEvery is how often a credential in use is looked up if a list of the provider
	// can omit it.
	askedEvery = 24 * time.Hour
)

// use is a credential in use. It was read from the cache before the provider was listed,
// so the list shows the credential if it exists.
type use struct {
	token   types.NamespacedName
	name    string
	account string
	drift   v1alpha1.CredentialDrift
	manual  bool
	expires time.Time
	// number in round.known.
	number int
	// missed: the last two complete lists did not show it.
	missed bool
}

// entry is a credential in use and the declaration of its ApiToken.
type entry struct {
	*v1alpha1.LedgerEntry
	spec *v1alpha1.ApiTokenSpec
}

// seen is the state in which a list showed a credential of a ledger. If a list shows several
// credentials of one name, the highest value counts.
type seen uint8

const (
	unseen seen = iota
	// other: the list shows a credential of the same name with another id.
	other
	disabled
	live
	// wider: live, with more access than declared.
	wider
)

// know adds an entry of a ledger.
func (r *round) know(t *v1alpha1.ApiToken, e *v1alpha1.LedgerEntry) {
	number := len(r.known)
	r.known[e.Name] = number
	if e.State != v1alpha1.StateActive || !t.DeletionTimestamp.IsZero() {
		r.entries = append(r.entries, nil)
		return
	}
	r.entries = append(r.entries, &entry{LedgerEntry: e, spec: &t.Spec})
	u := use{token: types.NamespacedName{Namespace: t.Namespace, Name: t.Name}, name: e.Name, account: e.Account,
		drift: e.Drift, manual: e.ByHand, number: number}
	if e.ExpiresAt != nil {
		u.expires = e.ExpiresAt.Time
	}
	key := account.KeyFor(t)
	r.used[key] = append(r.used[key], u)
}

// saw returns how a list shows the entry with this number.
func (r *round) saw(number int, c provider.Credential) seen {
	e := r.entries[number]
	switch {
	case e == nil:
		return live
	case e.ID != "" && c.ID != "" && c.ID != e.ID:
		return other
	case c.State == provider.Disabled:
		return disabled
	case plan.Widened(e.LedgerEntry, e.spec, c.Grant):
		return wider
	default:
		return live
	}
}

// findings is the result of comparing the credentials in use of some providers with a list.
type findings struct {
	// differ are the credentials with another drift than their ledger says, recovered those
	// that no longer drift, and unlisted those that the list can omit.
	differ, recovered, unlisted []use
	// all counts the credentials, and drifted those that drift.
	all, drifted int
}

// note adds a credential to the findings.
func (f *findings) note(u use, is v1alpha1.CredentialDrift, listed bool) {
	f.all++
	if is != "" {
		f.drifted++
	}
	switch {
	case !listed:
		f.unlisted = append(f.unlisted, u)
	case is == u.drift:
	case is == "":
		f.recovered = append(f.recovered, u)
	default:
		f.differ = append(f.differ, u)
	}
}

// drift compares the credentials in use of some providers with a list, and doubts those
// that differ from their ledger. If too many differ at once (plan.TooMany), which suggests
// a mistake of the provider, drift only reports them.
func (r *round) drift(inv inventory, providers []account.Object, m *memory) {
	lists := inv.complete && inv.connection.Capabilities.Listed == 0
	absent := map[string]int{}
	if lists {
		m.lists++
	}
	var f findings
	for _, p := range providers {
		shown := map[v1alpha1.CredentialDrift]int{}
		for _, u := range r.used[p.Key()] {
			if !r.missable(u, inv.connection.Account) {
				continue
			}
			is, listed := u.drift, lists && !u.manual
			if listed {
				is = m.compare(u, inv.seen[u.number], absent)
				u.missed = is == v1alpha1.DriftMissing
			}
			f.note(u, is, listed)
			if is != "" {
				shown[is]++
			}
		}
		metrics.SetDrifted(p.Key(), shown)
	}
	if lists {
		m.absent = absent
	}
	if plan.TooMany(len(f.differ), f.all) {
		r.s.onlyReport(inv, f.differ, f.all)
		f.differ = nil
	}
	for _, u := range slices.Concat(f.differ, f.recovered, r.due(f.unlisted, plan.TooMany(f.drifted, f.all))) {
		r.s.o.Logger.Info("a credential in use is looked up at the provider", "provider", inv.object.Key().String(), "apitoken", u.token.String(), "name", u.name)
		r.s.o.Doubt(u.token, u.name, u.missed)
	}
}

// missable reports whether a provider with this account should show a credential: it is
// recorded to be of this account, and does not end soon.
func (r *round) missable(u use, account provider.Account) bool {
	ends := !u.expires.IsZero() && !r.s.o.Clock.Now().Before(u.expires.Add(-plan.NearEnd))
	return !ends && u.account != "" && account.Is(u.account)
}

// compare returns the drift of a credential as a complete list shows it. A credential that
// the list does not show is missing if the previous complete list did not show it either.
func (m *memory) compare(u use, is seen, absent map[string]int) v1alpha1.CredentialDrift {
	switch is {
	case wider:
		return v1alpha1.DriftChanged
	case live:
		return ""
	case disabled:
		return v1alpha1.DriftDisabled
	case unseen, other:
	}
	absent[u.name] = m.lists
	if last, ok := m.absent[u.name]; ok && last == m.lists-1 {
		return v1alpha1.DriftMissing
	}
	return u.drift
}

// due returns the credentials to look up one by one, because the list need not show them:
// each once a day, at its own time, and those that drift at each sweep. While too many
// drift, which suggests a mistake, no other ones are looked up.
func (r *round) due(unlisted []use, mistake bool) []use {
	var out []use
	for _, u := range unlisted {
		if u.drift != "" || !mistake && askedBetween(u.name, r.last, r.began) {
			out = append(out, u)
		}
	}
	return out
}

// askedBetween reports whether the daily time of a credential is after the first time and
// not after the second. The daily time depends only on the name, so a restart does not
// change it.
func askedBetween(name string, after, until time.Time) bool {
	sum := sha256.Sum256([]byte(name))
	offset := time.Duration(binary.BigEndian.Uint64(sum[:8]) % uint64(askedEvery))
	return until.Add(-offset).Truncate(askedEvery).After(after.Add(-offset))
}

// onlyReport reports drifting credentials without changing any ApiToken.
func (s *Sweeper) onlyReport(inv inventory, differ []use, all int) {
	names := make([]string, 0, namesInEvent)
	for _, u := range differ[:min(len(differ), namesInLog)] {
		if len(names) < namesInEvent {
			names = append(names, u.name)
		}
		s.o.Logger.Info("the provider does not show a credential in use as it was issued", "provider", inv.object.Key().String(),
			"apitoken", u.token.String(), "name", u.name)
	}
	more := ""
	if left := len(differ) - len(names); left > 0 {
		more = fmt.Sprintf(" and %d more", left)
	}
	s.o.Recorder.Eventf(inv.object.Raw, nil, corev1.EventTypeWarning, reasonDrifted, "Sweep",
		"The provider does not show, or shows as disabled or with more access than declared, %d of %d credentials in use: %s%s. This many at once suggest a mistake of the provider, so no ApiToken "+
			"was changed. Check the account; if the credentials are gone, raise spec.rotation.generation of their ApiTokens.",
		len(differ), all, strings.Join(names, ", "), more)
}
