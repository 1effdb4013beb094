package aws

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/test/support/repofile"
)

// The files that this driver's documentation consists of.
const (
	docsFile       = "docs/providers/aws.md"
	minterFile     = "config/samples/aws-minter-policy.json"
	boundaryMinter = "config/samples/aws-minter-policy-with-boundary.json"
)

// TestScopesAreDocumented compares the table in the documentation with scopeTable.
func TestScopesAreDocumented(t *testing.T) {
	cell := func(list []string) string {
		if len(list) == 0 {
			return "none"
		}
		return "`" + strings.Join(list, "`, `") + "`"
	}
	var want []string
	for _, scope := range grantable() {
		of := scopeTable[scope]
		want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s |", scope, cell(of.bucket), cell(of.object), cell(of.everyBucket)))
	}
	repofile.CheckRows(t, docsFile, want, "| `objectstorage:")
}

// The shipped policies allow exactly the actions that the driver calls: those in its error messages, and
// those that the simulator received.
func TestMinterPolicyIsExact(t *testing.T) {
	onPath := []string{
		"iam:CreateAccessKey", "iam:CreateUser", "iam:DeleteAccessKey", "iam:DeleteUser", "iam:DeleteUserPolicy",
		"iam:GetAccessKeyLastUsed", "iam:GetUser", "iam:ListAccessKeys", "iam:ListUserPolicies", "iam:PutUserPolicy", "iam:TagUser",
	}
	for file, extra := range map[string][]string{minterFile: nil, boundaryMinter: {"iam:PutUserPermissionsBoundary"}} {
		var doc struct {
			Statement []struct {
				Action   any
				Resource string
			}
		}
		if err := json.Unmarshal([]byte(repofile.Read(t, file)), &doc); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		got := map[string][]string{}
		for _, s := range doc.Statement {
			switch action := s.Action.(type) {
			case string:
				got[s.Resource] = append(got[s.Resource], action)
			case []any:
				for _, a := range action {
					got[s.Resource] = append(got[s.Resource], fmt.Sprint(a))
				}
			}
		}
		for _, list := range got {
			slices.Sort(list)
		}
		actions := append(slices.Clone(onPath), extra...)
		slices.Sort(actions)
		want := map[string][]string{"arn:aws:iam::*:user" + rootPath + "*": actions, "*": {"iam:ListUsers"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}
