package proxyscrapesim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"
)

// maxName is the longest name of a key.
const maxName = 100

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// fields are the fields that a request can set. A field that it omits is nil.
type fields struct {
	Name        *string         `json:"name"`
	Permissions *[]string       `json:"permissions"`
	Subaccounts *[]string       `json:"allowed_subaccounts"`
	IPs         *[]string       `json:"allowed_ips"`
	ExpiresAt   json.RawMessage `json:"expires_at"`
}

// expiry is nil for null and for a missing field.
func (f fields) expiry() (seconds *int64, ok bool) {
	if f.ExpiresAt == nil || bytes.Equal(f.ExpiresAt, []byte("null")) {
		return nil, true
	}
	return seconds, json.Unmarshal(f.ExpiresAt, &seconds) == nil
}

// check returns the status with which these fields are rejected, or 0.
func (f fields) check(r request) int {
	seconds, ok := f.expiry()
	switch {
	case f.Name != nil && (*f.Name == "" || utf8.RuneCountInString(*f.Name) > maxName),
		!every(f.Subaccounts, uuid.MatchString), !every(f.IPs, isIP),
		!ok || seconds != nil && !time.Unix(*seconds, 0).After(r.now):
		return http.StatusUnprocessableEntity
	case !every(f.Permissions, r.may), !every(f.Subaccounts, r.reaches):
		return http.StatusForbidden
	default:
		return 0
	}
}

func every(list *[]string, is func(string) bool) bool {
	return list == nil || !slices.ContainsFunc(*list, func(s string) bool { return !is(s) })
}

// isIP reports whether a text is an address, or a range without bits beyond its length.
func isIP(text string) bool {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.Zone() == ""
	}
	prefix, err := netip.ParsePrefix(text)
	return err == nil && prefix.Masked() == prefix
}

func (s *Simulator) create(r request) answer {
	if !r.may("account:apikeys:create") {
		return rejected(http.StatusForbidden)
	}
	var f fields
	if !r.decode(&f) {
		return rejected(http.StatusBadRequest)
	}
	if f.Name == nil || f.Permissions == nil || len(*f.Permissions) == 0 {
		return rejected(http.StatusUnprocessableEntity)
	}
	if status := f.check(r); status != 0 {
		return rejected(status)
	}
	k := &Key{ID: newID(), Token: newToken(), Active: true, Created: r.now}
	if f.Subaccounts == nil {
		f.Subaccounts = &[]string{}
	}
	f.set(k, r)
	s.keys = append(s.keys, k)
	shown := s.show(k, "")
	delete(shown, "is_active")
	shown["token"] = k.Token
	if s.Legacy {
		return answer{http.StatusOK, shown}
	}
	return answer{http.StatusOK, map[string]any{
		"success": true, "message": "API key created successfully", "data": shown,
		"warning": "This token will only be shown once. Please copy it now.",
	}}
}

// set sets the fields of a request in a key. An empty list of permissions is ignored without
// an error (docs.proxyscrape.com/api-reference/update-api-key). An empty list of subaccounts
// means all that the caller can access (docs.proxyscrape.com/api/account/create).
func (f fields) set(k *Key, r request) (updated []string) {
	updated = []string{}
	took := func(field string) { updated = append(updated, field) }
	if f.Name != nil {
		k.Name = *f.Name
		took("name")
	}
	if f.Permissions != nil && len(*f.Permissions) > 0 {
		k.Permissions = *f.Permissions
		took("permissions")
	}
	if f.Subaccounts != nil {
		k.Subaccounts = *f.Subaccounts
		if len(k.Subaccounts) == 0 {
			k.Subaccounts = slices.Clone(r.caller.Subaccounts)
		}
		took("allowed_subaccounts")
	}
	if f.IPs != nil {
		k.IPs = *f.IPs
		took("allowed_ips")
	}
	if f.ExpiresAt != nil {
		k.Expires, _ = f.expiry() // check has validated it
		took("expires_at")
	}
	return updated
}

func (s *Simulator) update(k *Key, r request) answer {
	var f struct {
		fields
		Active *bool `json:"is_active"`
	}
	if !r.decode(&f) {
		return rejected(http.StatusBadRequest)
	}
	if f.Name == nil && f.Permissions == nil && f.Subaccounts == nil && f.IPs == nil && f.ExpiresAt == nil && f.Active == nil {
		return rejected(http.StatusUnprocessableEntity)
	}
	if status := f.check(r); status != 0 {
		return rejected(status)
	}
	updated := []string{}
	if !s.frozen {
		updated = f.set(k, r)
		if f.Active != nil {
			k.Active = *f.Active
			updated = append(updated, "is_active")
		}
	}
	shown := s.show(k, preview)
	shown["updated_fields"] = updated
	return answer{http.StatusOK, s.wrap("API key updated successfully", shown)}
}

// regenerate ends the old token at once, and gives the key another id.
func (s *Simulator) regenerate(k *Key) answer {
	old := k.ID
	k.ID, k.Token = newID(), newToken()
	shown := s.show(k, "")
	shown["token"] = k.Token
	if s.Legacy {
		return answer{http.StatusOK, shown}
	}
	delete(shown, "is_active")
	shown["old_id"] = old
	return answer{http.StatusOK, map[string]any{
		"success": true, "message": "API key regenerated successfully", "data": shown,
		"warning": "This token will only be shown once. Please copy it now.", "note": "The old token has been revoked.",
	}}
}
