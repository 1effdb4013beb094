package ibee

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/simulate/ibeesim"
)

func TestRevokeUsesDELETEIfThePOSTRouteIsMissing(t *testing.T) {
	cases := map[string]struct {
		change func(*ibeesim.Simulator)
		erased bool
	}{
		"POST":                        {change: func(*ibeesim.Simulator) {}},
		"DELETE after 404":            {change: func(s *ibeesim.Simulator) { s.RevokeRoute = false }, erased: true},
		"DELETE after 405":            {change: func(s *ibeesim.Simulator) { s.RevokeRoute, s.NoRoute = false, http.StatusMethodNotAllowed }, erased: true},
		"DELETE after 403 of gateway": {change: func(s *ibeesim.Simulator) { s.RevokeRoute, s.NoRoute = false, http.StatusForbidden }, erased: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t)
			tc.change(b.Simulator)
			client := connect(t, b.config())
			c := mint(t, client)
			b.Requests()
			if err := client.Revoke(t.Context(), provider.Ref{Name: c.Name}); err != nil {
				t.Fatal(err)
			}
			one := "/v1/object-storage/credentials/" + c.ID
			want := []string{"GET /v1/object-storage/credentials", "POST " + one + "/revoke"}
			if tc.erased {
				want = append(want, "DELETE "+one)
			}
			want = append(want, "GET "+one)
			var got []string
			for _, r := range b.Requests() {
				got = append(got, r.Method+" "+r.Path)
				if r.Body != "" {
					t.Errorf("%s %s has the body %s", r.Method, r.Path, r.Body)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if left := b.Credentials(); (len(left) == 0) != tc.erased {
				t.Errorf("left %+v, erased %t", left, tc.erased)
			}
		})
	}
}

// scripted answers requests by their method, in the form of the API.
func scripted(t *testing.T, answers map[string]string) (*client, *[]string) {
	t.Helper()
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method)
		status, body, _ := strings.Cut(answers[r.Method], " ")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(map[string]int{"200": 200, "403": 403, "404": 404, "405": 405, "409": 409, "502": 502}[status])
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return clientOf(t, provider.Config{Settings: Settings{WorkspaceID: ws, Endpoint: server.URL}, HTTP: server.Client()}), &seen
}

// The response to the revocation proves nothing.
func TestRevokeIsDoneWhenTheCredentialIsReadAsEnded(t *testing.T) {
	const name = "at1-cccccccc-aaaaaaaaaaaaaaaa-1-aaaaaaaaaa"
	// It is both the list and the credential.
	const shown = `"access_key_id":"AKIA1","name":"` + name + `","status":"active"`
	const activeKey = `200 {` + shown + `,"credentials":[{` + shown + `}]}`
	cases := map[string]struct {
		answers map[string]string
		asked   []string
		says    string
	}{
		"it is still shown as live": {
			answers: map[string]string{"GET": activeKey, "POST": `200 {"success":true,"message":"revoked"}`},
			asked:   []string{"GET", "POST", "GET"}, says: "still shows it as live",
		},
		"it did not work, and says so with 200": {
			answers: map[string]string{"GET": activeKey, "POST": `200 {"success":false}`},
			asked:   []string{"GET", "POST", "GET"}, says: "still shows it as live",
		},
		"it may not": {
			answers: map[string]string{"GET": activeKey, "POST": `403 {"error":"insufficient_scope"}`},
			asked:   []string{"GET", "POST"}, says: "insufficient_scope",
		},
		"a conflict": {
			answers: map[string]string{"GET": activeKey, "POST": `409 {"detail":"busy"}`},
			asked:   []string{"GET", "POST"}, says: "status 409",
		},
		"neither is offered": {
			answers: map[string]string{"GET": activeKey, "POST": `404 {"detail":"Not Found"}`, "DELETE": `405 {"detail":"Method Not Allowed"}`},
			asked:   []string{"GET", "POST", "DELETE"}, says: "status 405",
		},
		"both know nothing, but it is there": {
			answers: map[string]string{"GET": activeKey, "POST": `404 {"detail":"Not Found"}`, "DELETE": `404 {"detail":"Not Found"}`},
			asked:   []string{"GET", "POST", "DELETE", "GET"}, says: "still shows it as live",
		},
		"a page says not found": {
			answers: map[string]string{"GET": `404 404 page not found`},
			asked:   []string{"GET"}, says: "not in the form of the IBEE API",
		},
		"no answer of the API": {
			answers: map[string]string{"GET": activeKey, "POST": `502 <html>`},
			asked:   []string{"GET", "POST"}, says: "status 502",
		},
	}
	for what, tc := range cases {
		t.Run(what, func(t *testing.T) {
			c, asked := scripted(t, tc.answers)
			err := c.Revoke(t.Context(), provider.Ref{Name: name, ID: "AKIA1"})
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want an error with %q", err, tc.says)
			}
			if diff := cmp.Diff(tc.asked, *asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
	c, _ := scripted(t, map[string]string{"GET": `200 {"credentials":[]}`})
	if err := c.Revoke(t.Context(), provider.Ref{Name: name}); err != nil {
		t.Errorf("what does not exist: %v", err)
	}
}

func TestForeignCredentialsAreLeftAlone(t *testing.T) {
	b := newBackend(t)
	client := connect(t, b.config())
	id := b.Add("alice's backup")
	for _, ref := range []provider.Ref{{Name: "alice's backup"}, {ID: id}, {Name: "alice's backup", ID: id}, {}} {
		if err := client.Revoke(t.Context(), ref); err == nil {
			t.Errorf("Revoke(%+v) returned nil", ref)
		}
	}
	for c, err := range client.List(t.Context(), provider.Owner{Cluster: cluster}) {
		t.Errorf("List yields %+v, %v", c, err)
	}
	if got := b.Credentials(); got[0].Status != statusActive {
		t.Error("a foreign credential was revoked")
	}
	bad := request(t, readOnly("datasets"))
	bad.Name = "not-ours"
	if _, err := client.Mint(t.Context(), bad); err == nil || provider.InDoubt(err) {
		t.Errorf("Mint under a foreign name: %v", err)
	}
}
