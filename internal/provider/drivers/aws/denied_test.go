package aws

import (
	"net/http"
	"testing"

	"apitoken.dev/operator/internal/provider"
)

// A denied action on a listed user does not prove that the user is gone.
func TestDeniedIsNotGone(t *testing.T) {
	for _, action := range []string{"GetUser", "ListAccessKeys", "ListUserPolicies", "DeleteUser"} {
		t.Run(action, func(t *testing.T) {
			s := newSimulator(t)
			client, _ := connect(t, s.config())
			minted, err := client.Mint(t.Context(), request(t, "ml", "training"))
			if err != nil {
				t.Fatal(err)
			}
			ref := provider.Ref{Name: minted.Credential.Name, ID: minted.Credential.ID}
			s.fault = only(action, failed(http.StatusForbidden, "AccessDenied"))
			found, err := client.Find(t.Context(), ref)
			if err == nil && len(found) == 0 {
				t.Error("Find returns nothing, and no error")
			}
			if action == "GetUser" || action == "ListAccessKeys" {
				if code := provider.AsError(err).Code; err == nil || code != provider.CodePermissionDenied || !provider.InDoubt(err) {
					t.Errorf("Find: %v", err)
				}
			}
			if err := client.Revoke(t.Context(), ref); action != "GetUser" && err == nil {
				t.Error("Revoke returned nil")
			}
		})
	}
}

// Once the user is created, the rejection of a later step does not prove that nothing exists.
func TestRejectedLaterStepIsInDoubt(t *testing.T) {
	for _, step := range []string{"PutUserPolicy", "CreateAccessKey"} {
		for _, a := range []answer{
			failed(http.StatusForbidden, "AccessDenied"), failed(http.StatusConflict, "LimitExceeded"),
			failed(http.StatusBadRequest, "Throttling"), failed(http.StatusNotFound, "NoSuchEntity"), failed(http.StatusBadRequest, "MalformedPolicyDocument"),
		} {
			s := newSimulator(t)
			client, _ := connect(t, s.config())
			s.fault = only(step, a)
			req := request(t, "ml", "training")
			_, err := client.Mint(t.Context(), req)
			if !provider.InDoubt(err) {
				t.Errorf("%s: %v is not in doubt, but the user exists", step, err)
			}
			s.fault = nil
			ref := provider.Ref{Name: req.Name}
			if found, err := client.Find(t.Context(), ref); err != nil || len(found) != 1 {
				t.Errorf("%s: found %+v, %v, want the user", step, found, err)
			}
			if err := client.Revoke(t.Context(), ref); err != nil {
				t.Errorf("%s: Revoke: %v", step, err)
			}
		}
	}
}
