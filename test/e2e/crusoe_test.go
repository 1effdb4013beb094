package e2e

import (
	"net/http"
	"testing"
	"time"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers/crusoe"
	"apitoken.dev/operator/test/e2e/gateway"
	"apitoken.dev/operator/test/e2e/s3front"
	"apitoken.dev/operator/test/support/simulate/crusoesim"
)

const crusoeLocation = "us-east1-a"

// crusoeUser is the user whose keys are minted.
var crusoeUser = crusoesim.User{
	ID: "e7bed65d-e918-4fab-921c-03b8db94aa7b", Organizations: []string{"ab4a6b00-aa5f-408e-a9fb-ac6de5eb45ab"},
	AccessKeyID: "the-minting-user", SecretKey: "VGhlTWludGluZ1VzZXI",
}

// openCrusoe opens an organization of one user.
func openCrusoe(t *testing.T) (*vendor, *crusoesim.Simulator) {
	t.Helper()
	sim := crusoesim.New(time.Now, crusoeUser)
	front := openFront(t, time.Now)
	sim.Keys = s3front.Crusoe{Front: front}
	storage := serve(t, front)
	return &vendor{
		driver: crusoe.New(clock.NewReal()),
		config: provider.Config{
			Settings: crusoe.Settings{
				OrganizationID: crusoeUser.Organizations[0], Location: crusoeLocation, Endpoint: serve(t, sim) + "/v1", S3Endpoint: storage,
			},
			Credentials: map[string]provider.Value{
				crusoe.MinterKeyID: provider.NewValue(crusoeUser.AccessKeyID), crusoe.MinterSecret: provider.NewValue(crusoeUser.SecretKey),
			},
			HTTP: http.DefaultClient, UserAgent: "apitoken-operator/e2e",
		},
		grant:  everything,
		faults: sim.Faults(),
		lost: func(name string) gateway.Keys {
			for _, k := range sim.All() {
				if k.Alias == name {
					return gateway.Keys{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretKey}
				}
			}
			t.Fatalf("the vendor has no key with the alias %s", name)
			return gateway.Keys{}
		},
		s3: storage, region: crusoeLocation,
	}, sim
}

// everything is the grant of every key of Crusoe Cloud.
func everything() provider.Grant {
	g := grant("objectstorage:admin-read-write")
	g.Buckets = []string{"*"}
	return g
}

// TestCrusoeKeyGrantsFullAccess shows why the driver refuses any smaller grant.
func TestCrusoeKeyGrantsFullAccess(t *testing.T) {
	putPresent(t)
	v, _ := openCrusoe(t)
	wantAccess(t, v.open(keysOf(v.connect(t).mint(v.grant()))), opens{
		bucket: mayAll, buckets: []string{datasets, other}, everywhere: []string{"list all buckets", "create a bucket"},
	})
}

func TestCrusoeKeyExpiresWithoutTheOperator(t *testing.T) {
	v, _ := openCrusoe(t)
	g := v.grant()
	g.ExpiresAt = time.Now().Add(3 * time.Second)
	minted := v.connect(t).mint(g)
	end := minted.Credential.ExpiresAt
	if end.IsZero() || end.After(g.ExpiresAt) {
		t.Errorf("it ends at %s, want an end that is not later than %s", end, g.ExpiresAt)
	}
	diesOnTime(t, end, v.list(t.Context(), keysOf(minted)))
}

// TestCrusoeRejectsAThirdKey: nothing is created, neither at the vendor nor at the real server.
func TestCrusoeRejectsAThirdKey(t *testing.T) {
	v, sim := openCrusoe(t)
	m := v.connect(t)
	first, second := m.mint(v.grant()), m.mint(v.grant())
	_, err := m.client.Mint(t.Context(), m.request(v.grant()))
	if e := provider.AsError(err); err == nil || e.Code != provider.CodeQuota || provider.InDoubt(err) {
		t.Errorf("a third key: got %v, want a rejection with %s", err, provider.CodeQuota)
	}
	if all := sim.All(); len(all) != 2 {
		t.Errorf("the vendor has %d keys, want 2", len(all))
	}
	for _, minted := range []provider.Minted{first, second} {
		wantAllowed(t, minted.Credential.Name, true, v.list(t.Context(), keysOf(minted)))
	}
}

func TestCrusoeKeyEndedInTheConsoleIsRejected(t *testing.T) {
	v, sim := openCrusoe(t)
	for how, end := range map[string]func(alias string){"deleted": sim.Delete, "disabled": sim.Disable} {
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
