package aws

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/conformance"
)

const rawText = conformance.RawText

func harness(t *testing.T) conformance.Harness {
	s := newSimulator(t)
	denied, throttled := failed(http.StatusForbidden, "AccessDenied"), failed(http.StatusBadRequest, "Throttling")
	way := &conformance.Transport{
		Base:      s.Client().Transport,
		Rejection: conformance.Answer{Status: denied.status, Body: denied.body},
		TooMany:   conformance.Answer{Status: throttled.status, Body: throttled.body, Header: http.Header{"Retry-After": {"1"}}},
	}
	cfg := s.config()
	cfg.HTTP = &http.Client{Transport: way}
	faults := way.Faults()
	faults.Skew = s.setSkew
	return conformance.Harness{
		Driver:     New(),
		Config:     cfg,
		Grant:      func() provider.Grant { return readOnly("datasets") },
		SecretKeys: []string{KeyID, KeySecret},
		Wrong: map[string]provider.Value{
			KeyID: provider.NewValue("AKIDNOBODY"), KeySecret: provider.NewValue("CANARY-not-the-secret"),
		},
		Alive: func(_ context.Context, m provider.Minted) (bool, error) {
			return s.has(m.Secret[KeyID].Reveal()), nil
		},
		Refused: refusals.Refused(),
		Faults:  faults,
		Outside: s.outside(),
		States:  s.states(),

		NextPage: func(body []byte, n int) []byte {
			next := fmt.Sprintf("<IsTruncated>true</IsTruncated><Marker>%d</Marker></List", n+1)
			at := bytes.LastIndex(body, []byte("Result>"))
			if at < 0 || !bytes.Contains(body, []byte("<List")) {
				return body
			}
			at = bytes.LastIndex(body[:at], []byte("</List"))
			return slices.Concat(body[:at], []byte(next), body[at+len("</List"):])
		},
	}
}

// readOnly grants reading buckets for an hour.
func readOnly(buckets ...string) provider.Grant {
	return provider.Grant{Scopes: []string{scopeObjectReadOnly}, Buckets: buckets, ExpiresAt: start.Add(time.Hour)}
}

func TestConformance(t *testing.T) { conformance.Run(t, harness(t)) }

func TestConformanceRunsEveryRequirement(t *testing.T) {
	for _, name := range conformance.NotRun(harness(t)) {
		t.Errorf("%s is not run", name)
	}
}

// Responses of CreateUser and CreateAccessKey, for tests without a server.
var (
	userOfTest = types.User{CreateDate: aws.Time(start)}
	keyOfTest  = types.AccessKey{AccessKeyId: aws.String("AKID"), SecretAccessKey: aws.String("secret")}
)

// A key with an unknown status may grant access.
func TestUnknownStatusIsLive(t *testing.T) {
	for status, want := range map[types.StatusType]provider.State{
		types.StatusTypeActive: provider.Live, types.StatusTypeInactive: provider.Disabled, types.StatusTypeExpired: provider.Disabled,
		"": provider.Live, "Suspended": provider.Live,
	} {
		if got := stateOf(status); got != want {
			t.Errorf("%q is %s, want %s", status, got, want)
		}
	}
}
