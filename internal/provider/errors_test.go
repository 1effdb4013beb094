package provider_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
)

func TestOnlyAnExplicitRejectionIsNotInDoubt(t *testing.T) {
	rejected := &provider.Error{Code: provider.CodeInvalid, NotExecuted: true, Message: "no"}
	cases := map[string]struct {
		reason string
		err    error
		want   bool
	}{
		"no error":                 {"what succeeded is not in doubt", nil, false},
		"rejected":                 {"an explicit rejection says that it did not run", rejected, false},
		"rejected, wrapped":        {"what is around it does not change what it says", fmt.Errorf("minting: %w", rejected), false},
		"rejected, joined":         {"the first provider error speaks", errors.Join(rejected, errors.New("also")), false},
		"rejected by a limit":      {"a limit that refused is a rejection", &provider.Error{Code: provider.CodeRateLimited, NotExecuted: true}, false},
		"invalid, unclear":         {"the code alone is no rejection", &provider.Error{Code: provider.CodeInvalid}, true},
		"401, unclear":             {"the code alone is no rejection", &provider.Error{Code: provider.CodeUnauthenticated}, true},
		"no answer":                {"the request may have run", &provider.Error{Code: provider.CodeUnavailable}, true},
		"zero":                     {"an unclassified error is in doubt", &provider.Error{}, true},
		"unknown type":             {"an unclassified error is in doubt", errors.New("EOF"), true},
		"deadline":                 {"a request that was given up may still land", context.DeadlineExceeded, true},
		"cancelled":                {"a request that was given up may still land", context.Canceled, true},
		"refusal":                  {"a refusal is for Validate; from a call it is unclassified", &provider.Refusal{Reason: provider.RefusedScope}, true},
		"in doubt before rejected": {"the outer error speaks", &provider.Error{Code: provider.CodeUnavailable, Err: rejected}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := provider.InDoubt(tc.err); got != tc.want {
				t.Errorf("%s: in doubt %t, want %t", tc.reason, got, tc.want)
			}
		})
	}
}

func TestAsErrorHidesTheTextOfOtherErrors(t *testing.T) {
	quota := &provider.Error{Code: provider.CodeQuota, Message: "5,000 users", RetryAfter: time.Minute}
	raw := errors.New("body: " + canary)
	cases := map[string]struct {
		reason string
		err    error
		code   provider.Code
		same   *provider.Error
	}{
		"as it is":     {"a provider error stays what it is", quota, provider.CodeQuota, quota},
		"wrapped":      {"it is found under what was put around it", fmt.Errorf("minting: %w", quota), provider.CodeQuota, quota},
		"another type": {"its text may hold anything and is not shown", raw, provider.CodeUnknown, nil},
		"a deadline":   {"its text may hold anything and is not shown", context.DeadlineExceeded, provider.CodeUnknown, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := provider.AsError(tc.err)
			if got.Code != tc.code || (tc.same != nil && got != tc.same) {
				t.Errorf("%s: %#v, want code %s", tc.reason, got, tc.code)
			}
			if !errors.Is(got, tc.err) && tc.same == nil {
				t.Errorf("%s: the cause was lost", tc.reason)
			}
			if got.Message == "" || strings.Contains(got.Error(), canary) {
				t.Errorf("%s: the message is %q", tc.reason, got.Error())
			}
			if tc.same == nil && !provider.InDoubt(got) {
				t.Errorf("%s: what is not classified is in doubt", tc.reason)
			}
		})
	}
}

func TestRefusalNamesFieldValueAndMessage(t *testing.T) {
	r := &provider.Refusal{Reason: provider.RefusedScope, Field: "spec.scopes[1]", Value: "a:b", Message: "declare a:c"}
	if got, want := r.Error(), "spec.scopes[1]: a:b: declare a:c"; got != want {
		t.Errorf("a refusal says %q, want field, value and what to do: %q", got, want)
	}
}

func TestS3ConnectionNamesRegionEndpointAndBucket(t *testing.T) {
	region := func(more map[string]string) map[string]string {
		out := map[string]string{"AWS_REGION": "eu-1", "AWS_DEFAULT_REGION": "eu-1"}
		for k, v := range more {
			out[k] = v
		}
		return out
	}
	const endpoint = "https://s3.example.com"
	own := map[string]string{"AWS_ENDPOINT_URL": endpoint, "AWS_ENDPOINT_URL_S3": endpoint}
	cases := map[string]struct {
		reason   string
		endpoint string
		buckets  []string
		want     map[string]string
	}{
		"AWS itself":       {"an SDK without an endpoint goes to AWS", "", nil, region(nil)},
		"own endpoint":     {"both names, for SDKs old and new", endpoint, nil, region(own)},
		"one bucket":       {"one bucket has a name", "", []string{"datasets"}, region(map[string]string{"BUCKET_NAME": "datasets"})},
		"two buckets":      {"which of two would be a guess", "", []string{"datasets", "models"}, region(nil)},
		"every bucket":     {"* is no bucket's name", "", []string{"*"}, region(nil)},
		"nothing of these": {"credentials are not among them", endpoint, []string{"*"}, region(own)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, provider.S3Connection(tc.endpoint, "eu-1", tc.buckets)); diff != "" {
				t.Errorf("%s, -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}
