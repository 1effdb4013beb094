package proxyscrape

import (
	"crypto/rand"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/simulate/proxyscrapesim"
)

// cluster of every request.
const cluster = "cccccccc"

func request(t *testing.T) provider.MintRequest {
	t.Helper()
	name, err := credname.New(cluster, credname.Owner("scraping", "crawler"), 1, 0, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return provider.MintRequest{
		Name:  name.String(),
		Owner: provider.Owner{Cluster: cluster, Namespace: "scraping", Token: "crawler"},
		Grant: readOnly(),
	}
}

func connect(t *testing.T, cfg provider.Config) (provider.Client, provider.Account) {
	t.Helper()
	client, account, err := New().Connect(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	return client, account
}

func mint(t *testing.T, client provider.Client) provider.Minted {
	t.Helper()
	minted, err := client.Mint(t.Context(), request(t))
	if err != nil {
		t.Fatal(err)
	}
	return minted
}

func TestGrantableScopesAreThoseOfTheMintingKey(t *testing.T) {
	few := []string{"account:apikeys:create", "account:apikeys:read", "residential:read"}
	server := httptest.NewServer(proxyscrapesim.New(func() time.Time { return start }, minter, few...))
	t.Cleanup(server.Close)
	client, account := connect(t, configFor(server))
	if diff := cmp.Diff(few, account.GrantableScopes); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	req := request(t)
	req.Grant.Scopes = []string{"residential:read", "serp_api:write"}
	_, err := client.Mint(t.Context(), req)
	checkError(t, err, provider.CodeInvalid, true, "spec.scopes: this provider grants "+strings.Join(few, ", "))
}

func TestAllowedPermissionsAreRead(t *testing.T) {
	many := make([]string, maxGrantable+1)
	for i := range many {
		many[i] = `"product:p` + strings.Repeat("x", i/100) + string(rune('a'+i%26)) + strings.Repeat("y", i%100) + `"`
	}
	cases := map[string]struct {
		body string
		want []string // nil: an error
		code provider.Code
		says string
	}{
		"bare":              {body: `{"allowed_permissions":["b:read","a:read","b:read"]}`, want: []string{"a:read", "b:read"}},
		"wrapped":           {body: `{"success":true,"data":{"allowed_permissions":["a:read"]}}`, want: []string{"a:read"}},
		"with other text":   {body: `{"allowed_permissions":["a:read","` + rawText + `","a b:c","` + strings.Repeat("a", 128) + `:b"]}`, want: []string{"a:read"}},
		"nothing":           {body: `{"allowed_permissions":[]}`, code: provider.CodePermissionDenied, says: "can grant no permission"},
		"nothing of use":    {body: `{"allowed_permissions":["*"]}`, code: provider.CodeUnknown, says: "with 0 permissions"},
		"null":              {body: `{"allowed_permissions":null}`, code: provider.CodeUnknown, says: "without allowed_permissions"},
		"another answer":    {body: `{"status":"unauthorized"}`, code: provider.CodeUnknown, says: "without allowed_permissions"},
		"a failure":         {body: jsonError, code: provider.CodeUnknown, says: "failed"},
		"more than is sane": {body: `{"allowed_permissions":[` + strings.Join(many, ",") + `]}`, code: provider.CodeUnknown, says: "1 to 256"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStub(t)
			s.answers["GET /allowed-permissions"] = reaction{status: 200, body: tc.body}
			_, account, err := New().Connect(t.Context(), s.config)
			if tc.want == nil {
				checkError(t, err, tc.code, provider.AsError(err).NotExecuted, tc.says)
				return
			}
			if diff := cmp.Diff(tc.want, account.GrantableScopes); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestInvalidMintingKeyIsNotSent(t *testing.T) {
	for name, credentials := range map[string]map[string]provider.Value{
		"none":              nil,
		"empty":             {KeyToken: provider.NewValue("")},
		"with a line break": {KeyToken: provider.NewValue("CANARY-minting-token\n")},
		"with a space":      {KeyToken: provider.NewValue("api-token: CANARY")},
		"with other runes":  {KeyToken: provider.NewValue("CANARY\u00e9")},
	} {
		t.Run(name, func(t *testing.T) {
			s, cfg := newSimulator(t)
			cfg.Credentials = credentials
			_, _, err := New().Connect(t.Context(), cfg)
			checkError(t, err, provider.CodeUnauthenticated, true, "the key token")
			checkError(t, err, provider.CodeUnauthenticated, true, "credentials Secret")
			if got := s.Requests(); len(got) != 0 {
				t.Errorf("%d requests were sent", len(got))
			}
		})
	}
}

// The minting key is replaced by one of the same account, and by one of another account.
func TestAccountsDifferByTheirNamedKey(t *testing.T) {
	clock := start
	newAccount := func() (*proxyscrapesim.Simulator, provider.Config, string) {
		s := proxyscrapesim.New(func() time.Time { return clock }, minter, documented...)
		server := httptest.NewServer(s)
		t.Cleanup(server.Close)
		return s, configFor(server), strings.TrimPrefix(server.URL, "http://")
	}
	s, cfg, host := newAccount()
	id := func() string {
		t.Helper()
		_, account := connect(t, cfg)
		return account.ID
	}
	if _, account := connect(t, cfg); account.ID != provider.UnnamedAccount || !account.Is(host) {
		t.Errorf("without a mark: got %+v, want %s, once %s", account, provider.UnnamedAccount, host)
	}
	mark := s.Add(proxyscrapesim.Key{Name: AccountKeyName, Permissions: []string{"serp_api:read"}})
	want := mark
	if _, account := connect(t, cfg); account.ID != want || !account.Is(host+"/"+mark) || account.Is(host) {
		t.Errorf("with a mark: got %+v, want %s, once %s", account, want, host+"/"+mark)
	}
	clock = start.Add(time.Hour)
	for range 3 {
		s.Add(proxyscrapesim.Key{Name: AccountKeyName, Permissions: []string{"serp_api:read"}})
	}
	s.Disable(AccountKeyName)
	s.Add(proxyscrapesim.Key{Name: "another minter", Token: "CANARY-second", Permissions: documented})
	cfg.Credentials = map[string]provider.Value{KeyToken: provider.NewValue("CANARY-second")}
	if got := id(); got != want {
		t.Errorf("with newer marks, and another minting key of the account: got %s, want %s", got, want)
	}
	s.Delete(AccountKeyName)
	if got := id(); got == want {
		t.Errorf("another account, without a mark, has the same ID %s", got)
	}
	s.Add(proxyscrapesim.Key{Name: AccountKeyName, Permissions: []string{"serp_api:read"}})
	if got := id(); got == want || got == provider.UnnamedAccount {
		t.Errorf("another account, with a mark of its own, has the ID %s", got)
	}
}

func TestDisabledKeysAreFoundAndNotLive(t *testing.T) {
	s, cfg := newSimulator(t)
	client, _ := connect(t, cfg)
	minted := mint(t, client).Credential
	s.Disable(minted.Name)
	found, err := client.Find(t.Context(), provider.Ref{Name: minted.Name})
	if err != nil || len(found) != 1 || found[0].State != provider.Disabled || found[0].ID != minted.ID {
		t.Fatalf("found %+v, %v", found, err)
	}
	if _, err := client.(provider.Updater).Update(t.Context(), provider.Ref{Name: minted.Name, ID: minted.ID}, request(t)); err != nil {
		t.Fatal(err)
	}
	if got := s.Named(minted.Name); len(got) != 1 || got[0].Active {
		t.Errorf("a disabled key was switched on: %+v", got)
	}
	if err := client.Revoke(t.Context(), provider.Ref{Name: minted.Name}); err != nil {
		t.Fatal(err)
	}
	if got := s.Named(minted.Name); len(got) != 0 {
		t.Errorf("left: %+v", got)
	}
}

// Two keys have the same name. A third was regenerated in the dashboard, which changes its id.
func TestEveryKeyOfANameIsRevoked(t *testing.T) {
	s, cfg := newSimulator(t)
	client, _ := connect(t, cfg)
	minted := mint(t, client).Credential
	second := s.Add(proxyscrapesim.Key{Name: minted.Name, Permissions: []string{"residential:read"}})
	found, err := client.Find(t.Context(), provider.Ref{Name: minted.Name})
	if err != nil || len(found) != 2 {
		t.Fatalf("found %+v, %v, want two", found, err)
	}
	if _, err := client.(provider.Updater).Update(t.Context(), provider.Ref{Name: minted.Name}, request(t)); err == nil {
		t.Error("Update by a name that two keys have changed one of them")
	}
	for _, ref := range []provider.Ref{{Name: minted.Name, ID: "gone-" + second}, {Name: minted.Name, ID: minted.ID}} {
		if err := client.Revoke(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if got := s.Named(minted.Name); len(got) != 0 {
			t.Fatalf("left: %+v", got)
		}
	}
}

func TestForeignKeysAreLeftAlone(t *testing.T) {
	s, cfg := newSimulator(t)
	client, _ := connect(t, cfg)
	minted := mint(t, client).Credential
	s.Rename(minted.Name, "alice")
	for _, ref := range []provider.Ref{{Name: "alice"}, {ID: minted.ID}, {Name: minted.Name, ID: minted.ID}, {}} {
		err := client.Revoke(t.Context(), ref)
		checkError(t, err, provider.CodeInvalid, true, "")
	}
	for c, err := range client.List(t.Context(), provider.Owner{Cluster: cluster}) {
		t.Errorf("List yields %+v, %v", c, err)
	}
	if got := s.Named("alice"); len(got) != 1 {
		t.Error("a foreign key was deleted")
	}
	for _, ref := range []provider.Ref{{Name: minted.Name, ID: minted.ID}, {ID: minted.ID}} {
		found, err := client.Find(t.Context(), ref)
		checkError(t, err, provider.CodeInvalid, true, "")
		if len(found) != 0 {
			t.Errorf("Find(%+v) shows a renamed key: %+v", ref, found)
		}
	}
}

// The id of the reference belongs to a credential with another name.
func TestIDOfAnotherCredentialIsLeftAlone(t *testing.T) {
	s, cfg := newSimulator(t)
	client, _ := connect(t, cfg)
	one, other := mint(t, client).Credential, mint(t, client).Credential
	err := client.Revoke(t.Context(), provider.Ref{Name: one.Name, ID: other.ID})
	checkError(t, err, provider.CodeInvalid, true, "has another name")
	if len(s.Named(one.Name)) != 0 || len(s.Named(other.Name)) != 1 {
		t.Error("the key of the name is left, or the other one is gone")
	}
}

func TestUpdateChangesInPlace(t *testing.T) {
	for name, byID := range map[string]bool{"by id": true, "by name": false} {
		t.Run(name, func(t *testing.T) {
			s, cfg := newSimulator(t)
			client, _ := connect(t, cfg)
			minted := mint(t, client)
			ref := provider.Ref{Name: minted.Credential.Name}
			if byID {
				ref.ID = minted.Credential.ID
			}
			req := request(t)
			req.Name = ref.Name
			req.Grant = provider.Grant{Scopes: []string{"serp_api:read"}, Subaccounts: []string{firstSubaccount}, ExpiresAt: start.Add(48*time.Hour + time.Millisecond)}
			got, err := client.(provider.Updater).Update(t.Context(), ref, req)
			if err != nil {
				t.Fatal(err)
			}
			want := minted.Credential
			want.ExpiresAt = start.Add(48 * time.Hour)
			want.Grant = &provider.Grant{Scopes: req.Grant.Scopes, AllowedIPs: []string{}, Subaccounts: req.Grant.Subaccounts, ExpiresAt: want.ExpiresAt}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			keys := s.Named(ref.Name)
			if len(keys) != 1 || keys[0].Token != minted.Secret[KeyToken].Reveal() || !slices.Equal(keys[0].Permissions, req.Grant.Scopes) ||
				len(keys[0].IPs) != 0 || !slices.Equal(keys[0].Subaccounts, req.Grant.Subaccounts) {
				t.Errorf("the provider has %d keys, with another token or other access than declared", len(keys))
			}
		})
	}
}

// The provider applies only a part of an update, or the key is missing.
func TestIgnoredUpdateIsAnError(t *testing.T) {
	cases := map[string]struct {
		change func(*proxyscrapesim.Key)
		says   string
	}{
		"permissions": {func(k *proxyscrapesim.Key) { k.Permissions = []string{"residential:read", rawText} }, "in permissions;"},
		"addresses":   {func(k *proxyscrapesim.Key) { k.IPs = nil }, "in allowed_ips;"},
		"subaccounts": {func(k *proxyscrapesim.Key) { k.Subaccounts = []string{rawText} }, "in allowed_subaccounts;"},
		"expiry":      {func(k *proxyscrapesim.Key) { k.Expires = nil }, "in expires_at;"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, cfg := newSimulator(t)
			client, _ := connect(t, cfg)
			req := request(t)
			expires := req.Grant.ExpiresAt.Unix()
			k := proxyscrapesim.Key{Name: req.Name, Permissions: req.Grant.Scopes, IPs: req.Grant.AllowedIPs, Expires: &expires}
			tc.change(&k)
			id := s.Add(k)
			defer s.IgnoreUpdates()()
			_, err := client.(provider.Updater).Update(t.Context(), provider.Ref{Name: req.Name, ID: id}, req)
			checkError(t, err, provider.CodeUnknown, false, tc.says)
			checkError(t, err, provider.CodeUnknown, false, "a new credential is needed")
		})
	}
}

func TestUpdateWithoutAUsableKeyFails(t *testing.T) {
	s := newStub(t)
	updater := s.client.(provider.Updater)
	req := request(t)
	_, err := updater.Update(t.Context(), provider.Ref{Name: req.Name}, req)
	checkError(t, err, provider.CodeInvalid, true, "no credential of this name")
	_, err = updater.Update(t.Context(), provider.Ref{Name: req.Name, ID: firstSubaccount}, req)
	checkError(t, err, provider.CodeInvalid, true, "no credential of this name")
	_, err = updater.Update(t.Context(), provider.Ref{Name: "alice", ID: firstSubaccount}, req)
	checkError(t, err, provider.CodeInvalid, true, "not one that this operator makes")
	for name, tc := range refusals {
		bad := request(t)
		tc.Change(&bad.Grant)
		_, err = updater.Update(t.Context(), provider.Ref{Name: bad.Name, ID: firstSubaccount}, bad)
		if provider.AsError(err).Code != provider.CodeInvalid || provider.InDoubt(err) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	minted := mint(t, s.client).Credential
	ref := provider.Ref{Name: minted.Name, ID: minted.ID}
	s.answers["GET /{id}"] = reaction{status: 404, body: jsonError}
	_, err = updater.Update(t.Context(), ref, req)
	checkError(t, err, provider.CodeUnknown, false, "no such key")
	s.answers["PUT /{id}"] = reaction{status: 200, body: jsonError}
	_, err = updater.Update(t.Context(), ref, req)
	checkError(t, err, provider.CodeUnknown, false, "failed")
	s.answers["PUT /{id}"] = reaction{status: 403, body: jsonError}
	_, err = updater.Update(t.Context(), ref, req)
	checkError(t, err, provider.CodePermissionDenied, true, "account:apikeys:update")
}

func TestExpiryIsNeverLaterThanAsked(t *testing.T) {
	for _, asked := range []time.Duration{time.Hour, time.Hour + time.Nanosecond, time.Hour + time.Second - time.Nanosecond} {
		s, cfg := newSimulator(t)
		client, _ := connect(t, cfg)
		req := request(t)
		req.Grant.ExpiresAt = start.Add(asked)
		minted, err := client.Mint(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if got := minted.Credential.ExpiresAt; !got.Equal(start.Add(time.Hour)) {
			t.Errorf("%s: ends at %s", asked, got)
		}
		token := minted.Secret[KeyToken].Reveal()
		if !s.Accepts(token, office, start.Add(time.Hour-time.Second)) || s.Accepts(token, office, start.Add(time.Hour)) {
			t.Errorf("%s: the data plane does not end it at its expiry", asked)
		}
	}
}

// The body of the 401 is not JSON.
func TestSubscriptionIsReadOnlyFromJSON(t *testing.T) {
	s := newStub(t)
	s.answers["POST "] = reaction{status: 401, kind: "text/html", body: "Your subscription is expired."}
	_, err := s.client.Mint(t.Context(), request(t))
	checkError(t, err, provider.CodeUnauthenticated, true, "credentials Secret")
}
