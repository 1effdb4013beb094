package drivers

import (
	"errors"
	"testing"
	"time"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers/aws"
	"apitoken.dev/operator/internal/provider/drivers/crusoe"
	"apitoken.dev/operator/internal/provider/drivers/ibee"
	"apitoken.dev/operator/internal/provider/drivers/kloudbean"
	"apitoken.dev/operator/internal/provider/drivers/proxyscrape"
	"apitoken.dev/operator/test/support/testutil"
)

// TestAdminReadOnlyMeansOneThing: the portable scope does not include the contents of
// objects. A driver whose permission does refuses it, unless reading is declared as well.
func TestAdminReadOnlyMeansOneThing(t *testing.T) {
	const settings, contents = "objectstorage:admin-read-only", "objectstorage:object-read-only"
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		driver      provider.Driver
		settings    any
		alone, both bool
	}{
		{aws.New(), aws.Settings{}, true, true}, // TestScopesOfOneBucket of test/e2e tries it at a real server
		{ibee.New(), ibee.Settings{WorkspaceID: "42"}, false, true},
		{crusoe.New(testutil.NewClock(now)), crusoe.Settings{OrganizationID: "ab4a8f0e-0000-4000-8000-000000000000", Location: "us-east1-a"}, false, false},
		{kloudbean.New(), kloudbean.Settings{S3Endpoint: "https://s3.kloudbean.com"}, false, false},
		{proxyscrape.New(), proxyscrape.Settings{}, false, false},
	} {
		for granted, scopes := range map[*bool][]string{&tc.alone: {settings}, &tc.both: {settings, contents}} {
			grant := provider.Grant{Scopes: scopes, Buckets: []string{"*"}, ExpiresAt: now.Add(time.Hour)}
			err := tc.driver.(provider.Validator).Validate(provider.Config{Settings: tc.settings}, provider.MintRequest{Grant: grant})
			var refusal *provider.Refusal
			if err != nil && (!errors.As(err, &refusal) || refusal.Message == "") {
				t.Errorf("%s, %v: %v is no refusal", tc.driver.Type(), scopes, err)
			}
			if (err == nil) != *granted {
				t.Errorf("%s, %v: %v", tc.driver.Type(), scopes, err)
			}
		}
	}
}
