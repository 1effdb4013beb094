// Package clitest lets a test call one function of a kubectl apitoken command, without an
// API server. Tests of whole commands are in internal/cli and use a real API server.
package clitest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/provider/drivers"
	"apitoken.dev/operator/test/support/testutil"
)

// Namespace is the namespace of the sessions of this package.
const Namespace = "ml"

// Now is the time that the clock of a session shows.
var Now = time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)

// Client returns a client that stores these objects in memory. ApiTokens have the status
// subresource.
func Client(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := session.Scheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.ApiToken{}).WithObjects(objects...).Build()
}

// Session returns the session of a command, with all drivers. Its output is discarded.
func Session(t *testing.T, c client.Client) *session.Session {
	t.Helper()
	registry, err := drivers.New()
	if err != nil {
		t.Fatal(err)
	}
	app := session.New(session.Env{
		IOStreams: genericiooptions.NewTestIOStreamsDiscard(), Clock: testutil.NewClock(Now), Registry: registry, Version: "test",
	})
	return &session.Session{App: app, Client: c, Namespace: Namespace}
}

// Token returns an ApiToken in Namespace. Its ledger has one Active credential.
func Token(name string) *v1alpha1.ApiToken {
	t := &v1alpha1.ApiToken{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name, UID: "uid-1", Generation: 1}}
	t.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.KindTokenProvider, Name: "object-store"}
	t.Status.Credentials = []v1alpha1.LedgerEntry{{Name: "at1-" + name, ID: "AKIAEXAMPLE", State: v1alpha1.StateActive}}
	return t
}

// Discovery starts an API server that serves these resources of apitoken.dev and nothing
// else, and returns its URL.
func Discovery(t *testing.T, version string, resources ...string) string {
	t.Helper()
	group, found := metav1.APIGroup{Name: v1alpha1.GroupVersion.Group}, metav1.APIResourceList{GroupVersion: v1alpha1.GroupVersion.Group + "/" + version}
	group.Versions = []metav1.GroupVersionForDiscovery{{GroupVersion: found.GroupVersion, Version: version}}
	for _, name := range resources {
		found.APIResources = append(found.APIResources, metav1.APIResource{Name: name, Namespaced: true, Kind: name})
	}
	groups := metav1.APIGroupList{}
	answers := map[string]any{"/api": metav1.APIVersions{Versions: []string{}}}
	if len(resources) > 0 {
		groups.Groups = append(groups.Groups, group)
		answers["/apis/"+found.GroupVersion] = found
	}
	answers["/apis"] = groups
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

// Unserved answers reads as an API server without the CRDs does.
type Unserved struct{ client.Client }

func notServed(name string) error {
	kind := schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "apitokens"}
	return apierrors.NewGenericServerResponse(http.StatusNotFound, "get", kind, name, "404 page not found", 0, true)
}

// Get implements client.Reader.
func (Unserved) Get(_ context.Context, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	return notServed(key.Name)
}

// List implements client.Reader.
func (Unserved) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return notServed("")
}
