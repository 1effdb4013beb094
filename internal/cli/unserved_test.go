package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"apitoken.dev/operator/api/v1alpha1"
)

// discovered is an API server that serves these resources of apitoken.dev and nothing else.
func discovered(t *testing.T, version string, resources ...string) string {
	t.Helper()
	group, found := metav1.APIGroup{Name: v1alpha1.GroupVersion.Group}, metav1.APIResourceList{GroupVersion: v1alpha1.GroupVersion.Group + "/" + version}
	group.Versions = []metav1.GroupVersionForDiscovery{{GroupVersion: found.GroupVersion, Version: version}}
	for _, name := range resources {
		found.APIResources = append(found.APIResources, metav1.APIResource{Name: name, Namespaced: true, Kind: name})
	}
	groups := metav1.APIGroupList{}
	if len(resources) > 0 {
		groups.Groups = append(groups.Groups, group)
	}
	answers := map[string]any{"/api": metav1.APIVersions{Versions: []string{}}, "/apis": groups}
	if len(resources) > 0 {
		answers["/apis/"+found.GroupVersion] = found
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// A CRD goes after its last object: an ApiToken that was being deleted is gone when no
// version of its kind is served any more.
func TestAKindThatIsNoLongerServedEndsTheWaitForADeletion(t *testing.T) {
	for name, c := range map[string]struct {
		deleting bool
		server   string
		gone     bool
	}{
		"deleted, and its kind is gone":              {true, discovered(t, ""), true},
		"deleted, and other kinds are left":          {true, discovered(t, "v1alpha1", "tokenproviders"), true},
		"deleted, and another version is served":     {true, discovered(t, "v1", "apitokens"), false},
		"deleted, and the API server does not say":   {true, "http://127.0.0.1:1", false},
		"not deleted when it was seen the last time": {false, discovered(t, ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			one := w.token("one", func(t *v1alpha1.ApiToken) { t.Finalizers = []string{v1alpha1.Finalizer} })
			if c.deleting {
				w.ok(w.Delete(t.Context(), one))
			}
			s := w.session()
			s.cfg = &rest.Config{Host: c.server}
			wait := &waiting{name: one.Name, uid: one.UID, about: reasonOf}
			if got, state, err := s.look(t.Context(), wait); err != nil || got == nil || state != there {
				t.Fatalf("it sees %v, %d, %v", got, state, err)
			}
			s.client = unserved{s.client}
			want := notRead
			if c.gone {
				want = gone
			}
			if got, state, err := s.look(t.Context(), wait); err != nil || got != nil || state != want {
				t.Errorf("it sees %v, %d, %v; want %d", got, state, err, want)
			}
		})
	}
}

// revoke has deleted the ApiToken before its first look.
func TestRevokeEndsWhenTheKindIsGone(t *testing.T) {
	w := newWorld(t, "")
	one := w.token("one")
	s := w.session()
	s.cfg, s.client = &rest.Config{Host: discovered(t, "")}, unserved{s.client}
	if err := s.untilGone(t.Context(), one.Name, one.UID, 1); err != nil {
		t.Error(err)
	}
}

// Without the CRDs, plan says so, as list does: the objects were not refused.
func TestPlanSaysThatTheKindsAreNotInstalled(t *testing.T) {
	const says = "the kinds of apitoken.dev are not installed in this cluster"
	w := newWorld(t, "")
	file := w.writeFile("token.yaml", declared)
	for _, args := range [][]string{{"plan", "-f", file}, {"list"}} {
		w.wants(w.run(append(args, "--server", discovered(t, ""))...), Failed, says)
	}
	both := w.writeFile("both.yaml", declared+"---\napiVersion: example.com/v1\nkind: Other\nmetadata: {name: other}\n")
	w.wants(w.run("plan", "-f", both), Failed, "/one: accepted")
	other := w.writeFile("other.yaml", "apiVersion: example.com/v1\nkind: Other\nmetadata: {name: other}\n")
	w.wants(w.run("plan", "-f", other), Usage, "the files hold no ApiToken")

	// The discovery that kubectl stores may name kinds that are gone.
	object := &unstructured.Unstructured{}
	w.ok(yaml.Unmarshal([]byte(declared), &object.Object))
	object.SetNamespace(w.ns)
	p := &planner{session: w.session()}
	p.client = unserved{p.client}
	planned, err := p.one(t.Context(), object)
	if err == nil {
		t.Fatalf("the plan is %+v", planned)
	}
	if got := p.explain(err); !strings.Contains(got, says) {
		t.Errorf("it says %q", got)
	}
}

// A developer may not list in all namespaces, so the hint is for the one at hand.
func TestTheHintOfAMissingApiTokenListsItsNamespace(t *testing.T) {
	w := developerWorld(t)
	r := w.wants(w.asDeveloper("status", "none"), NotFound, "kubectl apitoken list -n "+w.ns)
	if strings.Contains(r.err, "list -A") {
		t.Errorf("it says %q", r.err)
	}
	w.wants(w.asDeveloper("list"), OK)
}

// Where the Lease cannot be read, an ApiToken that is not observed may wait for ever.
func TestStatusSaysWhomToAskAboutAnApiTokenThatIsNotObserved(t *testing.T) {
	w := developerWorld(t)
	w.token("unseen", w.ofShared)
	w.wants(w.asDeveloper("status", "unseen"), Failed, "(NotObserved)",
		"If that lasts, ask an administrator whether the operator runs and serves this namespace.", "kubectl apitoken doctor -n "+w.ns)
}
