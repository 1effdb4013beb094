package e2e

import (
	"net/http"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers/ibee"
	"apitoken.dev/operator/test/e2e/gateway"
	"apitoken.dev/operator/test/e2e/s3front"
	"apitoken.dev/operator/test/support/simulate/ibeesim"
)

const ibeeToken = "ibee_prod_key_minter"

// openIBEE opens a workspace whose API revokes by POST, or erases by DELETE alone.
func openIBEE(t *testing.T, revokes bool) (*vendor, *ibeesim.Simulator) {
	t.Helper()
	sim := ibeesim.New("42", time.Now)
	sim.RevokeRoute = revokes
	sim.AddToken(ibeeToken, ibeesim.StorageRead, ibeesim.StorageWrite)
	front := openFront(t, time.Now)
	sim.Keys = s3front.IBEE{Front: front}
	storage := serve(t, front)
	return &vendor{
		driver: ibee.New(),
		config: provider.Config{
			Settings:    ibee.Settings{WorkspaceID: sim.Workspace, Endpoint: serve(t, sim.Handler()) + "/v1", S3Endpoint: storage},
			Credentials: map[string]provider.Value{ibee.KeyToken: provider.NewValue(ibeeToken)},
			HTTP:        http.DefaultClient,
			UserAgent:   "apitoken-operator/e2e",
		},
		grant:  func() provider.Grant { return grant(readOnly) },
		faults: sim.Faults(),
		lost: func(name string) gateway.Keys {
			for _, c := range sim.Credentials() {
				if c.Name == name {
					return gateway.Keys{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.Secret}
				}
			}
			t.Fatalf("the vendor has no credential named %s", name)
			return gateway.Keys{}
		},
		s3: storage, region: gateway.Region,
	}, sim
}

// TestIBEECredentialAllowsWhatTheScopesSay tries every operation with every scope and every
// kind of bucket list.
func TestIBEECredentialAllowsWhatTheScopesSay(t *testing.T) {
	putPresent(t)
	one, both, all := []string{datasets}, []string{datasets, other}, []string{"*"}
	configuration := append([]string{"list uploads", "read configuration"}, mayRead...)
	cases := map[string]struct {
		reason          string
		scopes, buckets []string
		want            opens
	}{
		"reading one bucket": {
			reason: "object_ro, specific", scopes: []string{readOnly}, buckets: one, want: opens{bucket: mayRead, buckets: one},
		},
		"reading two buckets": {
			reason: "object_ro, specific", scopes: []string{readOnly}, buckets: both, want: opens{bucket: mayRead, buckets: both},
		},
		"reading everywhere": {
			reason: "object_ro, all", scopes: []string{readOnly}, buckets: all, want: opens{bucket: mayRead, buckets: both},
		},
		"writing one bucket": {
			reason: "object_rw, specific", scopes: []string{"objectstorage:object-read-write"}, buckets: one,
			want: opens{bucket: mayBoth, buckets: one},
		},
		"writing everywhere": {
			reason: "object_rw, all", scopes: []string{"objectstorage:object-read-write"}, buckets: all,
			want: opens{bucket: mayBoth, buckets: both},
		},
		"administration, reading": {
			reason: "admin_ro, which is for all buckets and reads contents", scopes: []string{"objectstorage:admin-read-only", readOnly}, buckets: all,
			want: opens{bucket: configuration, buckets: both, everywhere: []string{"list all buckets"}},
		},
		"administration": {
			reason: "admin_rw, which is for all buckets", scopes: []string{"objectstorage:admin-read-write"}, buckets: all,
			want: opens{bucket: mayAll, buckets: both, everywhere: []string{"list all buckets", "create a bucket"}},
		},
		"reading and writing": {
			reason: "the wider one includes the other", scopes: []string{readOnly, "objectstorage:object-read-write"}, buckets: one,
			want: opens{bucket: mayBoth, buckets: one},
		},
	}
	v, _ := openIBEE(t, true)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g := grant(tc.scopes...)
			g.Buckets = tc.buckets
			t.Log(tc.reason)
			wantAccess(t, v.open(keysOf(v.connect(t).mint(g))), tc.want)
		})
	}
}

// TestIBEECredentialEndedInThePortalIsRejected: the real server rejects a credential as soon
// as the vendor does.
func TestIBEECredentialEndedInThePortalIsRejected(t *testing.T) {
	v, sim := openIBEE(t, true)
	for how, end := range map[string]func(name string){"revoked": sim.Revoke, "erased": sim.Delete, "disabled": sim.Disable} {
		t.Run(how, func(t *testing.T) {
			minted := v.connect(t).mint(v.grant())
			wantAllowed(t, "before", true, v.list(t.Context(), keysOf(minted)))
			end(minted.Credential.Name)
			if err := sim.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantCode(t, "afterwards", "InvalidAccessKeyId", v.list(t.Context(), keysOf(minted)))
		})
	}
}
