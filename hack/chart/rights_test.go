package chart

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// rights lists the verbs and resources of rules, one pair per element.
func rights(t *testing.T, role *unstructured.Unstructured) []string {
	t.Helper()
	rules, _, err := unstructured.NestedSlice(role.Object, "rules")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, rule := range rules {
		list := func(field string) []string {
			values, _, err := unstructured.NestedStringSlice(rule.(map[string]any), field)
			if err != nil {
				t.Fatal(err)
			}
			return values
		}
		for _, url := range list("nonResourceURLs") {
			for _, verb := range list("verbs") {
				out = append(out, verb+" "+url)
			}
		}
		for _, group := range list("apiGroups") {
			for _, resource := range list("resources") {
				for _, verb := range list("verbs") {
					out = append(out, fmt.Sprintf("%s %s.%s", verb, resource, group))
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// The rights of the operator and of users equal those of config/rbac.
func TestRightsAreThoseOfConfig(t *testing.T) {
	rendered := objects(t, render(t))
	for _, file := range []string{"role", "leader_election_role", "apitoken_viewer_role", "apitoken_editor_role", "tokenprovider_viewer_role",
		"tokenprovider_editor_role", "clustertokenprovider_viewer_role", "clustertokenprovider_editor_role", "metrics_auth_role", "metrics_reader_role"} {
		want := read(t, "../../config/rbac/"+file+".yaml")[0]
		got := find(t, rendered, want.GetKind(), want.GetName())
		if diff := cmp.Diff(rights(t, want), rights(t, got)); diff != "" {
			t.Errorf("%s, - config/rbac, + chart:\n%s", want.GetName(), diff)
		}
		for label, value := range want.GetLabels() {
			if got.GetLabels()[label] != value {
				t.Errorf("%s lacks the label %s: %q", want.GetName(), label, value)
			}
		}
		for label := range got.GetLabels() {
			if strings.HasPrefix(label, aggregates) && want.GetLabels()[label] == "" {
				t.Errorf("the chart makes %s a part of another role: %s", want.GetName(), label)
			}
		}
	}
}

const (
	aggregates = "rbac.authorization.k8s.io/aggregate-to-"
	editorRole = release + "-tokenprovider-editor"
)

// Users with the role edit can create TokenProviders only if a value of the chart grants it.
func TestTokenProvidersAreNoPartOfEdit(t *testing.T) {
	for set, want := range map[string]string{"rbac.create=true": "", "rbac.tokenProvidersForEditors=true": "true"} {
		for _, o := range objects(t, render(t, "--set", set)) {
			got := o.GetLabels()[aggregates+"edit"]
			if o.GetName() == editorRole && got != want {
				t.Errorf("with %s the role has the label %q, not %q", set, got, want)
			}
			if o.GetKind() == "ClusterRole" && o.GetName() != editorRole && got != "" && slices.Contains(rights(t, o), "create tokenproviders.apitoken.dev") {
				t.Errorf("with %s %s gives editors TokenProviders", set, o.GetName())
			}
		}
	}
}

// The chart's bindings grant rights to ClusterTokenProviders only to the groups of
// rbac.clusterProviderReaders.
func TestReadersOfClusterTokenProvidersAreThoseNamed(t *testing.T) {
	for set, want := range map[string]string{"rbac.create=true": "", "rbac.clusterProviderReaders={system:authenticated,devs}": "system:authenticated devs"} {
		var groups []string
		for _, o := range objects(t, render(t, "--set", set)) {
			role, _, _ := unstructured.NestedString(o.Object, "roleRef", "name")
			if o.GetKind() != "ClusterRoleBinding" || role != release+"-clustertokenprovider-viewer" {
				continue
			}
			subjects, _, err := unstructured.NestedSlice(o.Object, "subjects")
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range subjects {
				groups = append(groups, s.(map[string]any)["name"].(string))
			}
		}
		if got := strings.Join(groups, " "); got != want {
			t.Errorf("with %s the readers are %q, want %q", set, got, want)
		}
	}
}

// The tests in test/rights cover the policies of config/components.
func TestReleaseGuardIsThatOfConfig(t *testing.T) {
	sameAsComponent(t, "releaseGuard", "release-guard")
}

func TestDeletionGuardIsThatOfConfig(t *testing.T) {
	sameAsComponent(t, "deletionGuard", "deletion-guard")
}

func sameAsComponent(t *testing.T, value, component string) {
	t.Helper()
	rendered := objects(t, render(t, "--set", value+".enabled=true"))
	for _, want := range read(t, "../../config/components/"+component+"/policy.yaml") {
		got := find(t, rendered, want.GetKind(), want.GetName())
		for _, field := range []string{"spec", "rules"} {
			if diff := cmp.Diff(want.Object[field], got.Object[field]); diff != "" {
				t.Errorf("%s %s, - config, + chart:\n%s", want.GetKind(), want.GetName(), diff)
			}
		}
	}
}

// With a list of namespaces, the operator can read only the named cluster-scoped resources. Together
// with the rights in the namespaces, that is all it needs.
func TestRightsAreLimitedToTheNamespaces(t *testing.T) {
	rendered := objects(t, render(t, "--values", chartDir+"/examples/values-namespaced.yaml"))
	cluster := rights(t, find(t, rendered, "ClusterRole", release+"-"+namespace))
	want := []string{
		"get namespaces.", "list apitokens.apitoken.dev",
		"list clustertokenproviders.apitoken.dev", "list namespaces.", "patch clustertokenproviders.apitoken.dev",
		"patch clustertokenproviders/status.apitoken.dev", "watch clustertokenproviders.apitoken.dev", "watch namespaces.",
	}
	if diff := cmp.Diff(want, cluster); diff != "" {
		t.Error(diff)
	}
	all := slices.Clone(cluster)
	served := map[string]bool{}
	for _, o := range rendered {
		// A TokenReview, which authenticates a scrape, is cluster-scoped.
		if o.GetKind() == "ClusterRoleBinding" && o.GetName() != release+"-"+namespace && o.GetName() != release+"-"+namespace+"-metrics-auth" {
			t.Errorf("there is another ClusterRoleBinding, %s", o.GetName())
		}
		if o.GetKind() != "Role" || strings.HasSuffix(o.GetName(), "-leader-election") {
			continue
		}
		if o.GetName() == release+"-"+namespace {
			served[o.GetNamespace()] = true
			all = append(all, rights(t, o)...)
		}
	}
	if diff := cmp.Diff(map[string]bool{"ml": true, "web": true}, served); diff != "" {
		t.Error(diff)
	}
	slices.Sort(all)
	needed := rights(t, read(t, "../../config/rbac/role.yaml")[0])
	if diff := cmp.Diff(needed, slices.Compact(all)); diff != "" {
		t.Errorf("- needed, + given:\n%s", diff)
	}
}
