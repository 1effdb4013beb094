package proxyscrape

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/simulate/proxyscrapesim"
)

// sent is a received request.
type sent struct{ request, body string }

func requestsOf(t *testing.T, s *proxyscrapesim.Simulator) []sent {
	t.Helper()
	var out []sent
	for _, r := range s.Requests() {
		out = append(out, sent{r.Method + " " + r.Path, r.Body})
		kind := ""
		if r.Body != "" {
			kind = "application/json"
		}
		want := map[string]string{
			"Api-Token": minter, "Authorization": "", "Accept": "application/json",
			"Content-Type": kind, "User-Agent": "apitoken-operator/test",
		}
		for key, value := range want {
			if got := r.Header.Get(key); got != value {
				t.Errorf("%s %s: header %s is %q, want %q", r.Method, r.Path, key, got, value)
			}
		}
	}
	return out
}

func TestMethodsSendExactlyTheseRequests(t *testing.T) {
	s, cfg := newSimulator(t)
	client, _ := connect(t, cfg)
	want := []sent{{"GET /v4/account/api-keys/allowed-permissions", ""}, {"GET /v4/account/api-keys", ""}}
	compare := func(verb string, want ...sent) {
		t.Helper()
		if diff := cmp.Diff(want, requestsOf(t, s), cmp.AllowUnexported(sent{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", verb, diff)
		}
	}
	compare("Connect", want...)

	narrow := request(t)
	narrow.Grant = provider.Grant{
		Scopes:      []string{"residential:write", "residential:read", "residential:write"},
		AllowedIPs:  []string{"203.0.113.7/32", "203.0.113.9/24", "2001:DB8::1"},
		Subaccounts: []string{strings.ToUpper(secondSubaccount), firstSubaccount},
		ExpiresAt:   time.Unix(1772452799, 999_999_999),
	}
	minted, err := client.Mint(t.Context(), narrow)
	if err != nil {
		t.Fatal(err)
	}
	compare("Mint", sent{"POST /v4/account/api-keys", fmt.Sprintf(
		`{"name":"%s","permissions":["residential:read","residential:write"],"allowed_subaccounts":["%s","%s"],`+
			`"allowed_ips":["2001:db8::1","203.0.113.0/24","203.0.113.7"],"expires_at":1772452799}`, narrow.Name, firstSubaccount, secondSubaccount)})
	if got, want := minted.Credential.ExpiresAt, time.Unix(1772452799, 0); !got.Equal(want) {
		t.Errorf("expires at %s, want %s", got, want)
	}

	wide := request(t)
	wide.Name, wide.Grant.AllowedIPs = narrow.Name, nil
	ref := provider.Ref{Name: narrow.Name, ID: minted.Credential.ID}
	one := "/v4/account/api-keys/" + ref.ID
	updater := client.(provider.Updater)
	if _, err := updater.Update(t.Context(), ref, wide); err != nil {
		t.Fatal(err)
	}
	compare("Update", sent{"GET /v4/account/api-keys", ""}, sent{"PUT " + one, fmt.Sprintf(
		`{"name":"%s","permissions":["residential:read"],"allowed_subaccounts":[],"allowed_ips":[],"expires_at":%d}`,
		narrow.Name, wide.Grant.ExpiresAt.Unix())}, sent{"GET " + one, ""})

	if _, err := client.Find(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	compare("Find", sent{"GET /v4/account/api-keys", ""})
	if err := client.Revoke(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	compare("Revoke", sent{"GET /v4/account/api-keys", ""}, sent{"DELETE " + one, ""})
	if err := client.Revoke(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	compare("Revoke again", sent{"GET /v4/account/api-keys", ""}, sent{"GET " + one, ""})
}

func TestMintSendsNoEmptyLists(t *testing.T) {
	s, cfg := newSimulator(t)
	client, _ := connect(t, cfg)
	s.Requests()
	req := request(t)
	req.Grant.AllowedIPs = nil
	if _, err := client.Mint(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	want := []sent{{"POST /v4/account/api-keys", fmt.Sprintf(
		`{"name":"%s","permissions":["residential:read"],"expires_at":%d}`, req.Name, req.Grant.ExpiresAt.Unix())}}
	if diff := cmp.Diff(want, requestsOf(t, s), cmp.AllowUnexported(sent{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// reaction is the response of a stub to one kind of request.
type reaction struct {
	status int
	kind   string // Content-Type; empty: JSON
	body   string
	header map[string]string
}

// stub answers some requests instead of a simulator, by method and path. {id} matches any id.
type stub struct {
	*proxyscrapesim.Simulator
	client  provider.Client
	account provider.Account
	config  provider.Config
	answers map[string]reaction
	asked   atomic.Int64 // how many it answered itself
}

func newStub(t *testing.T) *stub {
	t.Helper()
	out := &stub{Simulator: proxyscrapesim.New(func() time.Time { return start }, minter, documented...), answers: map[string]reaction{}}
	server := httptest.NewServer(out)
	t.Cleanup(server.Close)
	out.config = configFor(server)
	out.client, out.account = connect(t, out.config)
	return out
}

// ServeHTTP implements http.Handler.
func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, keysPath)
	if path != "" && path != "/allowed-permissions" {
		path = "/{id}"
	}
	a, ok := s.answers[r.Method+" "+path]
	if !ok {
		s.Simulator.ServeHTTP(w, r)
		return
	}
	s.asked.Add(1)
	if a.kind == "" {
		a.kind = "application/json"
	}
	w.Header().Set("Content-Type", a.kind)
	for key, value := range a.header {
		w.Header().Set(key, value)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write([]byte(a.body))
}

// keyJSON returns a key in the newer format, modified by change.
func keyJSON(t *testing.T, req provider.MintRequest, change func(map[string]any)) string {
	t.Helper()
	data := map[string]any{
		"id": firstSubaccount, "token": "CANARY-minted-token", "name": req.Name, "permissions": req.Grant.Scopes,
		"allowed_subaccounts": []string{}, "allowed_ips": req.Grant.AllowedIPs, "expires_at": req.Grant.ExpiresAt.Unix(), "created_at": start.Unix(),
	}
	if change != nil {
		change(data)
	}
	text, err := json.Marshal(map[string]any{"success": true, "message": rawText, "data": data})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkError fails if an error has another code, has another value of InDoubt, or contains a secret.
func checkError(t *testing.T, err error, code provider.Code, notExecuted bool, says string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", code)
	}
	e := provider.AsError(err)
	if e.Code != code || e.NotExecuted != notExecuted {
		t.Errorf("got code %s, not executed %t, want %s, %t (%v)", e.Code, e.NotExecuted, code, notExecuted, err)
	}
	if !strings.Contains(e.Message, says) {
		t.Errorf("message %q does not contain %q", e.Message, says)
	}
	for _, text := range []string{e.Error(), fmt.Sprintf("%+v %#v", err, e)} {
		if strings.Contains(e.Message, rawText) || strings.Contains(e.Error(), "CANARY") || strings.Contains(text, minter) {
			t.Errorf("the error shows what it must not: %s", text)
		}
	}
}
