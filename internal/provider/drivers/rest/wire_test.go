package rest_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers/rest"
	"apitoken.dev/operator/test/support/conformance"
	"apitoken.dev/operator/test/support/simulate/restsim"
)

func mintRequest(t *testing.T, grant provider.Grant) provider.MintRequest {
	t.Helper()
	name, err := credname.New(cluster, credname.Owner("ml", "training"), 1, 0, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return provider.MintRequest{
		Name: name.String(), Owner: provider.Owner{Cluster: cluster, Namespace: "ml", Token: "training"}, Grant: grant,
	}
}

func connect(t *testing.T, cfg provider.Config) (provider.Client, provider.Account) {
	t.Helper()
	client, account, err := rest.New().Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client, account
}

// sent is the compared part of a request.
type sent struct{ Method, URL, Auth, Body string }

func wire(t *testing.T, requests []restsim.Request, header string) []sent {
	t.Helper()
	var out []sent
	for _, r := range requests {
		one := sent{Method: r.Method, URL: r.URL, Auth: r.Header.Get(header), Body: r.Body}
		if r.Header.Get("User-Agent") != "apitoken-operator/test" || r.Header.Get("Accept") != "application/json" {
			t.Errorf("%s %s has the headers %v", r.Method, r.URL, r.Header)
		}
		if (r.Header.Get("Content-Type") != "") != (r.Body != "") {
			t.Errorf("%s %s: Content-Type %q with the body %q", r.Method, r.URL, r.Header.Get("Content-Type"), r.Body)
		}
		out = append(out, one)
	}
	return out
}

func TestSpacesReceivesExactlyTheseRequests(t *testing.T) {
	sim, cfg := spaces(t)
	client, account := connect(t, cfg)
	former := restsim.SpacesTeam + "@" + strings.TrimPrefix(cfg.Settings.(rest.Settings).BaseURL, "http://")
	if account.ID != restsim.SpacesTeam || !account.Is(former) {
		t.Errorf("the account is %+v, want %s, once %s", account, restsim.SpacesTeam, former)
	}
	req := mintRequest(t, bucketGrant())
	minted, err := client.Mint(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Revoke(t.Context(), provider.Ref{Name: req.Name, ID: minted.Credential.ID}); err != nil {
		t.Fatal(err)
	}
	const auth = "Bearer CANARY-do-token"
	want := []sent{
		{"GET", "/v2/account", auth, ""},
		{"GET", "/v2/spaces/keys?per_page=200", auth, ""},
		{"POST", "/v2/spaces/keys", auth, fmt.Sprintf(
			`{"name":%q,"grants":[{"bucket":"datasets","permission":"read"},{"bucket":"models","permission":"read"}]}`, req.Name)},
		{"GET", "/v2/spaces/keys?name=" + req.Name + "&per_page=200", auth, ""},
		{"DELETE", "/v2/spaces/keys/" + minted.Credential.ID, auth, ""},
	}
	if diff := cmp.Diff(want, wire(t, sim.Requests(), "Authorization")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGiteaReceivesExactlyTheseRequests(t *testing.T) {
	sim, cfg := gitea(t)
	client, account := connect(t, cfg)
	if want := fmt.Sprint(restsim.GiteaUserID); account.ID != want {
		t.Errorf("the account is %s, want %s", account.ID, want)
	}
	req := mintRequest(t, provider.Grant{Scopes: []string{"write:package", "read:repository"}})
	if _, err := client.Mint(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	const auth = "Basic Ym90OkNBTkFSWS1wYXNzd29yZA=="
	want := []sent{
		{"GET", "/api/v1/user", auth, ""},
		{"GET", "/api/v1/users/bot/tokens?limit=50", auth, ""},
		{"POST", "/api/v1/users/bot/tokens", auth, fmt.Sprintf(`{"name":%q,"scopes":["read:repository","write:package"]}`, req.Name)},
	}
	if diff := cmp.Diff(want, wire(t, sim.Requests(), "Authorization")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestProxyScrapeReceivesExactlyTheseRequests(t *testing.T) {
	for name, legacy := range map[string]bool{"wrapped": false, "bare": true} {
		t.Run(name, func(t *testing.T) {
			sim, cfg := proxyScrape(t, legacy)
			s := cfg.Settings.(rest.Settings)
			if legacy { // its mint has no wrapper either
				s.Mint.Item = ""
				cfg.Settings = s
			}
			client, account := connect(t, cfg)
			if account.ID != "our-account" {
				t.Errorf("the account is %s", account.ID)
			}
			if diff := cmp.Diff(proxyPermissions, account.GrantableScopes); diff != "" {
				t.Error(diff)
			}
			// The 999 milliseconds are cut off, so the credential does not expire later than requested.
			end := start.Add(time.Hour + 999*time.Millisecond)
			req := mintRequest(t, provider.Grant{Scopes: []string{"residential:read"}, ExpiresAt: end})
			minted, err := client.Mint(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if got := minted.Credential.ExpiresAt; !got.Equal(start.Add(time.Hour)) {
				t.Errorf("it ends at %s", got)
			}
			requests := sim.Requests()
			var body map[string]any
			if err := json.Unmarshal([]byte(requests[len(requests)-1].Body), &body); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{"name": req.Name, "permissions": []any{"residential:read"}, "expires_at": float64(start.Add(time.Hour).Unix())}
			if diff := cmp.Diff(want, body); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := requests[0].Header.Get("api-token"); got != "CANARY-minting-token" {
				t.Errorf("api-token is %q", got)
			}
		})
	}
}

// The list has more keys than one page.
func TestListReturnsEveryPageOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		setUp func(t *testing.T) (provider.Config, func(int) func())
	}{
		"spaces": {func(t *testing.T) (provider.Config, func(int) func()) { sim, cfg := spaces(t); return cfg, sim.Crowd }},
		"gitea":  {func(t *testing.T) (provider.Config, func(int) func()) { sim, cfg := gitea(t); return cfg, sim.Crowd }},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, crowd := tc.setUp(t)
			crowd(450)
			client, _ := connect(t, cfg)
			all, err := client.(provider.Counter).Occupied(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ids := map[string]bool{}
			for _, c := range all {
				ids[c.ID] = true
			}
			if len(all) != 450 || len(ids) != 450 {
				t.Errorf("%d are listed, %d different ones, want 450", len(all), len(ids))
			}
		})
	}
}

func TestEndlessListIsAnError(t *testing.T) {
	for name, next := range map[string]string{"the same page": `"again"`, "always another": `page + 1`} {
		t.Run(name, func(t *testing.T) {
			_, cfg := spaces(t)
			s := cfg.Settings.(rest.Settings)
			s.List.Next, s.List.Query = v1alpha1.RestExpression(next), map[string]v1alpha1.RestTemplate{"per_page": "1"}
			cfg.Settings = s
			client, _ := connect(t, cfg)
			if _, err := client.Find(t.Context(), provider.Ref{Name: mintRequest(t, bucketGrant()).Name}); err == nil || !strings.Contains(err.Error(), "spec.rest.list.next") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// vendor is a server with one response to every mint, and an empty list.
func vendor(t *testing.T, status int, header http.Header, body string, change func(*rest.Settings)) provider.Client {
	t.Helper()
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte(`{"keys": []}`))
			return
		}
		for key, values := range header {
			w.Header()[key] = values
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	s := rest.Settings{
		BaseURL:    server.URL,
		Credential: v1alpha1.RestCredential{ID: "item.id", Name: `item.?name.orValue("")`, ExpiresAt: "item.?ends.orValue(null)"},
		Mint: v1alpha1.RestMint{
			RestRequest: v1alpha1.RestRequest{Path: "/keys", Body: `{"name": {{ .name }}, "p": {{ .permissions }}, "ends": {{ rfc3339 .expiresAt }}}`},
			Secret:      map[string]v1alpha1.RestExpression{"token": "item.token"},
		},
		List:   v1alpha1.RestList{RestRequest: v1alpha1.RestRequest{Path: "/keys"}, Items: "body.keys"},
		Revoke: v1alpha1.RestRequest{Path: "/keys/{{ .id }}"},
		Error: v1alpha1.RestError{
			Word: "body.error.code", Codes: map[string]v1alpha1.RestCode{"too_many_keys": v1alpha1.RestCode(provider.CodeQuota)},
			InDoubt: `has(body.maybe) && body.maybe`,
		},
	}
	if change != nil {
		change(&s)
	}
	client, _ := connect(t, provider.Config{Settings: s, Cluster: cluster, HTTP: server.Client()})
	return client
}

func TestAnswersToMintAreClassified(t *testing.T) {
	const raw = conformance.RawText
	enforced := func(s *rest.Settings) { s.Expiry.EnforcedBy = string(provider.EnforcedByProvider) }
	html := http.Header{"Content-Type": {"text/html"}}
	for name, tc := range map[string]struct {
		status int
		header http.Header
		body   string
		change func(*rest.Settings)
		code   provider.Code
		doubt  bool
		says   string
	}{
		"a word":                      {400, nil, `{"error":{"code":"bad_name"}}`, nil, provider.CodeInvalid, false, "(bad_name)"},
		"a word with a meaning":       {403, nil, `{"error":{"code":"too_many_keys"}}`, nil, provider.CodeQuota, false, "(too_many_keys)"},
		"a word that is text":         {400, nil, `{"error":{"code":"go to ` + raw + `"}}`, nil, provider.CodeInvalid, false, "rejected the request as invalid"},
		"no word":                     {400, nil, `{"message":"` + raw + `"}`, nil, provider.CodeInvalid, false, "status 400"},
		"declared as in doubt":        {400, nil, `{"maybe":true}`, nil, provider.CodeInvalid, true, "status 400"},
		"doubt that cannot be told":   {400, nil, raw, nil, provider.CodeInvalid, true, "status 400"},
		"no doubt about a 401":        {401, html, raw, nil, provider.CodeUnauthenticated, false, "minting credentials"},
		"no doubt about a 429":        {429, html, raw, nil, provider.CodeRateLimited, false, "fewer requests"},
		"conflict":                    {409, nil, `{}`, nil, provider.CodeInvalid, true, "conflicts with something that exists"},
		"server error":                {500, nil, `{"error":{"code":"oops"}}`, nil, provider.CodeUnavailable, true, "(oops)"},
		"a page":                      {200, html, "<html>" + raw, nil, provider.CodeUnavailable, true, "web page (status 200)"},
		"no id":                       {201, nil, `{"token":"CANARY"}`, nil, provider.CodeUnknown, true, "spec.rest.credential.id"},
		"an empty id":                 {201, nil, `{"id":"","token":"CANARY"}`, nil, provider.CodeUnknown, true, "spec.rest.credential.id returns nothing"},
		"no secret":                   {201, nil, `{"id":1}`, nil, provider.CodeUnknown, true, "spec.rest.mint.secret[token]"},
		"an empty secret":             {201, nil, `{"id":1,"token":null}`, nil, provider.CodeUnknown, true, "spec.rest.mint.secret[token] returns nothing"},
		"another name":                {201, nil, `{"id":1,"token":"CANARY","name":"other"}`, nil, provider.CodeUnknown, true, "another name"},
		"ends later":                  {201, nil, `{"id":1,"token":"CANARY","ends":"2026-03-01T13:00:01Z"}`, enforced, provider.CodeUnknown, true, "ends later than asked"},
		"does not end":                {201, nil, `{"id":1,"token":"CANARY"}`, enforced, provider.CodeUnknown, true, "does not end"},
		"ends at a word":              {201, nil, `{"id":1,"token":"CANARY","ends":"soon"}`, nil, provider.CodeUnknown, true, "spec.rest.credential.expiresAt"},
		"a list":                      {201, nil, `[]`, nil, provider.CodeUnknown, true, "spec.rest.credential.id"},
		"another status":              {202, nil, `{"id":1,"token":"CANARY"}`, func(s *rest.Settings) { s.Mint.SuccessStatuses = []int32{201} }, provider.CodeUnknown, true, "spec.rest.mint.successStatuses"},
		"nothing":                     {204, nil, ``, nil, provider.CodeUnavailable, true, "documentation"},
		"sent elsewhere":              {307, http.Header{"Location": {"https://elsewhere.example.com/"}}, ``, nil, provider.CodeInvalid, true, "redirects are not followed"},
		"sent elsewhere on this host": {308, http.Header{"Location": {"/keys"}}, ``, nil, provider.CodeInvalid, true, "redirects are not followed"},
		"an answer that is too long":  {201, nil, `{"id":1,"token":"` + strings.Repeat("x", 1<<20) + `"}`, nil, provider.CodeUnknown, true, "more than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			client := vendor(t, tc.status, tc.header, tc.body, tc.change)
			_, err := client.Mint(t.Context(), mintRequest(t, provider.Grant{Scopes: []string{"a:read"}, ExpiresAt: start.Add(time.Hour)}))
			e := provider.AsError(err)
			if err == nil || e.Code != tc.code || provider.InDoubt(err) != tc.doubt {
				t.Errorf("got %v, in doubt %t; want %s, %t", err, provider.InDoubt(err), tc.code, tc.doubt)
			}
			if !strings.Contains(e.Message, tc.says) {
				t.Errorf("got %q, want it to say %q", e.Message, tc.says)
			}
			if strings.Contains(e.Message, raw) || strings.Contains(e.Message, "CANARY") {
				t.Errorf("the error repeats what the vendor said: %s", e.Message)
			}
		})
	}
}

// An HTML page proves nothing, and a 403 does not mean "gone".
func TestRevokeNeedsAnExplicitAnswer(t *testing.T) {
	ref := provider.Ref{Name: mintRequest(t, provider.Grant{}).Name, ID: "1"}
	for name, tc := range map[string]struct {
		status int
		kind   string
		gone   bool
	}{
		"a page": {200, "text/html; charset=utf-8", false}, "denied": {403, "application/json", false},
		"done": {204, "", true}, "not there": {404, "text/html", true}, "gone": {410, "application/json", true},
	} {
		t.Run(name, func(t *testing.T) {
			client := vendor(t, tc.status, http.Header{"Content-Type": {tc.kind}}, "", func(s *rest.Settings) {
				s.List.Items = v1alpha1.RestExpression(`[{"id": "1", "name": "` + ref.Name + `"}]`)
			})
			if err := client.Revoke(t.Context(), ref); (err == nil) != tc.gone {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Revoke and Update get the ID of another client's key.
func TestKeysOfOtherClientsAreNotChanged(t *testing.T) {
	sim, cfg := spaces(t)
	sim.Crowd(1)
	client, _ := connect(t, cfg)
	id := sim.Tokens()[0].ID
	for _, ref := range []provider.Ref{{ID: id}, {Name: "other-client"}, {}} {
		if err := client.Revoke(t.Context(), ref); err == nil || provider.InDoubt(err) {
			t.Errorf("Revoke(%+v): %v", ref, err)
		}
	}
	if len(sim.Tokens()) != 1 {
		t.Error("it is gone")
	}
	if _, err := client.(provider.Updater).Update(t.Context(), provider.Ref{ID: id}, mintRequest(t, bucketGrant())); err == nil {
		t.Error("a vendor without update updates")
	}
}

func TestFullAccountIsAQuotaError(t *testing.T) {
	sim, cfg := spaces(t)
	sim.Limit = 0
	client, _ := connect(t, cfg)
	_, err := client.Mint(t.Context(), mintRequest(t, bucketGrant()))
	if e := provider.AsError(err); e.Code != provider.CodeQuota || !e.NotExecuted {
		t.Errorf("got %v", err)
	}
}

// An earlier copy of the request can have created the credential.
func TestNameInUseIsInDoubt(t *testing.T) {
	sim, cfg := gitea(t)
	client, _ := connect(t, cfg)
	req := mintRequest(t, provider.Grant{Scopes: []string{"read:repository"}})
	if _, err := client.Mint(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Mint(t.Context(), req); !provider.InDoubt(err) {
		t.Errorf("a name in use: %v is not in doubt", err)
	}
	if got := len(sim.Tokens()); got != 1 {
		t.Errorf("there are %d tokens", got)
	}
	s := cfg.Settings.(rest.Settings)
	s.Scopes = nil
	cfg.Settings = s
	client, _ = connect(t, cfg)
	_, err := client.Mint(t.Context(), mintRequest(t, provider.Grant{Scopes: []string{"read:everything"}}))
	if err == nil || provider.InDoubt(err) {
		t.Errorf("a scope that Gitea does not know: %v is in doubt", err)
	}
}

func TestSampleScopesMapToPermissions(t *testing.T) {
	sim, cfg := spaces(t)
	client, _ := connect(t, cfg)
	for scope, permission := range map[string]string{
		"objectstorage:object-read-only": "read", "objectstorage:object-read-write": "readwrite",
	} {
		grant := bucketGrant()
		grant.Scopes = []string{scope}
		minted, err := client.Mint(t.Context(), mintRequest(t, grant))
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range sim.Tokens() {
			if token.ID == minted.Credential.ID && token.Permissions[0] != permission {
				t.Errorf("%s became %v, want %s", scope, token.Permissions, permission)
			}
		}
	}
}

func TestGrantsThatCannotBeGivenAreRefused(t *testing.T) {
	_, cfg := spaces(t)
	s := cfg.Settings.(rest.Settings)
	s.Limits.Buckets = 1
	cfg.Settings = s
	for name, tc := range map[string]struct {
		change        func(*provider.Grant)
		reason        provider.RefusalReason
		field, advice string
	}{
		"no scope": {func(g *provider.Grant) { g.Scopes = nil }, provider.RefusedScope, "spec.scopes", "at least one"},
		"two scopes": {func(g *provider.Grant) {
			g.Scopes = []string{"objectstorage:object-read-only", "objectstorage:object-read-write"}
		}, provider.RefusedScope, "spec.scopes", "at most 1; split"},
		"no permission": {func(g *provider.Grant) { g.Scopes = []string{"billing:read-only"} }, provider.RefusedScope, "spec.scopes", "grants objectstorage:object-read-only"},
		"two buckets":   {func(g *provider.Grant) { g.Buckets = []string{"a1", "a2"} }, provider.RefusedBuckets, "spec.buckets", "at most 1; split"},
		"all buckets":   {func(g *provider.Grant) { g.Buckets = []string{"*"} }, provider.RefusedBucket, "spec.buckets", "by their names only"},
		"subaccounts":   {func(g *provider.Grant) { g.Subaccounts = []string{"x"} }, provider.RefusedNarrow, "spec.restrictions.subaccounts", "never ignored"},
	} {
		t.Run(name, func(t *testing.T) {
			grant := bucketGrant()
			grant.Buckets = []string{"datasets"}
			tc.change(&grant)
			err := rest.New().Validate(cfg, provider.MintRequest{Grant: grant})
			var r *provider.Refusal
			if !errors.As(err, &r) || r.Reason != tc.reason || r.Field != tc.field || !strings.Contains(r.Message, tc.advice) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSamplesPublishTheS3Connection(t *testing.T) {
	_, cfg := spaces(t)
	grant := bucketGrant()
	want := map[string]string{
		"AWS_ENDPOINT_URL": "https://nyc3.digitaloceanspaces.com", "AWS_ENDPOINT_URL_S3": "https://nyc3.digitaloceanspaces.com",
		"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
	}
	if diff := cmp.Diff(want, rest.New().Connection(cfg, grant)); diff != "" {
		t.Errorf("two buckets (-want +got):\n%s", diff)
	}
	grant.Buckets, want["BUCKET_NAME"] = []string{"datasets"}, "datasets"
	if diff := cmp.Diff(want, rest.New().Connection(cfg, grant)); diff != "" {
		t.Errorf("one bucket (-want +got):\n%s", diff)
	}
}

// The probe does not use the minting credentials.
func TestProbeUsesTheCredentialItself(t *testing.T) {
	sim, cfg := gitea(t)
	s := cfg.Settings.(rest.Settings)
	s.Scopes = append(s.Scopes, v1alpha1.RestScope{Scope: "read:user"})
	s.Probe = &v1alpha1.RestProbe{
		RestRequest:     v1alpha1.RestRequest{Path: "/api/v1/user", Headers: []v1alpha1.RestHeader{{Name: "Authorization", Value: "token {{ .secret.token }}"}}},
		RefusedStatuses: []int32{http.StatusUnauthorized},
	}
	cfg.Settings = s
	client, _ := connect(t, cfg)
	prober, ok := provider.As[provider.Prober](client)
	if !ok {
		t.Fatal("a vendor with a probe has no Prober")
	}
	probe := func(grant provider.Grant) (provider.MintRequest, map[string]provider.Value) {
		req := mintRequest(t, grant)
		minted, err := client.Mint(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		return req, minted.Secret
	}
	grant := provider.Grant{Scopes: []string{"read:user"}}
	req, secret := probe(grant)
	sim.Requests()
	if got, err := prober.Accepts(t.Context(), secret, grant); !got || err != nil {
		t.Errorf("a live token: %t, %v", got, err)
	}
	if got := sim.Requests()[0].Header.Get("Authorization"); !strings.HasPrefix(got, "token CANARY-") || strings.Contains(got, "password") {
		t.Error("it was not tried with itself")
	}
	if err := client.Revoke(t.Context(), provider.Ref{Name: req.Name}); err != nil {
		t.Fatal(err)
	}
	if got, err := prober.Accepts(t.Context(), secret, grant); got || err != nil {
		t.Errorf("a revoked token: %t, %v", got, err)
	}
	_, secret = probe(provider.Grant{Scopes: []string{"read:repository"}})
	if _, err := prober.Accepts(t.Context(), secret, grant); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("a token that may not ask: %v, want an error", err)
	}
	_, cfg = gitea(t)
	if client, _ = connect(t, cfg); asProber(client) {
		t.Error("a vendor without a probe has a Prober")
	}
	for _, probed := range []bool{true, false} {
		s := cfg.Settings.(rest.Settings)
		if probed {
			s.Probe = &v1alpha1.RestProbe{}
		}
		if got := rest.New().For(s).Capabilities().TriesNew; got != probed {
			t.Errorf("with a probe %t: new credentials are tried %t", probed, got)
		}
	}
}

func asProber(c provider.Client) bool { _, ok := provider.As[provider.Prober](c); return ok }

// plane is a separate data plane behind the simulator.
type plane struct {
	keys map[string]string
	err  error
}

func (p *plane) Create(_ context.Context, key restsim.Token) error {
	p.keys[key.ID] = key.Secret
	return p.err
}

func (p *plane) Delete(_ context.Context, id string) error {
	delete(p.keys, id)
	return p.err
}

// A failure of the data plane is a failure of the simulated vendor.
func TestDataPlaneReceivesEveryKey(t *testing.T) {
	sim, cfg := spaces(t)
	behind := &plane{keys: map[string]string{}}
	sim.Keys = behind
	client, _ := connect(t, cfg)
	minted, err := client.Mint(t.Context(), mintRequest(t, bucketGrant()))
	if err != nil {
		t.Fatal(err)
	}
	if id := minted.Credential.ID; !minted.Secret["AWS_SECRET_ACCESS_KEY"].Equal(provider.NewValue(behind.keys[id])) {
		t.Error("the data plane does not have the key")
	}
	if err := client.Revoke(t.Context(), provider.Ref{Name: minted.Credential.Name}); err != nil || len(behind.keys) != 0 {
		t.Errorf("after Revoke: %v, the data plane has %d keys", err, len(behind.keys))
	}
	behind.err = errors.New("down")
	if _, err := client.Mint(t.Context(), mintRequest(t, bucketGrant())); !provider.InDoubt(err) {
		t.Errorf("%v is not in doubt", err)
	}
}

// live: false means that the credential has ended, unless disabled is true.
func TestLiveAndDisabledExpressionsGiveTheState(t *testing.T) {
	shown := map[string]map[string]provider.State{ // by live and disabled, then by the vendor's word
		"|":                                      {"on": provider.Live, "off": provider.Live, "over": provider.Live},
		`item.name != ""|`:                       {"on": provider.Live, "off": provider.Live, "over": provider.Live},
		`item.word == "on"|`:                     {"on": provider.Live, "off": provider.Ended, "over": provider.Ended},
		`|item.word == "off"`:                    {"on": provider.Live, "off": provider.Disabled, "over": provider.Live},
		`item.word == "on"|item.word == "off"`:   {"on": provider.Live, "off": provider.Disabled, "over": provider.Ended},
		`item.word != "over"|item.word == "off"`: {"on": provider.Live, "off": provider.Disabled, "over": provider.Ended},
	}
	for expressions, states := range shown {
		for word, want := range states {
			name := mintRequest(t, provider.Grant{}).Name
			server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprintf(w, `[{"id":1,"name":%q,"word":%q}]`, name, word) // the client may be gone
			}))
			s := sample(t, "rest-gitea.yaml", server.URL)
			s.Account, s.List.Next, s.List.Query = nil, "", nil
			live, disabled, _ := strings.Cut(expressions, "|")
			s.Credential.Live, s.Credential.Disabled = v1alpha1.RestExpression(live), v1alpha1.RestExpression(disabled)
			client, _ := connect(t, config(server, s, map[string]string{"username": "bot", "password": "CANARY-password"}))
			found, err := client.Find(t.Context(), provider.Ref{Name: name})
			if err != nil || len(found) != 1 || found[0].State != want {
				t.Errorf("%s, %s: found %+v, %v, want %s", expressions, word, found, err, want)
			}
		}
	}
}
