package kloudbean

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apitoken.dev/operator/internal/provider"
)

func TestFormDescribesTheToken(t *testing.T) {
	req := provider.MintRequest{
		Owner: provider.Owner{Cluster: cluster, Namespace: "ml", Token: "training.data"}, Grant: grant(scopeReadWrite),
	}
	got, ok := New().Form(provider.Config{}, req)
	if !ok {
		t.Fatal("Form is not ok")
	}
	want := provider.Form{
		Where: "Object Storage Administration > API access > Add token, of the bucket datasets",
		Fields: []provider.FormField{
			{Label: "Token Name", Value: "ml-training-data-" + strings.TrimPrefix(got.Fields[0].Value, "ml-training-data-")},
			{Label: "Permission", Value: "Read & Write"},
			{Label: "Allowed IP Addresses", Value: "127.0.0.1, 192.0.2.0/24"},
			{Label: "Disallowed IP Addresses", Value: "192.0.2.7"},
			{Label: "Bucket", Value: "datasets"},
		},
		Keys:   []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
		Edit:   "Object Storage Administration > API access, of the bucket datasets: the three-dotted menu of the token",
		Revoke: "Object Storage Administration > API access, of the bucket datasets: delete the token",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Form (-want +got):\n%s", diff)
	}
}

func TestFormUsesTheLabelsOfThePanel(t *testing.T) {
	for scope, want := range map[string]string{
		scopeReadOnly: "Read only", scopeWriteOnly: "Write only", scopeReadWrite: "Read & Write",
		"billing:read-only": "billing:read-only", // refused by Validate
	} {
		req := provider.MintRequest{Grant: provider.Grant{Scopes: []string{scope}, Buckets: []string{bucket}}}
		form, ok := New().Form(provider.Config{}, req)
		if !ok || form.Fields[1].Value != want {
			t.Errorf("%s: got %q, want %q", scope, form.Fields[1].Value, want)
		}
		for _, i := range []int{2, 3} {
			if form.Fields[i].Value != leaveEmpty {
				t.Errorf("%s without addresses: got %q, want %q", form.Fields[i].Label, form.Fields[i].Value, leaveEmpty)
			}
		}
	}
}

func TestTokenNamesAreStableAndDistinct(t *testing.T) {
	long := strings.Repeat("x", 253)
	owners := []provider.Owner{
		{Cluster: cluster, Namespace: "ml", Token: "a-b"},
		{Cluster: cluster, Namespace: "ml-a", Token: "b"},
		{Cluster: cluster, Namespace: "ml", Token: "a.b"},
		{Cluster: "dddddddd", Namespace: "ml", Token: "a-b"},
		{Cluster: cluster, Namespace: strings.Repeat("n", 63), Token: long},
		{Cluster: cluster, Namespace: strings.Repeat("n", 63), Token: long[1:]},
		{Cluster: cluster, Namespace: strings.Repeat("n", 52), Token: "cut-at-a-hyphen"},
	}
	readable := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := map[string]provider.Owner{}
	for _, owner := range owners {
		name := tokenName(owner)
		if len(name) > maxTokenName || !readable.MatchString(name) {
			t.Errorf("%+v: %q is not a name of at most %d characters", owner, name, maxTokenName)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%+v and %+v are both %q", owner, other, name)
		}
		if again := tokenName(owner); again != name {
			t.Errorf("%+v: %q, then %q", owner, name, again)
		}
		seen[name] = owner
	}
}
