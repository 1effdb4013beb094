package ibee

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/simulate/ibeesim"
)

const cluster = "cccccccc"

func request(t *testing.T, grant provider.Grant) provider.MintRequest {
	t.Helper()
	name, err := credname.New(cluster, credname.Owner("ml", "training"), 1, 0, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return provider.MintRequest{
		Name: name.String(), Owner: provider.Owner{Cluster: cluster, Namespace: "ml", Token: "training"}, Grant: grant,
	}
}

func connect(t *testing.T, cfg provider.Config) provider.Client {
	t.Helper()
	client, _, err := New().Connect(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	return client
}

func mint(t *testing.T, client provider.Client) provider.Credential {
	t.Helper()
	minted, err := client.Mint(t.Context(), request(t, readOnly("datasets")))
	if err != nil {
		t.Fatalf("Mint: %v", err)
	}
	return minted.Credential
}

// sent returns the received requests as method, path, query and body.
func sent(b *backend) []string {
	var out []string
	for _, r := range b.Requests() {
		line := r.Method + " " + r.Path + "?" + r.Query
		if r.Body != "" {
			line += " " + r.Body
		}
		out = append(out, line)
	}
	return out
}

func TestMethodsSendExactlyTheseRequests(t *testing.T) {
	const list = "GET /v1/object-storage/credentials?workspace_id=42"
	b := newBackend(t)
	cfg := b.config()
	cfg.UserAgent = "apitoken-operator/v1.2.3"
	client := connect(t, cfg)
	req := request(t, readOnly("reports", "datasets"))
	minted, err := client.Mint(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	one := "/v1/object-storage/credentials/" + minted.Credential.ID
	steps := []struct {
		do   func() error
		want []string
	}{
		{do: func() error { return nil }, want: []string{
			list,
			"POST /v1/object-storage/credentials?workspace_id=42 " +
				`{"name":"` + req.Name + `","permission_type":"object_ro","bucket_scope":"specific","allowed_buckets":["reports","datasets"]}`,
		}},
		{do: func() error {
			_, err := client.Find(t.Context(), provider.Ref{Name: req.Name})
			return err
		}, want: []string{list}},
		{do: func() error {
			_, err := client.Find(t.Context(), provider.Ref{Name: req.Name, ID: minted.Credential.ID})
			return err
		}, want: []string{list}},
		{do: func() error {
			return client.Revoke(t.Context(), provider.Ref{Name: req.Name, ID: minted.Credential.ID})
		}, want: []string{
			list, "POST " + one + "/revoke?workspace_id=42", "GET " + one + "?workspace_id=42",
		}},
		{do: func() error { return client.Revoke(t.Context(), provider.Ref{Name: req.Name}) }, want: []string{list}},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, sent(b)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	all := readOnly("*")
	all.Scopes = []string{scopeAdminReadWrite}
	if _, err := client.Mint(t.Context(), request(t, all)); err != nil {
		t.Fatal(err)
	}
	got := b.Requests()[0]
	if want := `"permission_type":"admin_rw","bucket_scope":"all","allowed_buckets":[]}`; !strings.HasSuffix(got.Body, want) {
		t.Errorf("all buckets: body %s, want it to end with %s", got.Body, want)
	}
	wantHeader := map[string]string{
		"Authorization": "Bearer " + minterToken, "User-Agent": "apitoken-operator/v1.2.3",
		"Content-Type": "application/json", "Accept": "application/json",
	}
	for key, want := range wantHeader {
		if value := got.Header.Get(key); value != want {
			t.Errorf("header %s: got %q, want %q", key, value, want)
		}
	}
}

// The vendor's firewall rejects clients with a default User-Agent.
func TestUserAgentIsNeverMissing(t *testing.T) {
	b := newBackend(t)
	connect(t, b.config())
	if got := b.Requests()[0].Header.Get("User-Agent"); got != userAgent {
		t.Errorf("got %q, want %q", got, userAgent)
	}
}

func TestMintReturnsACredentialWithoutAnExpiry(t *testing.T) {
	b := newBackend(t)
	client := connect(t, b.config())
	req := request(t, readOnly("datasets"))
	minted, err := client.Mint(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	want := provider.Credential{Name: req.Name, ID: "AKIA0000000000000001", State: provider.Live, CreatedAt: start,
		Grant: &provider.Grant{Scopes: req.Grant.Scopes, Buckets: req.Grant.Buckets}}
	if diff := cmp.Diff(want, minted.Credential); diff != "" {
		t.Errorf("-want +got (the provider ends nothing, so there is no expiry):\n%s", diff)
	}
	if !b.Accepts(minted.Secret[KeyID].Reveal(), minted.Secret[KeySecret].Reveal()) {
		t.Error("the secret is not the one that was made")
	}
}

// The vendor creates a credential that differs from the request. The driver revokes it at
// once, because its name may differ, too.
func TestDeviationsAreNotUsed(t *testing.T) {
	cases := map[string]func(*ibeesim.Credential){
		"name":            func(c *ibeesim.Credential) { c.Name = c.Name[:20] },
		"permission_type": func(c *ibeesim.Credential) { c.PermissionType = "object_rw" },
		"bucket_scope":    func(c *ibeesim.Credential) { c.BucketScope, c.AllowedBuckets = "all", nil },
		"allowed_buckets": func(c *ibeesim.Credential) { c.AllowedBuckets = append(c.AllowedBuckets, "another") },
		"status":          func(c *ibeesim.Credential) { c.Status = "pending" },
	}
	for field, distort := range cases {
		t.Run(field, func(t *testing.T) {
			b := newBackend(t)
			b.Distort = distort
			client := connect(t, b.config())
			_, err := client.Mint(t.Context(), request(t, readOnly("datasets")))
			if !provider.InDoubt(err) || !strings.Contains(err.Error(), field) || !strings.Contains(err.Error(), "revoked at once") {
				t.Errorf("got %v (in doubt %t)", err, provider.InDoubt(err))
			}
			if got := b.Credentials(); len(got) != 1 || got[0].Status != statusRevoked {
				t.Errorf("left %+v, want it revoked", got)
			}
		})
	}
}

// answering starts a server with the same response to every request.
func answering(t *testing.T, status int, header http.Header, body string) provider.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for key, values := range header {
			w.Header()[key] = values
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return provider.Config{
		Settings:    Settings{WorkspaceID: ws, Endpoint: server.URL},
		Credentials: map[string]provider.Value{KeyToken: provider.NewValue(minterToken)}, Cluster: cluster, HTTP: server.Client(),
	}
}

// clientOf returns a client without connecting.
func clientOf(t *testing.T, cfg provider.Config) *client {
	t.Helper()
	b := newBackend(t)
	c, ok := connect(t, b.config()).(*client)
	if !ok {
		t.Fatal("not a *client")
	}
	base, err := url.Parse(cfg.Settings.(Settings).Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	out := *c
	out.api.Base = base
	return &out
}

func TestIncompleteSuccessIsInDoubt(t *testing.T) {
	cases := map[string]string{
		"no object":         `[]`,
		"empty object":      `{}`,
		"no list":           `{"credentials":null}`,
		"another key":       `{"access_key_id":"AKIAOTHER","status":"revoked"}`,
		"no secret":         `{"access_key_id":"AKIA1","name":"x","status":"active"}`,
		"an id that is not": `{"access_key_id":"../revoke","secret_access_key":"CANARY","status":"active"}`,
		"nothing":           ``,
	}
	for name, body := range cases {
		t.Run(name, func(t *testing.T) {
			c := clientOf(t, answering(t, http.StatusOK, nil, body))
			req := request(t, readOnly("datasets"))
			_, mintErr := c.Mint(t.Context(), req)
			_, findErr := c.Find(t.Context(), provider.Ref{Name: req.Name})
			_, byIDErr := c.Find(t.Context(), provider.Ref{Name: req.Name, ID: "AKIA2"})
			for what, err := range map[string]error{
				"Mint": mintErr, "Find by name": findErr, "Find by ID": byIDErr,
				"Revoke by name": c.Revoke(t.Context(), provider.Ref{Name: req.Name}),
				"Revoke by ID":   c.Revoke(t.Context(), provider.Ref{Name: req.Name, ID: "AKIA2"}),
			} {
				if !provider.InDoubt(err) {
					t.Errorf("%s: error %v is not in doubt", what, err)
				}
				if err != nil && strings.Contains(err.Error(), "CANARY") {
					t.Errorf("%s: the error shows a secret: %v", what, err)
				}
			}
		})
	}
}

func TestMintingTokenMustBeSendable(t *testing.T) {
	b := newBackend(t)
	for name, credentials := range map[string]map[string]provider.Value{
		"none":         nil,
		"empty":        {KeyToken: provider.NewValue("")},
		"a line break": {KeyToken: provider.NewValue(minterToken + "\n")},
		"two words":    {KeyToken: provider.NewValue("Bearer " + minterToken)},
	} {
		cfg := b.config()
		cfg.Credentials = credentials
		_, _, err := New().Connect(t.Context(), cfg)
		e := provider.AsError(err)
		if e.Code != provider.CodeUnauthenticated || !strings.Contains(e.Message, "key token") || strings.Contains(e.Message, "CANARY") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if got := b.Requests(); len(got) != 0 {
		t.Errorf("%d requests were sent", len(got))
	}
}

func TestAccountIsTheWorkspaceAndKnowsFormerIDs(t *testing.T) {
	cases := map[string]string{
		DefaultEndpoint:                    "42",
		"https://API.ibee.ai:443/v1":       "42",
		"http://api.ibee.ai:80/v1":         "42",
		"http://api.ibee.ai:443/v1":        "42@api.ibee.ai:443",
		"https://api.ibee.co.in/v1":        "42@api.ibee.co.in",
		"https://api.ibee.co.in:443/v1":    "42@api.ibee.co.in",
		"https://api.ibee.ai:8443/v1":      "42@api.ibee.ai:8443",
		"http://127.0.0.1:8080":            "42@127.0.0.1:8080",
		"https://api.ibee.ai.example.com/": "42@api.ibee.ai.example.com",
	}
	for endpoint, want := range cases {
		base, err := url.Parse(endpoint)
		if err != nil {
			t.Fatal(err)
		}
		if got := accountOf(ws, base); got.ID != ws || !got.Is(want) || len(got.Former) > 1 {
			t.Errorf("%s: got %+v, which is not %q", endpoint, got, want)
		}
	}
	b := newBackend(t)
	_, account, err := New().Connect(t.Context(), b.config())
	if want := "42@" + strings.TrimSuffix(strings.TrimPrefix(b.url, "http://"), "/v1"); err != nil || account.ID != ws || !account.Is(want) {
		t.Errorf("got %q and error %v, want %q", account.ID, err, want)
	}
	if diff := cmp.Diff(grantable(), account.GrantableScopes); diff != "" {
		t.Errorf("grantable scopes (-want +got):\n%s", diff)
	}
}

func TestConnectionNamesEndpointRegionAndBucket(t *testing.T) {
	s3 := func(endpoint, bucket string) map[string]string {
		out := map[string]string{
			"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": endpoint, "AWS_ENDPOINT_URL_S3": endpoint,
		}
		if bucket != "" {
			out["BUCKET_NAME"] = bucket
		}
		return out
	}
	cases := map[string]struct {
		settings Settings
		grant    provider.Grant
		want     map[string]string
	}{
		"one bucket":       {Settings{WorkspaceID: "42"}, readOnly("datasets"), s3("https://42.blob.ibeestorage.com", "datasets")},
		"all buckets":      {Settings{WorkspaceID: "42"}, readOnly("*"), s3("https://42.blob.ibeestorage.com", "")},
		"another endpoint": {Settings{WorkspaceID: "42", S3Endpoint: "https://s3.example.com"}, readOnly("a1", "b1"), s3("https://s3.example.com", "")},
		"billing":          {Settings{WorkspaceID: "42"}, readBilling(), map[string]string{"IBEE_WORKSPACE_ID": "42", "IBEE_ENDPOINT": DefaultEndpoint}},
	}
	for name, tc := range cases {
		if diff := cmp.Diff(tc.want, New().Connection(provider.Config{Settings: tc.settings}, tc.grant)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestDriverDeclaresItsCapabilities(t *testing.T) {
	want := provider.Capabilities{
		Scopes: []string{
			"billing:read-only", "objectstorage:admin-read-only", "objectstorage:admin-read-write",
			"objectstorage:object-read-only", "objectstorage:object-read-write",
		},
		ExpiryEnforcedBy: provider.EnforcedByOperator, Settle: 3 * time.Minute, Narrows: []provider.Field{provider.FieldBuckets}, Listed: 100,
		Relocates: true,
	}
	if diff := cmp.Diff(want, New().Capabilities()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"token"}, New().CredentialKeys()); diff != "" {
		t.Errorf("credential keys (-want +got):\n%s", diff)
	}
}
