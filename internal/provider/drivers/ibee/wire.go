package ibee

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/httpapi"
)

// credentialsPath is the collection of a workspace's S3 credentials.
const credentialsPath = "/object-storage/credentials"

// The statuses of an S3 credential that the vendor's clients know. A credential with
// any other status counts as live.
const (
	statusActive  = "active"
	statusRevoked = "revoked"
)

// credential is an S3 credential as the API shows it, without its secret
// (devs-ibee/ibee-typescript, src/types.ts).
type credential struct {
	AccessKeyID    string   `json:"access_key_id"`
	Name           string   `json:"name"`
	Status         string   `json:"status"`
	CreatedAt      string   `json:"created_at"`
	PermissionType string   `json:"permission_type"`
	BucketScope    string   `json:"bucket_scope"`
	AllowedBuckets []string `json:"allowed_buckets"`
}

func (c credential) live() bool { return c.Status != statusRevoked }

// created is the creation time; zero if it is not in the documented format.
func (c credential) created() time.Time {
	t, err := time.Parse(time.RFC3339, c.CreatedAt)
	if err != nil {
		return time.Time{}
	}
	return t
}

func (c credential) shown() provider.Credential {
	out := provider.Credential{Name: c.Name, ID: c.AccessKeyID, State: provider.Live, CreatedAt: c.created(), Grant: c.grant()}
	if !c.live() {
		out.State = provider.Ended
	}
	return out
}

// grant returns what a credential allows, in the terms of an ApiToken; nil if the API
// shows values that are not documented.
func (c credential) grant() *provider.Grant {
	buckets := c.AllowedBuckets
	if c.BucketScope == allBuckets {
		buckets = []string{"*"}
	} else if c.BucketScope != specificBuckets {
		return nil
	}
	for scope, p := range permissions {
		if p.name == c.PermissionType {
			return &provider.Grant{Scopes: []string{scope}, Buckets: buckets}
		}
	}
	return nil
}

// accessKeyID matches ids that are safe in a path and in messages.
var accessKeyID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// pathOf returns the path of one credential.
func pathOf(id string) (string, error) {
	if !accessKeyID.MatchString(id) {
		return "", provider.Invalid("this is not the id of an S3 credential: an access key id has letters, digits, _ and - only")
	}
	return credentialsPath + "/" + url.PathEscape(id), nil
}

// list returns the credentials that the API shows: the newest of all clients.
func (c *client) list(ctx context.Context) ([]credential, error) {
	// A response without a list does not prove that there are no credentials.
	var answer struct {
		Credentials *[]credential `json:"credentials"`
	}
	_, err := c.call(ctx, httpapi.Request{What: "list the credentials", Method: http.MethodGet, Path: credentialsPath, Into: &answer})
	if err != nil {
		return nil, err
	}
	if answer.Credentials == nil {
		return nil, unclear("could not list the credentials: the provider answered without a list")
	}
	for _, one := range *answer.Credentials {
		if one.AccessKeyID == "" {
			return nil, unclear("could not list the credentials: the provider answered with credentials that have no id")
		}
	}
	return *answer.Credentials, nil
}

// get returns one credential, or nil if the API says that it does not exist.
func (c *client) get(ctx context.Context, id string) (*credential, error) {
	path, err := pathOf(id)
	if err != nil {
		return nil, err
	}
	var got json.RawMessage
	answer, err := c.call(ctx, httpapi.Request{
		What: "read the credential", Method: http.MethodGet, Path: path, Into: &got, Accept: []int{http.StatusNotFound},
	})
	if err != nil {
		return nil, err
	}
	if answer.Status == http.StatusNotFound {
		if !problemOf(answer.Body).told {
			return nil, unclear("could not read the credential: the response has status 404, but not the form of the IBEE API")
		}
		return nil, nil
	}
	var out credential
	if json.Unmarshal(got, &out) != nil || out.AccessKeyID != id {
		return nil, unclear("could not read the credential: the provider returned another credential, or an unknown format")
	}
	return &out, nil
}
