package crusoe

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// creation asks for a key (CreateS3KeyRequest in swagger/v1/swagger.json).
type creation struct {
	Alias    string `json:"alias"`
	ExpireAt string `json:"expire_at"`
}

// created is a new key (CreateS3KeyResponse). It does not repeat the alias.
type created struct {
	AccessKeyID string `json:"access_key_id"`
	SecretKey   string `json:"secret_key"`
	ExpireAt    string `json:"expire_at"`
}

// Mint implements provider.Client.
func (c *client) Mint(ctx context.Context, req provider.MintRequest) (provider.Minted, error) {
	if err := req.CheckName(); err != nil {
		return provider.Minted{}, err
	}
	if r := c.driver.refuse(req.Grant); r != nil {
		return provider.Minted{}, provider.NotGranted(r)
	}
	asked := expiry(req.Grant)
	var key created
	answer, err := c.api.Do(ctx, httpapi.Request{
		What: "create the key", Method: http.MethodPost, Path: c.path,
		Body: creation{Alias: req.Name, ExpireAt: asked.Format(time.RFC3339)}, Into: &key,
	})
	if err != nil {
		return provider.Minted{}, c.whyNot(ctx, req.Name, answer.Status, provider.AsError(err))
	}
	if key.AccessKeyID == "" || key.SecretKey == "" {
		return provider.Minted{}, doubtful("could not create the key: the provider answered without a key")
	}
	ends, err := c.ends(ctx, key, asked)
	if err != nil {
		return provider.Minted{}, err
	}
	return provider.Minted{
		Credential: provider.Credential{Name: req.Name, ID: key.AccessKeyID, State: provider.Live, ExpiresAt: ends},
		Secret:     map[string]provider.Value{KeyID: provider.NewValue(key.AccessKeyID), KeySecret: provider.NewValue(key.SecretKey)},
	}, nil
}

// doubtful returns the error of a Mint that may have created a key.
func doubtful(message string) *provider.Error {
	return &provider.Error{Code: provider.CodeUnknown, Message: message}
}

// ends returns the expiry of a new key, or an error if it is later than requested. If the
// response has no expiry, it is read from the list.
func (c *client) ends(ctx context.Context, key created, asked time.Time) (time.Time, error) {
	text := key.ExpireAt
	if text == "" {
		keys, err := c.keys(ctx)
		if err != nil {
			return time.Time{}, doubtful("the key was created, but the response has no expiry, and the keys could not be listed to read it")
		}
		i := slices.IndexFunc(keys, func(k s3Key) bool { return k.AccessKeyID == key.AccessKeyID })
		if i < 0 {
			return time.Time{}, doubtful("the key was created, but the response has no expiry, and the list does not have the key")
		}
		text = keys[i].ExpireAt
	}
	switch ends := timeOf(text); {
	case ends.IsZero():
		return time.Time{}, doubtful("the key was created, but without an end although " +
			asked.Format(time.RFC3339) + " was asked for; it is not used, and is revoked")
	case ends.After(asked):
		return time.Time{}, doubtful("the key was created, but ends at " + ends.Format(time.RFC3339) + " although " +
			asked.Format(time.RFC3339) + " was asked for; it is not used, and is revoked")
	default:
		return ends, nil
	}
}

// mayBeFull are the statuses with which a third key may be rejected. The API does not
// document which one it uses.
var mayBeFull = []int{
	http.StatusBadRequest, http.StatusForbidden, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests,
}

// whyNot lists the keys to find out why a creation was rejected.
func (c *client) whyNot(ctx context.Context, name string, status int, refused *provider.Error) *provider.Error {
	if !slices.Contains(mayBeFull, status) {
		return refused
	}
	keys, err := c.keys(ctx)
	if err != nil {
		return refused
	}
	out := *refused
	if slices.ContainsFunc(keys, func(k s3Key) bool { return k.Alias == name }) {
		// No other client uses this name: an earlier copy of this request created the key.
		out.NotExecuted = false
		out.Message = "could not create the key: the provider rejected it, but lists a key of this name, which a copy of the request must have created"
		return &out
	}
	if len(c.occupied(keys)) >= maxLive {
		out.Code = provider.CodeQuota
		out.Message = fmt.Sprintf("could not create the key: its user has %d keys, and Crusoe Cloud allows %d, including keys of other clients; "+
			"delete a key that is not needed, or use a separate user for this provider", len(c.occupied(keys)), maxLive)
	}
	return &out
}
