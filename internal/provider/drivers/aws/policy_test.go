package aws

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
)

func TestPolicyAllowsExactlyTheGrant(t *testing.T) {
	cases := map[string]struct {
		reason   string
		settings Settings
		change   func(*provider.Grant)
		want     string
	}{
		"one bucket": {
			reason: "a bucket and its objects, until the expiry in whole seconds",
			change: func(g *provider.Grant) {
				g.Scopes = []string{scopeObjectWriteOnly}
				g.ExpiresAt = g.ExpiresAt.Add(999 * time.Millisecond)
			},
			want: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:AbortMultipartUpload","s3:GetBucketLocation","s3:ListMultipartUploadParts","s3:PutObject","s3:PutObjectTagging"],` +
				`"Resource":["arn:aws:s3:::datasets","arn:aws:s3:::datasets/*"],"Condition":{"DateLessThan":{"aws:CurrentTime":["2026-03-01T13:00:00Z"]}}}]}`,
		},
		"another time zone": {
			reason: "IAM compares instants; they are written in UTC",
			change: func(g *provider.Grant) {
				g.Scopes = []string{scopeAdminReadOnly}
				g.ExpiresAt = g.ExpiresAt.In(time.FixedZone("east", 7200))
			},
			want: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*Configuration","s3:GetBucket*","s3:ListBucket*"],` +
				`"Resource":["arn:aws:s3:::datasets"],"Condition":{"DateLessThan":{"aws:CurrentTime":["2026-03-01T13:00:00Z"]}}}]}`,
		},
		"every bucket, with ranges": {
			reason: "ranges in canonical form; the denied ones in a statement that nothing outweighs",
			change: func(g *provider.Grant) {
				g.Scopes, g.Buckets = []string{scopeAdminReadOnly}, []string{"*"}
				g.AllowedIPs = []string{"2001:DB8::/32", "203.0.113.9/24", "203.0.113.0/24"}
				g.DeniedIPs = []string{"203.0.113.7", "::ffff:203.0.113.8"}
			},
			want: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*Configuration","s3:GetBucket*","s3:ListAllMyBuckets","s3:ListBucket*"],"Resource":["arn:aws:s3:::*"],` +
				`"Condition":{"DateLessThan":{"aws:CurrentTime":["2026-03-01T13:00:00Z"]},"IpAddress":{"aws:SourceIp":["2001:db8::/32","203.0.113.0/24"]}}},` +
				`{"Effect":"Deny","Action":["s3:*"],"Resource":["*"],"Condition":{"IpAddress":{"aws:SourceIp":["203.0.113.7/32","203.0.113.8/32"]}}}]}`,
		},
		"administration includes everything": {
			reason: "an action that another includes is left out, and a bucket named twice is one",
			change: func(g *provider.Grant) {
				g.Scopes = []string{scopeObjectReadOnly, scopeAdminReadWrite}
				g.Buckets = []string{"b-bucket", "a-bucket", "b-bucket"}
			},
			want: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],` +
				`"Resource":["arn:aws:s3:::a-bucket","arn:aws:s3:::a-bucket/*","arn:aws:s3:::b-bucket","arn:aws:s3:::b-bucket/*"],"Condition":{"DateLessThan":{"aws:CurrentTime":["2026-03-01T13:00:00Z"]}}}]}`,
		},
		"another partition": {
			reason: "the region decides what ARNs begin with", settings: Settings{Region: "cn-north-1"},
			change: func(g *provider.Grant) { g.Scopes = []string{scopeAdminReadWrite} },
			want: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],` +
				`"Resource":["arn:aws-cn:s3:::datasets","arn:aws-cn:s3:::datasets/*"],"Condition":{"DateLessThan":{"aws:CurrentTime":["2026-03-01T13:00:00Z"]}}}]}`,
		},
		"no partitions elsewhere": {
			reason:   "another server can give its region any name",
			settings: Settings{Region: "cn-north-1", IAMEndpoint: "https://iam.example.com"},
			change:   func(g *provider.Grant) { g.Scopes = []string{scopeAdminReadWrite} },
			want: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],` +
				`"Resource":["arn:aws:s3:::datasets","arn:aws:s3:::datasets/*"],"Condition":{"DateLessThan":{"aws:CurrentTime":["2026-03-01T13:00:00Z"]}}}]}`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			grant := readOnly("datasets")
			tc.change(&grant)
			got, refusal := plan(settings{tc.settings}, grant)
			if refusal != nil {
				t.Fatalf("%s: %v", tc.reason, refusal)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// The policy of every scope names only the declared buckets, and has the expiry on every Allow.
func TestNoPolicyNamesAnotherBucket(t *testing.T) {
	for _, scope := range grantable() {
		grant := readOnly("datasets")
		grant.Scopes = []string{scope}
		text, refusal := plan(settings{}, grant)
		if refusal != nil {
			t.Fatalf("%s: %v", scope, refusal)
		}
		var doc document
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatalf("%s: %v", scope, err)
		}
		for _, s := range doc.Statement {
			if len(s.Condition["DateLessThan"]["aws:CurrentTime"]) != 1 {
				t.Errorf("%s: a statement without an end: %+v", scope, s)
			}
			for _, resource := range s.Resource {
				if bucket, _, _ := strings.Cut(strings.TrimPrefix(resource, "arn:aws:s3:::"), "/"); bucket != "datasets" {
					t.Errorf("%s: names %s", scope, resource)
				}
			}
		}
	}
}
