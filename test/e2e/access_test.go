package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/provider/drivers/aws"
	"apitoken.dev/operator/test/e2e/gateway"
)

const readOnly = "objectstorage:object-read-only"

func list(ctx context.Context, k gateway.Keys) func() error {
	return listing(ctx, server.S3(k))
}

func TestAddressRestrictionsAreEnforced(t *testing.T) {
	cases := map[string]struct {
		reason          string
		allowed, denied []string
		want            bool
	}{
		"allowed range":            {reason: "the client is in it", allowed: []string{"127.0.0.0/8"}, want: true},
		"allowed address":          {reason: "a single address is a range of one", allowed: []string{"127.0.0.1"}, want: true},
		"one of two":               {reason: "any of the ranges is enough", allowed: []string{"10.0.0.0/8", "127.0.0.0/8"}, want: true},
		"allowed elsewhere":        {reason: "the client is not in it", allowed: []string{"10.0.0.0/8"}},
		"denied range":             {reason: "the client is in it", denied: []string{"127.0.0.0/8"}},
		"denied elsewhere":         {reason: "the client is not in it", denied: []string{"10.0.0.0/8"}, want: true},
		"denied within allowed":    {reason: "a denial wins", allowed: []string{"127.0.0.0/8"}, denied: []string{"127.0.0.1"}},
		"denied with bits of host": {reason: "127.0.0.9/8 means 127.0.0.0/8", denied: []string{"127.0.0.9/8"}},
	}
	m := connect(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g := grant(readOnly)
			g.AllowedIPs, g.DeniedIPs = tc.allowed, tc.denied
			wantAllowed(t, tc.reason, tc.want, list(t.Context(), keysOf(m.mint(g))))
		})
	}
}

func TestKeyExpiresWithoutTheOperator(t *testing.T) {
	g := grant(readOnly)
	g.ExpiresAt = time.Now().Add(3 * time.Second)
	minted := connect(t).mint(g)
	end := minted.Credential.ExpiresAt
	if end.After(g.ExpiresAt) {
		t.Errorf("it ends at %s, later than %s", end, g.ExpiresAt)
	}
	diesOnTime(t, end, list(t.Context(), keysOf(minted)))
}

// diesOnTime repeats a request until it is rejected, and checks that this happens when the key expires.
func diesOnTime(t *testing.T, end time.Time, request func() error) {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for asked := time.Now(); asked.Before(end.Add(5 * time.Second)); asked = <-poll.C {
		before := time.Now()
		ok, err := allowed(request)
		after := time.Now()
		switch {
		case err != nil:
			t.Fatal(err)
		case ok && !before.Before(end):
			t.Fatalf("accepted at %s, after its end at %s", before, end)
		case !ok && after.Before(end):
			t.Fatalf("rejected at %s, before its end at %s", after, end)
		case !ok:
			return
		}
	}
	t.Fatal("never rejected")
}

// TestRevokedKeyIsRejectedAtOnceAndItsSuccessorWorks rotates a credential.
func TestRevokedKeyIsRejectedAtOnceAndItsSuccessorWorks(t *testing.T) {
	m := connect(t)
	older, newer := m.mint(grant(readOnly)), m.mint(grant(readOnly))
	wantAllowed(t, "the older key during the overlap", true, list(t.Context(), keysOf(older)))
	wantAllowed(t, "the newer key during the overlap", true, list(t.Context(), keysOf(newer)))
	m.revoke(t.Context(), older.Credential.Name)
	wantAllowed(t, "the older key after it was revoked", false, list(t.Context(), keysOf(older)))
	wantAllowed(t, "the newer key after that", true, list(t.Context(), keysOf(newer)))
}

// TestLargestGrantThatValidateAcceptsIsMinted mints with as many buckets as Validate accepts:
// the driver counts the bytes of a policy as the server does.
func TestLargestGrantThatValidateAcceptsIsMinted(t *testing.T) {
	m := connect(t)
	g := grant(readOnly)
	request := func() provider.MintRequest { return provider.MintRequest{Owner: m.owner, Grant: g} }
	prefix := strings.ToLower(rand.Text()[:8]) // the server outlives a run of this test
	for len(g.Buckets) < 100 {
		g.Buckets = append(g.Buckets, fmt.Sprintf("%s-%03d", prefix, len(g.Buckets)))
		if aws.New().Validate(config(nil), request()) != nil {
			break
		}
	}
	if aws.New().Validate(config(nil), request()) == nil {
		t.Fatal("a hundred buckets fit")
	}
	g.Buckets = g.Buckets[:len(g.Buckets)-1]
	last := g.Buckets[len(g.Buckets)-1]
	minted := m.mint(g)
	if err := server.CreateBuckets(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	wantAllowed(t, "the last of "+fmt.Sprint(len(g.Buckets))+" buckets", true, func() error {
		_, err := server.S3(keysOf(minted)).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &last})
		return err
	})
}

// TestMinterCannotActOutsideItsPath tries what an attacker with the minter's keys would.
func TestMinterCannotActOutsideItsPath(t *testing.T) {
	name := ptr("victim-" + rand.Text())
	victim, err := server.CreateUser(t.Context(), *name, minterPolicy)
	if err != nil {
		t.Fatal(err)
	}
	client := server.IAM(minter)
	everything := ptr(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	cases := map[string]func(ctx context.Context) error{
		"make a user elsewhere": func(ctx context.Context) error {
			_, err := client.CreateUser(ctx, &iam.CreateUserInput{UserName: ptr("elsewhere")})
			return err
		},
		"see another user": func(ctx context.Context) error {
			_, err := client.GetUser(ctx, &iam.GetUserInput{UserName: name})
			return err
		},
		"make a key for another user": func(ctx context.Context) error {
			_, err := client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: name})
			return err
		},
		"delete another user's key": func(ctx context.Context) error {
			_, err := client.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: name, AccessKeyId: &victim.AccessKeyID})
			return err
		},
		"change another user's policy": func(ctx context.Context) error {
			_, err := client.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: name, PolicyName: name, PolicyDocument: everything})
			return err
		},
		"move another user into its path": func(ctx context.Context) error {
			_, err := client.UpdateUser(ctx, &iam.UpdateUserInput{UserName: name, NewPath: ptr("/apitoken/")})
			return err
		},
		"change its own policy": func(ctx context.Context) error {
			_, err := client.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: ptr("minter"), PolicyName: name, PolicyDocument: everything})
			return err
		},
		"make a key for itself": func(ctx context.Context) error {
			_, err := client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{})
			return err
		},
		"use S3": func(ctx context.Context) error { return list(ctx, minter)() },
		"write to S3": func(ctx context.Context) error {
			_, err := server.S3(minter).PutObject(ctx, &s3.PutObjectInput{Bucket: ptr(datasets), Key: name, Body: strings.NewReader("x")})
			return err
		},
	}
	for what, try := range cases {
		t.Run(what, func(t *testing.T) {
			if err := try(t.Context()); status(err) != http.StatusForbidden {
				t.Errorf("got %v, want a rejection", err)
			}
		})
	}
}
