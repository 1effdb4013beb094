package crusoe

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// s3Key is a key as it is listed (S3Key in swagger/v1/swagger.json).
type s3Key struct {
	UserID      string `json:"user_id"`
	AccessKeyID string `json:"access_key_id"`
	Status      string `json:"status"`
	CreatedAt   string `json:"created_at"`
	Alias       string `json:"alias"`
	ExpireAt    string `json:"expire_at"`
}

// disabled is the status of a key that grants no access and can be enabled again. Any
// other status, even an undocumented one, may grant access. No status means that a key
// has ended for good: deleted keys are not listed.
const disabled = "disabled"

func (k s3Key) credential() provider.Credential {
	out := provider.Credential{
		Name: k.Alias, ID: k.AccessKeyID, State: provider.Live,
		CreatedAt: timeOf(k.CreatedAt), ExpiresAt: timeOf(k.ExpireAt),
	}
	if k.Status == disabled {
		out.State = provider.Disabled
	}
	return out
}

// timeOf reads a time of the API. It is zero for a missing or invalid time, and for "no expiry", which is
// 1970-01-01T00:00:00Z (zeroTime in internal/s3_key/util.go of
// github.com/crusoecloud/terraform-provider-crusoe).
func timeOf(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Unix() <= 0 {
		return time.Time{}
	}
	return t.UTC()
}

// keys returns every key that the provider lists, in one response. A response without a
// list is an error: it does not prove that there are no keys.
func (c *client) keys(ctx context.Context) ([]s3Key, error) {
	const what = "list the keys"
	var answer struct {
		Items json.RawMessage `json:"items"`
	}
	if _, err := c.api.Do(ctx, httpapi.Request{What: what, Method: http.MethodGet, Path: c.path, Into: &answer}); err != nil {
		return nil, err
	}
	unclear := &provider.Error{
		Code: provider.CodeUnavailable, Message: "could not " + what + ": the provider answered without the list that its documentation describes",
	}
	var keys []s3Key
	if answer.Items == nil || json.Unmarshal(answer.Items, &keys) != nil {
		return nil, unclear
	}
	for _, k := range keys {
		if k.AccessKeyID == "" {
			return nil, unclear
		}
	}
	return keys, nil
}

// source is what the provider shows: all keys, in one list.
func (c *client) source() provider.Source {
	return provider.Source{List: func(ctx context.Context, _ string) ([]provider.Credential, error) {
		keys, err := c.keys(ctx)
		if err != nil {
			return nil, err
		}
		out := make([]provider.Credential, 0, len(keys))
		for _, k := range keys {
			out = append(out, k.credential())
		}
		return out, nil
	}}
}

// Find implements provider.Client. Aliases may not be unique, so it returns every key
// with the name.
func (c *client) Find(ctx context.Context, ref provider.Ref) ([]provider.Credential, error) {
	return c.source().Find(ctx, ref)
}

// List implements provider.Client.
func (c *client) List(ctx context.Context, owner provider.Owner) iter.Seq2[provider.Credential, error] {
	return c.source().Owned(ctx, owner)
}

// Occupied implements provider.Counter.
func (c *client) Occupied(ctx context.Context) ([]provider.Credential, error) {
	keys, err := c.keys(ctx)
	if err != nil {
		return nil, err
	}
	return c.occupied(keys), nil
}

// occupied returns the keys of the user in any state: disabled and expired keys count
// against the limit of two. Keys of other users, which the list may include, do not.
func (c *client) occupied(keys []s3Key) []provider.Credential {
	var out []provider.Credential
	for _, k := range keys {
		if k.UserID == c.user || k.UserID == "" {
			out = append(out, k.credential())
		}
	}
	return out
}
