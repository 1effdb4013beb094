package aws

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/credname"
	"apitoken.dev/operator/internal/provider"
)

// cluster of every request.
const cluster = "cccccccc"

func request(t *testing.T, namespace, token string) provider.MintRequest {
	t.Helper()
	name, err := credname.New(cluster, credname.Owner(namespace, token), 1, 0, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return provider.MintRequest{
		Name:  name.String(),
		Owner: provider.Owner{Cluster: cluster, Namespace: namespace, Token: token},
		Grant: readOnly("datasets"),
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

// Each step of a Mint fails, before and after its effect, with an error that the SDK retries for other
// requests.
func TestCreatesAreSentOnce(t *testing.T) {
	for _, step := range []string{"CreateUser", "PutUserPolicy", "CreateAccessKey"} {
		for name, commits := range map[string]bool{"before its effect": false, "after its effect": true} {
			t.Run(step+" "+name, func(t *testing.T) {
				s := newSimulator(t)
				client, _ := connect(t, s.config())
				s.fault = func(action string, effect func()) *answer {
					if action != step {
						return nil
					}
					if commits {
						effect()
					}
					return &answer{status: http.StatusInternalServerError, body: failed(0, "InternalFailure").body}
				}
				_, err := client.Mint(t.Context(), request(t, "ml", "training"))
				if !provider.InDoubt(err) || provider.AsError(err).Code != provider.CodeUnavailable {
					t.Errorf("got %v, want an error in doubt of code %s", err, provider.CodeUnavailable)
				}
				if got := s.count(step); got != 1 {
					t.Errorf("%s was sent %d times", step, got)
				}
			})
		}
	}
}

func TestDeletesAreRetried(t *testing.T) {
	s := newSimulator(t)
	client, _ := connect(t, s.config())
	minted, err := client.Mint(t.Context(), request(t, "ml", "training"))
	if err != nil {
		t.Fatal(err)
	}
	failures := 1
	s.fault = func(action string, _ func()) *answer {
		if action == "DeleteAccessKey" && failures > 0 {
			failures--
			return &answer{status: http.StatusServiceUnavailable, body: failed(0, "ServiceUnavailable").body}
		}
		return nil
	}
	if err := client.Revoke(t.Context(), provider.Ref{Name: minted.Credential.Name}); err != nil {
		t.Errorf("Revoke: %v", err)
	}
	if got := s.count("DeleteAccessKey"); got != 2 {
		t.Errorf("DeleteAccessKey was sent %d times, want 2", got)
	}
}

// The attempt is in doubt, because an earlier copy of the request may have created the user.
func TestMintOfAnExistingNameIsInDoubt(t *testing.T) {
	s := newSimulator(t)
	client, _ := connect(t, s.config())
	req := request(t, "ml", "training")
	if _, err := client.Mint(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Mint(t.Context(), req); !provider.InDoubt(err) {
		t.Errorf("a second Mint of the name: %v is not in doubt", err)
	}
	if got := s.count("CreateAccessKey"); got != 1 {
		t.Errorf("CreateAccessKey was sent %d times, want 1", got)
	}
}

// The server answers CreateUser with an error.
func TestAnswersToMintAreClassified(t *testing.T) {
	cases := map[string]struct {
		answer answer
		code   provider.Code
		doubt  bool
		says   string
	}{
		"denied":           {answer: failed(403, "AccessDenied"), code: provider.CodePermissionDenied, says: "aws-minter-policy.json (AccessDenied)"},
		"quota":            {answer: failed(409, "LimitExceeded"), code: provider.CodeQuota, says: "5000 users"},
		"bad signature":    {answer: failed(403, "SignatureDoesNotMatch"), code: provider.CodeUnauthenticated, says: "clock"},
		"no such boundary": {answer: failed(404, "NoSuchEntity"), code: provider.CodeInvalid, says: "spec.aws.permissionsBoundary"},
		"throttled":        {answer: failed(400, "Throttling"), code: provider.CodeRateLimited, says: "fewer requests"},
		"slow down":        {answer: failed(503, "SlowDown"), code: provider.CodeRateLimited, says: "fewer requests"},
		"too many":         {answer: failed(429, "SomethingElse"), code: provider.CodeRateLimited, doubt: true, says: "fewer requests"},
		"concurrent change": {
			answer: failed(409, "ConcurrentModification"), code: provider.CodeUnavailable, doubt: true, says: "(ConcurrentModification)",
		},
		"rejection by a broken server": {answer: failed(500, "AccessDenied"), code: provider.CodePermissionDenied, doubt: true, says: "AccessDenied"},
		"unknown code":                 {answer: failed(400, "Unheard.Of"), code: provider.CodeUnknown, doubt: true, says: "(Unheard.Of)"},
		"code that is text":            {answer: failed(400, "go to "+rawText), code: provider.CodeUnknown, doubt: true, says: "does not know"},
		"answer of a proxy":            {answer: answer{status: 403, body: "<html>" + rawText}, code: provider.CodeUnavailable, doubt: true, says: "iam:CreateUser"},
		"redirect":                     {answer: answer{status: 307}, code: provider.CodeUnknown, doubt: true, says: "redirects are not followed"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newSimulator(t)
			client, _ := connect(t, s.config())
			s.fault = func(string, func()) *answer { return &tc.answer }
			_, err := client.Mint(t.Context(), request(t, "ml", "training"))
			got := provider.AsError(err)
			if got.Code != tc.code || provider.InDoubt(err) != tc.doubt {
				t.Errorf("got %s, in doubt %t; want %s, %t (%v)", got.Code, provider.InDoubt(err), tc.code, tc.doubt, err)
			}
			if !strings.Contains(got.Message, tc.says) || strings.Contains(got.Message, rawText) {
				t.Errorf("message %q, want one with %q and nothing raw", got.Message, tc.says)
			}
		})
	}
}

func TestUserIsPlacedTaggedAndBounded(t *testing.T) {
	const boundary = "arn:aws:iam::123456789012:policy/apitoken-boundary"
	s := newSimulator(t)
	cfg := s.config()
	settings := cfg.Settings.(Settings)
	settings.PermissionsBoundary = boundary
	cfg.Settings = settings
	client, _ := connect(t, cfg)
	req := request(t, strings.Repeat("n", 63), strings.Repeat("t", 253))
	if _, err := client.Mint(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	owner := strings.Repeat("n", 63) + "/" + strings.Repeat("t", 192) // 256 characters, the most a tag holds
	want := map[string]string{
		"UserName": req.Name, "Path": "/apitoken/cccccccc/" + strings.Repeat("n", 63) + "/", "PermissionsBoundary": boundary,
		"Tags.member.1.Key": tagCluster, "Tags.member.1.Value": "cccccccc",
		"Tags.member.2.Key": tagOwner, "Tags.member.2.Value": owner,
		"Tags.member.3.Key": tagExpires, "Tags.member.3.Value": "2026-03-01T13:00:00Z",
		"Action": "CreateUser", "Version": "2010-05-08",
	}
	got := map[string]string{}
	for key := range s.created {
		got[key] = s.created.Get(key)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("CreateUser (-want +got):\n%s", diff)
	}
}

func TestAccountIsItsNumberAndKnowsFormerIDs(t *testing.T) {
	cases := map[string]struct {
		reason     string
		withoutSTS bool
	}{
		"STS at the same endpoint": {reason: "as most servers have it"},
		"no STS":                   {reason: "the caller's own user tells the account", withoutSTS: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newSimulator(t)
			s.withoutSTS = tc.withoutSTS
			_, account := connect(t, s.config())
			former := accountNumber + "@" + strings.TrimPrefix(s.URL, "http://") // as earlier versions had it
			if account.ID != accountNumber || !account.Is(former) {
				t.Errorf("%s: got %+v, want %q, once %q", tc.reason, account, accountNumber, former)
			}
		})
	}
}

// An empty response to GetUser is an error, and does not panic.
func TestResponseWithoutAUserIsAnError(t *testing.T) {
	for name, body := range map[string]string{
		"nothing": "", "an empty response": "<GetUserResponse/>",
		"an empty result":       "<GetUserResponse><GetUserResult/></GetUserResponse>",
		"another element":       "<GetUserResponse><GetUserResult><Role/></GetUserResult></GetUserResponse>",
		"a user with nothing":   "<GetUserResponse><GetUserResult><User/></GetUserResult></GetUserResponse>",
		"a user without an ARN": "<GetUserResponse><GetUserResult><User><UserName>minter</UserName></User></GetUserResult></GetUserResponse>",
	} {
		s := newSimulator(t)
		s.withoutSTS = true
		s.fault = func(action string, _ func()) *answer {
			if action != "GetUser" {
				return nil
			}
			return &answer{status: http.StatusOK, body: body}
		}
		_, _, err := New().Connect(t.Context(), s.config())
		if e := provider.AsError(err); err == nil || e.Code != provider.CodeUnknown || !provider.InDoubt(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEndpointAndRegionDecideThePartitionAndTheWait(t *testing.T) {
	cases := map[string]struct {
		endpoint, region string
		atAWS            bool
		partition        string
	}{
		"AWS":               {region: "eu-central-1", atAWS: true, partition: "aws"},
		"AWS by name":       {endpoint: "https://iam.amazonaws.com", region: "us-east-1", atAWS: true, partition: "aws"},
		"AWS in China":      {endpoint: "https://iam.cn-north-1.amazonaws.com.cn", region: "cn-north-1", atAWS: true, partition: "aws-cn"},
		"AWS for the state": {region: "us-gov-west-1", atAWS: true, partition: "aws-us-gov"},
		"elsewhere":         {endpoint: "https://iam.example.com:8443", region: "us-gov-1", partition: "aws"},
		"a name like AWS":   {endpoint: "https://iam.amazonaws.com.example.com", region: "cn-1", partition: "aws"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := settings{Settings{IAMEndpoint: tc.endpoint, Region: tc.region}}
			if s.atAWS() != tc.atAWS || s.partition() != tc.partition {
				t.Errorf("got at AWS %t, partition %s", s.atAWS(), s.partition())
			}
			minted, err := (&client{settings: s}).minted(provider.MintRequest{}, &userOfTest, &keyOfTest)
			if want := map[bool]time.Duration{true: 10 * time.Second}[tc.atAWS]; err != nil || minted.UsableAfter != want {
				t.Errorf("usable after %s (%v), want %s", minted.UsableAfter, err, want)
			}
		})
	}
}

func TestForeignUsersAreLeftAlone(t *testing.T) {
	s := newSimulator(t)
	client, _ := connect(t, s.config())
	s.users = append(s.users, &user{name: "alice", path: "/apitoken/cccccccc/ml/", keys: []string{"AKIDALICE"}})
	for _, ref := range []provider.Ref{{Name: "alice"}, {ID: "AKIDALICE"}, {}} {
		if err := client.Revoke(t.Context(), ref); err == nil {
			t.Errorf("Revoke(%+v) returned nil", ref)
		}
	}
	for c, err := range client.List(t.Context(), provider.Owner{Cluster: cluster}) {
		t.Errorf("List yields %+v, %v", c, err)
	}
	if !s.has("AKIDALICE") {
		t.Error("a foreign key was deleted")
	}
}
