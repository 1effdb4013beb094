package crusoe

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
)

const (
	identitiesPath = "/v1/users/identities"
	keysPath       = "/v1/organizations/" + organization + "/storage/s3/keys"
)

// The expected values are those of AddSignature in github.com/crusoecloud/client-go
// (auth/v1/auth.go) for the same requests.
func TestSignatureIsThatOfTheVendorsClient(t *testing.T) {
	clock := &stopped{at: time.Date(2026, 1, 2, 4, 4, 5, 999, time.FixedZone("", 3600))}
	s, err := signerFor(clock, credentials(users[0]))
	if err != nil {
		t.Fatal(err)
	}
	for method, want := range map[string]string{
		http.MethodGet:  "z6m7bW7YasTuVBhfutK-1KMjZXn7w2ewZRLqh5_1TlI",
		http.MethodPost: "zgCX3eDC_ZVh3k09fYk6IWEPlWxHobnr3z1Vra8G4Yc",
	} {
		req, err := http.NewRequestWithContext(t.Context(), method, "https://api.cloud.crusoe.ai"+keysPath, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.sign(req, []byte("the body is not signed")); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{"timestamp": req.Header.Get("X-Crusoe-Timestamp"), "authorization": req.Header.Get("Authorization")}
		wanted := map[string]string{"timestamp": "2026-01-02T03:04:05Z", "authorization": "Bearer 1.0:Hm11C1coQZm2-Aihn9ofYg:" + want}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", method, diff)
		}
	}
}

// The order of parameters in the URL does not change the signature.
func TestSignedQueryIsSorted(t *testing.T) {
	s, err := signerFor(&stopped{at: start}, credentials(users[0]))
	if err != nil {
		t.Fatal(err)
	}
	var signatures []string
	for _, query := range []string{"a=1&b=x+y%2Fz&b=2", "b=x%20y/z&b=2&a=1"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.cloud.crusoe.ai/v1/things?"+query, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		signatures = append(signatures, s.signature(req, "2026-01-02T03:04:05Z"))
	}
	if signatures[0] != signatures[1] {
		t.Errorf("got two signatures of one query: %v", signatures)
	}
}

func TestMethodsSendExactlyTheseRequests(t *testing.T) {
	type sent struct{ Method, Path, Query, Type, Agent, Body string }
	a := newAccount(t)
	c := a.connect(t)
	req := request(t, "training")
	minted, err := c.Mint(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Find(t.Context(), provider.Ref{Name: req.Name}); err != nil {
		t.Fatal(err)
	}
	if err := c.Revoke(t.Context(), provider.Ref{Name: req.Name}); err != nil {
		t.Fatal(err)
	}
	if err := c.Revoke(t.Context(), provider.Ref{Name: req.Name, ID: minted.Credential.ID}); err != nil {
		t.Fatal(err)
	}
	const agent = "apitoken-operator/test"
	list := sent{Method: "GET", Path: keysPath, Agent: agent}
	remove := sent{Method: "DELETE", Path: keysPath + "/" + minted.Credential.ID, Agent: agent}
	want := []sent{
		{Method: "GET", Path: identitiesPath, Agent: agent}, list,
		{
			Method: "POST", Path: keysPath, Type: "application/json", Agent: agent,
			Body: `{"alias":"` + req.Name + `","expire_at":"2026-03-01T13:00:00Z"}`,
		},
		list,
		list, remove,
		list,
	}
	var got []sent
	for _, r := range a.Requests() {
		got = append(got, sent{r.Method, r.Path, r.Query, r.Header.Get("Content-Type"), r.Header.Get("User-Agent"), r.Body})
		if r.Header.Get("X-Crusoe-Timestamp") != "2026-03-01T12:00:00Z" || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer 1.0:"+users[0].AccessKeyID+":") {
			t.Errorf("%s %s was not signed: %v", r.Method, r.Path, r.Header)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// Expiry times are rounded down to whole seconds, in UTC.
func TestEndsAreNeverLater(t *testing.T) {
	cases := map[string]struct {
		asked time.Time
		want  string
	}{
		"whole":     {asked: start.Add(time.Hour), want: "2026-03-01T13:00:00Z"},
		"almost":    {asked: start.Add(time.Hour - 1), want: "2026-03-01T12:59:59Z"},
		"elsewhere": {asked: start.Add(time.Hour).In(time.FixedZone("", -7200)), want: "2026-03-01T13:00:00Z"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			c := a.connect(t)
			req := request(t, "training")
			req.Grant.ExpiresAt = tc.asked
			minted, err := c.Mint(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			made := a.All()[0].ExpireAt
			if got := made.Format(time.RFC3339); got != tc.want || !minted.Credential.ExpiresAt.Equal(made) || made.After(tc.asked) {
				t.Errorf("made to end at %s and told %s, want %s", got, minted.Credential.ExpiresAt, tc.want)
			}
		})
	}
}

// The key exists, so the operator must revoke it.
func TestLaterExpiryThanRequestedIsInDoubt(t *testing.T) {
	cases := map[string]struct {
		granted       func(time.Time) time.Time
		withoutExpiry bool
		says          string // empty: it is minted
	}{
		"later":           {granted: func(at time.Time) time.Time { return at.Add(time.Second) }, says: "ends at 2026-03-01T13:00:01Z although 2026-03-01T13:00:00Z"},
		"later, listed":   {granted: func(at time.Time) time.Time { return at.Add(time.Second) }, withoutExpiry: true, says: "ends at 2026-03-01T13:00:01Z"},
		"never":           {granted: func(time.Time) time.Time { return time.Time{} }, says: "without an end"},
		"never, listed":   {granted: func(time.Time) time.Time { return time.Time{} }, withoutExpiry: true, says: "without an end"},
		"sooner":          {granted: func(at time.Time) time.Time { return at.Add(-time.Minute) }},
		"as asked":        {granted: func(at time.Time) time.Time { return at }},
		"as asked, later": {granted: func(at time.Time) time.Time { return at }, withoutExpiry: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			a.Grants, a.WithoutExpiry = tc.granted, tc.withoutExpiry
			c := a.connect(t)
			req := request(t, "training")
			minted, err := c.Mint(t.Context(), req)
			if tc.says == "" {
				if want := a.All()[0].ExpireAt; err != nil || !minted.Credential.ExpiresAt.Equal(want) {
					t.Errorf("got %s, %v; want %s", minted.Credential.ExpiresAt, err, want)
				}
				return
			}
			if !provider.InDoubt(err) || !strings.Contains(fmt.Sprint(err), tc.says) || len(minted.Secret) != 0 {
				t.Errorf("got %v, want an error in doubt that says %q", err, tc.says)
			}
			if err := c.Revoke(t.Context(), provider.Ref{Name: req.Name}); err != nil || len(a.All()) != 0 {
				t.Errorf("Revoke: %v, and %d keys are left", err, len(a.All()))
			}
		})
	}
}

func TestUnknownExpiryIsInDoubt(t *testing.T) {
	for name, list := range map[string]struct {
		status int
		body   string
	}{
		"no list":    {status: http.StatusInternalServerError, body: "{}"},
		"not in it":  {status: http.StatusOK, body: `{"items":[]}`},
		"no text":    {status: http.StatusOK, body: `{"items":[{"access_key_id":"CKIANEW"}]}`},
		"other text": {status: http.StatusOK, body: `{"items":[{"access_key_id":"CKIANEW","expire_at":"tomorrow"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			c := a.connect(t)
			a.answer(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPost {
					respond(w, http.StatusOK, `{"access_key_id":"CKIANEW","secret_key":"CANARY"}`)
				} else {
					respond(w, list.status, list.body)
				}
				return true
			})
			if _, err := c.Mint(t.Context(), request(t, "training")); !provider.InDoubt(err) || strings.Contains(fmt.Sprint(err), "CANARY") {
				t.Errorf("got %v, want an error in doubt", err)
			}
		})
	}
}

func respond(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

func TestResponseWithoutAKeyIsInDoubt(t *testing.T) {
	for _, body := range []string{`{}`, `null`, `[]`, ``, `{"access_key_id":"CKIA"}`, `{"secret_key":"CANARY"}`, `{"token":{"access_key_id":"CKIA","secret_key":"CANARY"}}`} {
		a := newAccount(t)
		c := a.connect(t)
		a.answer(func(w http.ResponseWriter, _ *http.Request) bool { respond(w, http.StatusOK, body); return true })
		if _, err := c.Mint(t.Context(), request(t, "training")); !provider.InDoubt(err) || strings.Contains(fmt.Sprint(err), "CANARY") {
			t.Errorf("%s: got %v, want an error in doubt", body, err)
		}
	}
}

func TestMintTakesOnlyItsOwnNames(t *testing.T) {
	a := newAccount(t)
	c := a.connect(t)
	req := request(t, "training")
	req.Name = "another-clients"
	if _, err := c.Mint(t.Context(), req); err == nil || provider.InDoubt(err) || len(a.All()) != 0 {
		t.Errorf("got %v and %d keys", err, len(a.All()))
	}
}

func TestConnectNamesTheAccount(t *testing.T) {
	a := newAccount(t)
	_, account, err := a.driver.Connect(t.Context(), a.config)
	if err != nil {
		t.Fatal(err)
	}
	want := provider.Account{
		ID: organization + "/" + userID, Former: []string{organization + "/" + userID + "@" + strings.TrimPrefix(a.server.URL, "http://")},
		GrantableScopes: []string{scopeAll},
	}
	if diff := cmp.Diff(want, account); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	a.config.Credentials = credentials(users[1])
	_, other, err := a.driver.Connect(t.Context(), a.config)
	if err != nil || other.ID == account.ID {
		t.Errorf("another user of the organization has the account %s too (%v)", other.ID, err)
	}
}

func TestConnectFailsIfKeysCannotBeListed(t *testing.T) {
	a := newAccount(t)
	settings := a.config.Settings.(Settings)
	settings.OrganizationID = "00000000-0000-0000-0000-000000000000"
	a.config.Settings = settings
	_, _, err := a.driver.Connect(t.Context(), a.config)
	if e := provider.AsError(err); e.Code != provider.CodePermissionDenied || !strings.Contains(e.Message, "spec.crusoe.organizationID") {
		t.Errorf("got %v", err)
	}
}

func TestIdentityWithoutAnIDIsAnError(t *testing.T) {
	for _, body := range []string{`{}`, `{"identity":{}}`, `{"identity":{"id":""}}`, `{"identity":{"id":"two words CANARY"}}`, `{"id":"` + userID + `"}`} {
		a := newAccount(t)
		a.answer(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != identitiesPath {
				return false
			}
			respond(w, http.StatusOK, body)
			return true
		})
		if _, _, err := a.driver.Connect(t.Context(), a.config); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

func TestMalformedCredentialsAreNotSent(t *testing.T) {
	cases := map[string]struct{ id, secret, says string }{
		"no id":           {"", users[0].SecretKey, "needs the keys accessKeyID and secretKey"},
		"no secret":       {users[0].AccessKeyID, "", "needs the keys accessKeyID and secretKey"},
		"padded":          {users[0].AccessKeyID, users[0].SecretKey + "==", "secretKey in the credentials Secret is not"},
		"other base64":    {users[0].AccessKeyID, "CANARY+/CANARY+/", "secretKey in the credentials Secret is not"},
		"nothing in it":   {users[0].AccessKeyID, "\n", "secretKey in the credentials Secret is not"},
		"id with a line":  {users[0].AccessKeyID + "\n", users[0].SecretKey, "no line break"},
		"id with a colon": {"CANARY:key", users[0].SecretKey, "accessKeyID in the credentials Secret"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t)
			a.config.Credentials = map[string]provider.Value{MinterKeyID: provider.NewValue(tc.id), MinterSecret: provider.NewValue(tc.secret)}
			_, _, err := a.driver.Connect(t.Context(), a.config)
			e := provider.AsError(err)
			if e.Code != provider.CodeUnauthenticated || !e.NotExecuted || !strings.Contains(e.Message, tc.says) || strings.Contains(e.Message, "CANARY") {
				t.Errorf("got %v, want %s that says %q", err, provider.CodeUnauthenticated, tc.says)
			}
			if n := len(a.Requests()); n != 0 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
	if diff := cmp.Diff([]string{"accessKeyID", "secretKey"}, New(nil).CredentialKeys()); diff != "" {
		t.Errorf("CredentialKeys (-want +got):\n%s", diff)
	}
}

// The provider does not report that the time in the signature is the cause.
func TestWrongClockIsNamed(t *testing.T) {
	for ahead, says := range map[time.Duration]string{
		time.Hour:  "the clock of this node: a request signed with a wrong time is rejected too; it is 1h0m0s ahead of the provider's",
		-time.Hour: "it is 1h0m0s behind the provider's",
	} {
		a := newAccount(t)
		a.clock.at = start.Add(ahead)
		restore := a.Faults().Skew(-ahead)
		_, _, err := a.driver.Connect(t.Context(), a.config)
		restore()
		if e := provider.AsError(err); e.Code != provider.CodeUnauthenticated || !strings.Contains(e.Message, says) {
			t.Errorf("a clock %s ahead: got %v, want one that says %q", ahead, err, says)
		}
	}
}

// The test prints a connected client, as a log line could.
func TestSecretsAreNotPrinted(t *testing.T) {
	a := newAccount(t)
	s, err := signerFor(a.clock, credentials(users[0]))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(s.key)
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{fmt.Sprintf("%v %+v %#v", s, s, s), fmt.Sprintf("%+v", a.connect(t)), string(text)} {
		if strings.Contains(printed, users[0].SecretKey) || strings.Contains(printed, s.key.Reveal()) {
			t.Errorf("the minting secret is printed: %s", printed)
		}
	}
}
