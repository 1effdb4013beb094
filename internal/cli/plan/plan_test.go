package plan

import (
	"context"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/clitest"
)

// kubectl's discovery cache can contain removed kinds.
func TestPlanExplainsThatTheKindIsNoLongerServed(t *testing.T) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ApiToken"))
	object.SetNamespace(clitest.Namespace)
	object.SetName("one")
	p := &planner{Session: clitest.Session(t, clitest.Unserved{Client: clitest.Client(t)})}
	planned, err := p.one(t.Context(), object)
	if err == nil {
		t.Fatalf("the plan is %+v", planned)
	}
	if got := p.Explain(err); !strings.Contains(got, "the kinds of apitoken.dev are not installed in this cluster") {
		t.Errorf("it says %q", got)
	}
}

// plan assumes that ApiTokens which the user cannot list are no obstacle. A note says so.
func TestPlanNotesWhatItCouldNotList(t *testing.T) {
	mine := clitest.Token("one")
	mine.Spec.ProviderRef = v1alpha1.ProviderReference{Kind: v1alpha1.KindClusterTokenProvider, Name: "shared"}
	few := &account.Facts{Capabilities: provider.Capabilities{MaxLive: 1}}
	all := clitest.Client(t, mine)
	for name, c := range map[string]struct {
		client client.Client
		want   []string
	}{
		"may list all": {all, nil},
		"may list some": {oneNamespace{all}, []string{
			"you may not list clustertokenproviders.apitoken.dev", "you may not list apitokens.apitoken.dev",
		}},
	} {
		p, out := &planner{Session: clitest.Session(t, c.client)}, &planned{}
		from := p.sources(&situation{token: mine}, publishedMeta{}, out)
		_, err := (&observe.Sources{Objects: from, Providers: from, Memory: memory.New(), Clock: p.Clock}).Shared(t.Context(), mine, few)
		if err != nil {
			t.Fatal(err)
		}
		from.note(&observe.Evidence{Key: account.KeyFor(mine), Facts: *few})
		if len(out.Notes) != len(c.want) {
			t.Errorf("%s: the notes are %q, want %d", name, out.Notes, len(c.want))
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(out.Notes[i], "could not read it, because "+want) {
				t.Errorf("%s: note %q does not say %q", name, out.Notes[i], want)
			}
		}
	}
}

// oneNamespace is a client that rejects lists of all namespaces.
type oneNamespace struct{ client.Client }

// List implements client.Reader.
func (c oneNamespace) List(ctx context.Context, l client.ObjectList, opts ...client.ListOption) error {
	if o := (&client.ListOptions{}).ApplyOptions(opts); o.Namespace == "" {
		return apierrors.NewForbidden(schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "apitokens"}, "", errors.New("no"))
	}
	return c.Client.List(ctx, l, opts...)
}
