package kloudbean

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/s3probe"
	"apitoken.dev/operator/test/support/simulate/kloudbeansim"
)

func TestDriverDeclaresItsCapabilities(t *testing.T) {
	d := New()
	if _, ok := any(d).(provider.Manual); !ok {
		t.Error("the driver is not a provider.Manual")
	}
	if keys := d.CredentialKeys(); len(keys) != 0 {
		t.Errorf("credential keys: got %v, want none", keys)
	}
	caps := d.Capabilities()
	if caps.ExpiryEnforcedBy != provider.EnforcedByUser {
		t.Errorf("expiry is enforced by %s", caps.ExpiryEnforcedBy)
	}
	if diff := cmp.Diff([]string{scopeReadOnly, scopeReadWrite, scopeWriteOnly}, caps.Scopes); diff != "" {
		t.Errorf("scopes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]provider.Field{provider.FieldBuckets, provider.FieldAllowedIPs, provider.FieldDeniedIPs}, caps.Narrows); diff != "" {
		t.Errorf("narrows (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]provider.Field{provider.FieldAllowedIPs, provider.FieldDeniedIPs}, caps.Updates); diff != "" {
		t.Errorf("updates (-want +got):\n%s", diff)
	}
}

// Connect needs no credentials.
func TestConnectSendsOneUnsignedRequest(t *testing.T) {
	w := open(t)
	client, account, err := New().Connect(t.Context(), w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if former := strings.TrimPrefix(w.EndpointURL, "http://"); account.ID != provider.UnnamedAccount || !account.Is(former) {
		t.Errorf("account: got %+v, want %q, once %q", account, provider.UnnamedAccount, former)
	}
	want := []kloudbeansim.Request{{Method: "GET", Path: "/", UserAgent: "apitoken-operator/test"}}
	if diff := cmp.Diff(want, w.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if _, ok := provider.As[provider.Prober](client); !ok {
		t.Error("the client is no Prober")
	}
	restore := w.Faults().FailAfterCommit(0)
	defer restore()
	if _, _, err := New().Connect(t.Context(), w.cfg); provider.AsError(err).Code != provider.CodeUnavailable {
		t.Errorf("a server that fails: got %v, want %s", err, provider.CodeUnavailable)
	}
}

func TestConnectionNamesEndpointRegionAndBucket(t *testing.T) {
	cfg := provider.Config{Settings: Settings{S3Endpoint: "https://s3.kloudbean.com"}}
	want := map[string]string{
		"AWS_ENDPOINT_URL": "https://s3.kloudbean.com", "AWS_ENDPOINT_URL_S3": "https://s3.kloudbean.com",
		"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "BUCKET_NAME": bucket,
	}
	if diff := cmp.Diff(want, New().Connection(cfg, grant(scopeReadOnly))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	cfg.Settings = Settings{S3Endpoint: "https://s3.kloudbean.com", Region: "eu-1"}
	if got := New().Connection(cfg, grant(scopeReadOnly))["AWS_REGION"]; got != "eu-1" {
		t.Errorf("region: got %q", got)
	}
}

// No API finds, lists or revokes by name. IDs are for users only.
func TestNothingIsFoundOrRevokedByName(t *testing.T) {
	w := open(t)
	client, req := w.connect(t), request(t, scopeReadOnly)
	req.Submitted = w.handOver(t, req)
	minted, err := client.Mint(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := client.Find(t.Context(), provider.Ref{Name: req.Name}); len(found) != 0 || err != nil {
		t.Errorf("Find: got %v, %v", found, err)
	}
	for c, err := range client.List(t.Context(), req.Owner) {
		t.Errorf("List yields %+v, %v", c, err)
	}
	if err := client.Revoke(t.Context(), provider.Ref{Name: req.Name}); err != nil {
		t.Errorf("Revoke by name: %v", err)
	}
	id := minted.Credential.ID
	for _, ref := range []provider.Ref{{ID: id}, {Name: req.Name, ID: id}} {
		rejected(t, client.Revoke(t.Context(), ref), "the operator cannot delete key "+id+": delete it at Object Storage Administration > API access")
	}
	if !w.Accepts(id, minted.Secret[KeySecret].Reveal()) {
		t.Error("the key is gone")
	}
}

func TestOnlyAnUnknownKeyIsGone(t *testing.T) {
	const elsewhere = "192.0.2.1"
	cases := map[string]struct {
		outside func(w *world, id string) // what happens to the key
		secret  func(map[string]provider.Value)
		grant   func(*provider.Grant)
		want    bool
		says    string // why it cannot be told
	}{
		"live":    {want: true},
		"deleted": {outside: func(w *world, id string) { _ = w.Delete(t.Context(), id) }},
		"edited so that it is denied": {
			outside: func(w *world, id string) {
				_ = w.Edit(id, kloudbeansim.Form{TokenName: "edited", AllowedIPs: []string{elsewhere}})
			},
			says: "AccessDenied",
		},
		"another secret": {secret: func(m map[string]provider.Value) { m[KeySecret] = provider.NewValue(canary) }, says: "SignatureDoesNotMatch"},
		"no bucket":      {grant: func(g *provider.Grant) { g.Buckets = []string{"missing"} }, says: "NoSuchBucket"},
		"forgotten":      {secret: func(m map[string]provider.Value) { delete(m, KeySecret) }, says: "no longer known"},
		"no access":      {grant: func(g *provider.Grant) { g.Scopes = nil }, says: "names no access to test"},
	}
	for scope := range permissions {
		for name, tc := range cases {
			t.Run(scope+"/"+name, func(t *testing.T) {
				w := open(t)
				client, req := w.connect(t), request(t, scope)
				req.Submitted = w.handOver(t, req)
				minted, err := client.Mint(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				if tc.outside != nil {
					tc.outside(w, minted.Credential.ID)
				}
				if tc.secret != nil {
					tc.secret(minted.Secret)
				}
				if tc.grant != nil {
					tc.grant(&req.Grant)
				}
				got, err := client.(provider.Prober).Accepts(t.Context(), minted.Secret, req.Grant)
				if got != tc.want || (err != nil) != (tc.says != "") {
					t.Fatalf("got %t, %v; want %t", got, err, tc.want)
				}
				if err != nil {
					e := provider.AsError(err)
					for _, want := range []string{"cannot tell whether the key still works", tc.says} {
						if !strings.Contains(e.Message, want) || strings.Contains(e.Message, rawText) || strings.Contains(e.Message, canary) {
							t.Errorf("message %q, want one with %q and nothing raw", e.Message, want)
						}
					}
				}
			})
		}
	}
}

func TestAcceptsUsesTheDeclaredAccess(t *testing.T) {
	for scope, want := range map[string]string{
		scopeReadOnly: "GET /datasets", scopeReadWrite: "GET /datasets", scopeWriteOnly: "PUT /datasets/" + s3probe.WriteOnlyKey,
	} {
		w := open(t)
		client, req := w.connect(t), request(t, scope)
		secret := w.handOver(t, req)
		w.Requests()
		if got, err := client.(provider.Prober).Accepts(t.Context(), secret, req.Grant); !got || err != nil {
			t.Errorf("%s: got %t, %v", scope, got, err)
		}
		var sent []string
		for _, r := range w.Requests() {
			sent = append(sent, r.Method+" "+r.Path)
		}
		if diff := cmp.Diff([]string{want}, sent); diff != "" {
			t.Errorf("%s (-want +got):\n%s", scope, diff)
		}
	}
}

// A missing answer proves nothing.
func TestAcceptsWithoutAnAnswerIsAnError(t *testing.T) {
	w := open(t)
	client, req := w.connect(t), request(t, scopeReadOnly)
	secret := w.handOver(t, req)
	_ = w.Delete(t.Context(), secret[KeyID].Reveal())
	for name, fault := range map[string]func() func(){
		"lost":   func() func() { return w.Faults().LoseAnswers(0) },
		"error":  func() func() { return w.Faults().FailAfterCommit(0) },
		"page":   func() func() { return w.Faults().HTML(0) },
		"denied": func() func() { return w.Faults().Reject() },
		"slow":   func() func() { return w.Faults().RateLimit() },
	} {
		restore := fault()
		got, err := client.(provider.Prober).Accepts(t.Context(), secret, req.Grant)
		restore()
		if got || err == nil || strings.Contains(provider.AsError(err).Message, rawText) {
			t.Errorf("%s: got %t, %v; want an error and nothing raw", name, got, err)
		}
	}
}
