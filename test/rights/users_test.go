package rights

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"apitoken.dev/operator/test/support/repofile"
)

const aggregateToEdit = "rbac.authorization.k8s.io/aggregate-to-edit"

// TestEditorsCannotWriteProviders: of the user roles, only the one for ApiTokens is part of the cluster's role edit, and
// no role grants writes of a status.
func TestEditorsCannotWriteProviders(t *testing.T) {
	k := newKit(t)
	for _, file := range []string{"apitoken_editor_role", "tokenprovider_editor_role", "clustertokenprovider_editor_role"} {
		for _, o := range repofile.Objects(k, "config/rbac/"+file+".yaml") {
			if got, want := o.GetLabels()[aggregateToEdit] != "", file == "apitoken_editor_role"; got != want {
				k.Errorf("%s is part of edit: %t, want %t", file, got, want)
			}
			for label := range o.GetLabels() {
				if strings.HasPrefix(label, "rbac.authorization.k8s.io/aggregate-to-") && label != aggregateToEdit {
					k.Errorf("%s is part of another role: %s", file, label)
				}
			}
			rules, _, err := unstructured.NestedSlice(o.Object, "rules")
			k.OK(err)
			for _, rule := range rules {
				resources, _, err := unstructured.NestedStringSlice(rule.(map[string]any), "resources")
				k.OK(err)
				verbs, _, err := unstructured.NestedStringSlice(rule.(map[string]any), "verbs")
				k.OK(err)
				if strings.Contains(strings.Join(resources, " "), "/status") && strings.Join(verbs, " ") != "get" {
					k.Errorf("%s grants %v on %v", file, verbs, resources)
				}
			}
		}
	}
}
