package proxyscrape

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// keysPath is where API keys are (docs.proxyscrape.com/api-reference/list-api-keys).
const keysPath = "/v4/account/api-keys"

// key is an API key as the API shows it (docs.proxyscrape.com/api-reference/get-api-key).
type key struct {
	ID          string   `json:"id"`
	Name        *string  `json:"name"`
	Permissions []string `json:"permissions"`
	Subaccounts []string `json:"allowed_subaccounts"`
	IPs         []string `json:"allowed_ips"`
	ExpiresAt   moment   `json:"expires_at"`
	// Active is not part of the answer to a creation.
	Active    *bool  `json:"is_active"`
	CreatedAt moment `json:"created_at"`
}

// created is the answer to a creation, the only one with the token.
type created struct {
	key
	Token string `json:"token"`
}

// body is the body of a creation; an update sends all of its fields, see changed. Empty
// lists are omitted: "Empty or omitted = all subaccounts the creator can
// access", "Omitted = no IP restriction" (docs.proxyscrape.com/api/account/create).
type body struct {
	Name        string   `json:"name"`
	Permissions []string `json:"permissions"`
	Subaccounts []string `json:"allowed_subaccounts,omitempty"`
	IPs         []string `json:"allowed_ips,omitempty"`
	ExpiresAt   int64    `json:"expires_at"`
}

// changed is the body of an update: "Empty array means all subaccounts", "Empty
// array means no IP restriction" (docs.proxyscrape.com/api-reference/update-api-key).
// It leaves is_active out: a key that a user disabled stays disabled.
type changed struct {
	Name        string   `json:"name"`
	Permissions []string `json:"permissions"`
	Subaccounts []string `json:"allowed_subaccounts"`
	IPs         []string `json:"allowed_ips"`
	ExpiresAt   int64    `json:"expires_at"`
}

// moment is a time as the API writes it: Unix seconds, or RFC 3339 in the older
// of the two shapes that are documented; null is the zero time.
type moment struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (m *moment) UnmarshalJSON(text []byte) error {
	m.Time = time.Time{}
	if bytes.Equal(text, []byte("null")) {
		return nil
	}
	if bytes.HasPrefix(text, []byte(`"`)) {
		return json.Unmarshal(text, &m.Time)
	}
	var seconds int64
	if err := json.Unmarshal(text, &seconds); err != nil {
		return err
	}
	m.Time = time.Unix(seconds, 0).UTC()
	return nil
}

// reply is an answer in either shape that is documented: the value itself, or
// {"success": true, "data": the value}.
type reply[T any] struct {
	// confirmed is set by success: true, and failed by success: false.
	confirmed, failed bool
	value             T
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *reply[T]) UnmarshalJSON(text []byte) error {
	var wrapper struct {
		Success *bool           `json:"success"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(text, &wrapper); err != nil || wrapper.Success == nil && wrapper.Data == nil {
		return json.Unmarshal(text, &r.value)
	}
	r.confirmed = wrapper.Success != nil && *wrapper.Success
	r.failed = wrapper.Success != nil && !*wrapper.Success
	if r.failed || wrapper.Data == nil {
		return nil
	}
	return json.Unmarshal(wrapper.Data, &r.value)
}

// call is one request.
type call struct {
	httpapi.Request
	// needs is the permission that the minting key must have.
	needs string
}

// send sends a request once. An answer that reports a failure with a status of
// success is in doubt.
func send[T any](ctx context.Context, c *client, r call) (reply[T], int, error) {
	var got reply[T]
	r.Into = &got
	answer, err := c.api.Do(ctx, r.Request)
	switch {
	case err != nil:
		return got, answer.Status, advise(r, err)
	case got.failed:
		return got, answer.Status, unclear(r.What, "that it failed")
	}
	return got, answer.Status, nil
}

// ask sends a request once and returns the value in its answer.
func ask[T any](ctx context.Context, c *client, r call) (T, error) {
	got, _, err := send[T](ctx, c, r)
	return got.value, err
}

// keys lists every key of the account. No paging is documented.
func (c *client) keys(ctx context.Context) ([]key, error) {
	const what = "list the API keys"
	all, err := ask[[]key](ctx, c, call{
		Request: httpapi.Request{What: what, Method: http.MethodGet, Path: keysPath},
		needs:   "account:apikeys:read",
	})
	if err != nil {
		return nil, err
	}
	if all == nil {
		return nil, unclear(what, "without a list")
	}
	for _, k := range all {
		if k.ID == "" || k.Name == nil {
			return nil, unclear(what, "with keys that have no id or no name")
		}
	}
	return all, nil
}

// get returns one key; ok is false when no key has this id.
func (c *client) get(ctx context.Context, id string) (k key, ok bool, err error) {
	const what = "read the API key"
	got, status, err := send[key](ctx, c, call{
		Request: httpapi.Request{
			What: what, Method: http.MethodGet, Path: keyPath(id),
			Accept: []int{http.StatusNotFound, http.StatusGone},
		},
		needs: "account:apikeys:read",
	})
	switch {
	case err != nil:
		return key{}, false, err
	case status == http.StatusNotFound || status == http.StatusGone:
		return key{}, false, nil
	case !strings.EqualFold(got.value.ID, id) || got.value.Name == nil:
		return key{}, false, unclear(what, "with another key than the one asked for")
	}
	return got.value, true, nil
}

func keyPath(id string) string { return keysPath + "/" + url.PathEscape(id) }

// credential is a key as the operator sees it, under the name given at Mint. A key that
// is not active can be activated again; one that was deleted is no longer shown.
func (k key) credential(name string) provider.Credential {
	out := provider.Credential{
		Name: name, ID: k.ID, State: provider.Live,
		CreatedAt: k.CreatedAt.Time, ExpiresAt: k.ExpiresAt.Time,
		Grant: &provider.Grant{Scopes: k.Permissions, Subaccounts: subaccountsOf(k), AllowedIPs: k.IPs, ExpiresAt: k.ExpiresAt.Time},
	}
	if k.Active != nil && !*k.Active {
		out.State = provider.Disabled
	}
	return out
}

// unclear returns an error, in doubt, for an answer that does not show what the request did.
func unclear(what, why string) *provider.Error {
	return &provider.Error{Code: provider.CodeUnknown, Message: fmt.Sprintf("could not %s: the provider answered %s", what, why)}
}
