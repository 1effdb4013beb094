// Package e2e runs the aws driver against a real IAM server and a real S3 server, with
// the minting credentials that the documentation tells users to create. It runs the
// drivers of object stores that cannot be started here against simulators of their
// APIs. The keys of a simulator grant access to the same real server.
package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"os"
	"testing"
	"time"

	smithyhttp "github.com/aws/smithy-go/transport/http"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers/aws"
	"apitoken.dev/operator/test/e2e/gateway"
)

// minterPolicy is the shipped policy of the minting user.
const minterPolicy = "../../config/samples/aws-minter-policy.json"

// The buckets of every test: credentials are granted datasets.
const (
	datasets = "datasets"
	other    = "other-bucket"
)

// The server of every test, and the keys of its minting user.
var (
	server *gateway.Gateway
	minter gateway.Keys
)

func TestMain(m *testing.M) {
	os.Exit(gateway.RunTests(m, func(ctx context.Context, g *gateway.Gateway) (err error) {
		server = g
		if err := g.CreateBuckets(ctx, datasets, other); err != nil {
			return err
		}
		minter, err = g.CreateUser(ctx, "minter", minterPolicy)
		return err
	}))
}

// config returns a configuration with the server's endpoints and the minter's keys.
func config(transport http.RoundTripper) provider.Config {
	return provider.Config{
		Settings: aws.Settings{
			IAMEndpoint: server.IAMEndpoint, S3Endpoint: server.S3Endpoint, Region: gateway.Region,
		},
		Credentials: credentials(minter),
		Cluster:     credname.Cluster(rand.Text()),
		HTTP:        &http.Client{Transport: transport},
		UserAgent:   "apitoken-operator/e2e",
	}
}

func credentials(k gateway.Keys) map[string]provider.Value {
	return map[string]provider.Value{
		aws.KeyID: provider.NewValue(k.AccessKeyID), aws.KeySecret: provider.NewValue(k.SecretAccessKey),
	}
}

// keysOf returns the keys that a workload gets.
func keysOf(m provider.Minted) gateway.Keys {
	return gateway.Keys{AccessKeyID: m.Secret[aws.KeyID].Reveal(), SecretAccessKey: m.Secret[aws.KeySecret].Reveal()}
}

// minting is a connected client with a cluster of its own.
type minting struct {
	t      *testing.T
	client provider.Client
	owner  provider.Owner
}

func connect(t *testing.T) *minting {
	t.Helper()
	cfg := config(nil)
	client, _, err := aws.New().Connect(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	return &minting{t: t, client: client, owner: provider.Owner{Cluster: cfg.Cluster, Namespace: "ml", Token: "training"}}
}

// mint mints a credential and revokes it at the end of the test.
func (m *minting) mint(grant provider.Grant) provider.Minted {
	m.t.Helper()
	req := m.request(grant)
	minted, err := m.client.Mint(m.t.Context(), req)
	m.t.Cleanup(func() { m.revoke(context.WithoutCancel(m.t.Context()), req.Name) })
	if err != nil {
		m.t.Fatalf("Mint: %v", err)
	}
	return minted
}

// request returns a request for a grant under a new name.
func (m *minting) request(grant provider.Grant) provider.MintRequest {
	m.t.Helper()
	name, err := credname.New(m.owner.Cluster, credname.Owner(m.owner.Namespace, m.owner.Token), 1, 0, rand.Reader)
	if err != nil {
		m.t.Fatal(err)
	}
	return provider.MintRequest{Name: name.String(), Owner: m.owner, Grant: grant}
}

func (m *minting) revoke(ctx context.Context, name string) {
	m.t.Helper()
	if err := m.client.Revoke(ctx, provider.Ref{Name: name}); err != nil {
		m.t.Errorf("Revoke: %v", err)
	}
}

// grant of these scopes on the bucket datasets, for an hour.
func grant(scopes ...string) provider.Grant {
	return provider.Grant{Scopes: scopes, Buckets: []string{datasets}, ExpiresAt: time.Now().Add(time.Hour)}
}

// status returns the status of the answer that made a request fail; 0 without an answer.
func status(err error) int {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

// allowed reports whether the server authorized a request: it succeeded, or its object
// does not exist. A request that fails otherwise, but was not rejected, is retried once:
// the server can answer 500 to a request in progress while its key is deleted.
func allowed(request func() error) (bool, error) {
	var err error
	for range 2 {
		err = request()
		switch {
		case err == nil, status(err) == http.StatusNotFound:
			return true, nil
		case status(err) == http.StatusForbidden:
			return false, nil
		}
	}
	return false, err
}

// wantAllowed fails the test unless the server decides as wanted.
func wantAllowed(t *testing.T, what string, want bool, request func() error) {
	t.Helper()
	got, err := allowed(request)
	if err != nil {
		t.Errorf("%s: %v", what, err)
	} else if got != want {
		t.Errorf("%s: allowed: got %t, want %t", what, got, want)
	}
}
