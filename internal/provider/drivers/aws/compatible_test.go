package aws

import (
	"net/http"
	"strings"
	"testing"

	"apitoken.dev/operator/internal/provider"
)

// unservedAnswers are the responses of servers to an unknown action. SeaweedFS responds with 501 to an
// unknown IAM action and with 405 on routes of S3, both in S3's error format (seaweedfs/seaweedfs,
// weed/s3api/s3err). A proxy responds with 404.
var unservedAnswers = map[string]answer{
	"501 in IAM's form":             failed(http.StatusNotImplemented, "NotImplemented"),
	"501 in S3's form":              {http.StatusNotImplemented, "<Error><Code>NotImplemented</Code><Message>" + rawText + "</Message></Error>"},
	"405 in S3's form":              {http.StatusMethodNotAllowed, "<Error><Code>MethodNotAllowed</Code><Message>" + rawText + "</Message></Error>"},
	"405 in IAM's form":             failed(http.StatusMethodNotAllowed, "MethodNotAllowed"),
	"404 with a page":               {http.StatusNotFound, "<html>" + rawText + "</html>"},
	"404 with nothing":              {http.StatusNotFound, ""},
	"400 in IAM's form (versitygw)": failed(http.StatusBadRequest, "InvalidAction"),
}

// only answers one action with a, and no other.
func only(action string, a answer) func(string, func()) *answer {
	return func(asked string, _ func()) *answer {
		if asked != action {
			return nil
		}
		return &a
	}
}

func TestAccountComesFromTheUserIfTheServerHasNoSTS(t *testing.T) {
	for name, a := range unservedAnswers {
		t.Run(name, func(t *testing.T) {
			s := newSimulator(t)
			s.fault = only("GetCallerIdentity", a)
			_, account, err := New().Connect(t.Context(), s.config())
			if err != nil || !strings.HasPrefix(account.ID, accountNumber) {
				t.Errorf("got account %q, %v; want %s", account.ID, err, accountNumber)
			}
		})
	}
}

// A failure does not prove that the server has no STS.
func TestFailingSTSIsAnError(t *testing.T) {
	for _, status := range []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
		s := newSimulator(t)
		s.fault = only("GetCallerIdentity", answer{status: status, body: "<html>" + rawText})
		if _, account, err := New().Connect(t.Context(), s.config()); err == nil {
			t.Errorf("status %d: got account %q", status, account.ID)
		}
		if n := s.count("GetUser"); n != 0 {
			t.Errorf("status %d: GetUser was asked %d times", status, n)
		}
	}
}

// Accounts without an id cannot be distinguished.
func TestAccountWithoutAnIDIsAnError(t *testing.T) {
	const self = "<User><UserName>minter</UserName><Arn>arn:aws:iam:::user/minter</Arn></User>"
	for name, fault := range map[string]func(string, func()) *answer{
		"STS": only("GetCallerIdentity", result("GetCallerIdentity", "<Arn>arn:aws:iam:::user/minter</Arn><Account></Account>")),
		"the caller's own user": func(action string, _ func()) *answer {
			a := map[string]answer{"GetCallerIdentity": failed(http.StatusNotImplemented, "NotImplemented"), "GetUser": result("GetUser", self)}
			if instead, ok := a[action]; ok {
				return &instead
			}
			return nil
		},
	} {
		s := newSimulator(t)
		s.fault = fault
		_, account, err := New().Connect(t.Context(), s.config())
		if e := provider.AsError(err); err == nil || e.Code != provider.CodeUnknown || !strings.Contains(e.Message, "account") {
			t.Errorf("%s names account %q, %v", name, account.ID, err)
		}
	}
}

// The server cannot list the policies of a user. The driver deletes the policy whose name it knows.
func TestUnlistedPolicyDoesNotBlockTheDeletion(t *testing.T) {
	for name, a := range unservedAnswers {
		t.Run(name, func(t *testing.T) {
			s := newSimulator(t)
			client, _ := connect(t, s.config())
			minted, err := client.Mint(t.Context(), request(t, "ml", "training"))
			if err != nil {
				t.Fatal(err)
			}
			s.fault = only("ListUserPolicies", a)
			ref := provider.Ref{Name: minted.Credential.Name}
			if err := client.Revoke(t.Context(), ref); err != nil {
				t.Errorf("Revoke: %v", err)
			}
			if found, err := client.Find(t.Context(), ref); err != nil || len(found) != 0 {
				t.Errorf("left: %+v, %v", found, err)
			}
		})
	}
}

func TestSessionTokenIsSent(t *testing.T) {
	for token, want := range map[string]string{"": "", "CANARY-session": "CANARY-session"} {
		s := newSimulator(t)
		cfg := s.config()
		cfg.Credentials[KeySession] = provider.NewValue(token)
		client, _ := connect(t, cfg)
		if _, err := client.Mint(t.Context(), request(t, "ml", "training")); err != nil {
			t.Fatal(err)
		}
		for action, got := range s.sessions() {
			if got != want {
				t.Errorf("%s carries another session token than the Secret", action)
			}
		}
		if n := len(s.sessions()); n < 5 {
			t.Errorf("only %d actions were seen", n)
		}
	}
}

// Malformed keys are not sent.
func TestMintingKeysAreChecked(t *testing.T) {
	for _, key := range []string{KeyID, KeySecret, KeySession} {
		for _, bad := range []string{"CANARY with blanks", "CANARY\nline", "CANARY\u00e9"} {
			s := newSimulator(t)
			cfg := s.config()
			cfg.Credentials[key] = provider.NewValue(bad)
			_, _, err := New().Connect(t.Context(), cfg)
			e := provider.AsError(err)
			if err == nil || e.Code != provider.CodeUnauthenticated || !e.NotExecuted || !strings.Contains(e.Message, key) || strings.Contains(e.Message, "CANARY") {
				t.Errorf("%s: got %v", key, err)
			}
			if n := s.count("GetCallerIdentity"); n != 0 {
				t.Errorf("%s: %d requests were sent", key, n)
			}
		}
	}
}
