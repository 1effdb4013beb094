package observe_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/memory"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/test/support/testutil"
)

// crowd is a cache with many ApiTokens and their providers. It counts the ApiTokens that it
// returns.
type crowd struct {
	client.Client
	observe.Providers
	fields  map[string]client.IndexerFunc
	byField map[string][]v1alpha1.ApiToken
	same    []account.Key
	handed  int
}

// IndexField implements client.FieldIndexer.
func (c *crowd) IndexField(_ context.Context, _ client.Object, field string, extract client.IndexerFunc) error {
	c.fields[field] = extract
	return nil
}

// newCrowd returns a crowd with own ApiTokens of the account, in two providers, and others
// at other providers.
func newCrowd(t testing.TB, own, others int, edit func(i int, token *v1alpha1.ApiToken)) *crowd {
	t.Helper()
	c := &crowd{fields: map[string]client.IndexerFunc{}, byField: map[string][]v1alpha1.ApiToken{}}
	if err := account.AddIndex(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	add := func(i int, of string) {
		token := v1alpha1.ApiToken{
			ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: fmt.Sprintf("%s-%d", of, i), CreationTimestamp: metav1.Unix(int64(i), 0)},
			Spec:       v1alpha1.ApiTokenSpec{ProviderRef: v1alpha1.ProviderReference{Name: of}},
		}
		if edit != nil {
			edit(i, &token)
		}
		for field, extract := range c.fields {
			for _, value := range extract(&token) {
				c.byField[field+"="+value] = append(c.byField[field+"="+value], token)
			}
		}
	}
	for i := range own {
		add(i, fmt.Sprintf("mine-%d", i%2))
	}
	for i := range others {
		add(i, fmt.Sprintf("other-%d", i%100))
	}
	for i := range 2 {
		c.same = append(c.same, account.Key{Kind: v1alpha1.KindTokenProvider, Namespace: "n", Name: fmt.Sprintf("mine-%d", i)})
	}
	return c
}

// List implements client.Reader for lists by one field.
func (c *crowd) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(opts)
	out, ok := list.(*v1alpha1.ApiTokenList)
	if !ok || o.FieldSelector == nil {
		return fmt.Errorf("a list of %T by %v takes all that there are", list, o.FieldSelector)
	}
	out.Items = c.byField[o.FieldSelector.String()]
	c.handed += len(out.Items)
	return nil
}

// Facts implements observe.Providers.
func (*crowd) Facts(context.Context, account.Key, string, provider.Grant) (account.Facts, error) {
	return account.Facts{Found: true, Admitted: true}, nil
}

// Sharing implements observe.Providers.
func (c *crowd) Sharing(context.Context, account.Key) ([]account.Key, bool, error) {
	return c.same, true, nil
}

// sources returns Sources that read the crowd, and an ApiToken that is younger than ten of
// the crowd.
func (c *crowd) sources() (*observe.Sources, *v1alpha1.ApiToken) {
	token := &v1alpha1.ApiToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "mine-0-10", CreationTimestamp: metav1.Unix(10, 0)},
		Spec:       v1alpha1.ApiTokenSpec{ProviderRef: v1alpha1.ProviderReference{Name: "mine-0"}},
	}
	return &observe.Sources{Objects: observe.Cached{Reader: c}, Providers: c, Memory: memory.New(), Clock: testutil.NewClock(time.Unix(0, 0))}, token
}

// TestSharingReadsOnlyTheAccount: a decision reads no ApiTokens of other accounts, and,
// without slots, none without an unfinished attempt.
func TestSharingReadsOnlyTheAccount(t *testing.T) {
	for _, others := range []int{500, 2000} {
		for name, test := range map[string]struct {
			caps   provider.Capabilities
			handed int
		}{
			"a list of few": {provider.Capabilities{Listed: 100}, 0},
			"few slots":     {provider.Capabilities{MaxLive: 2}, 10},
		} {
			c := newCrowd(t, 10, others, nil)
			from, token := c.sources()
			shared, err := from.Shared(t.Context(), token, &account.Facts{Capabilities: test.caps})
			if err != nil {
				t.Fatal(err)
			}
			if c.handed != test.handed {
				t.Errorf("%s, %d others: %d ApiTokens were read, want %d", name, others, c.handed, test.handed)
			}
			if len(shared.Ahead) != test.caps.MaxLive {
				t.Errorf("%s: %d ApiTokens are ahead", name, len(shared.Ahead))
			}
		}
	}
}

// TestSharingIncludesUnfinishedAttempts of every provider of the account, and no others.
func TestSharingIncludesUnfinishedAttempts(t *testing.T) {
	c := newCrowd(t, 10, 100, func(i int, token *v1alpha1.ApiToken) {
		e := v1alpha1.LedgerEntry{Name: "of-" + token.Name, State: v1alpha1.StateMinting, ReservedAt: &metav1.Time{Time: time.Unix(int64(i), 0)}}
		if i > 1 {
			e.State, e.ID, e.IssuedAt = v1alpha1.StateActive, "id", e.ReservedAt
		}
		token.Status.Credentials = append(token.Status.Credentials, e)
	})
	from, token := c.sources()
	shared, err := from.Shared(t.Context(), token, &account.Facts{Capabilities: provider.Capabilities{Listed: 100}})
	if err != nil {
		t.Fatal(err)
	}
	if len(shared.Open) != 2 || !strings.Contains(shared.Doubt, "mine-0-0") || shared.NewerThanDoubt != 9 {
		t.Errorf("got %+v", shared)
	}
}

func BenchmarkSharing(b *testing.B) {
	for _, others := range []int{500, 2000} {
		b.Run(fmt.Sprintf("%d others", others), func(b *testing.B) {
			c := newCrowd(b, 10, others, nil)
			from, token := c.sources()
			facts := &account.Facts{Capabilities: provider.Capabilities{MaxLive: 2, Listed: 100}}
			for b.Loop() {
				if _, err := from.Shared(b.Context(), token, facts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestApiTokenThatIsNotCreatedYetComesLast: an ApiToken in a dry run can lack a creation
// time. All others of the account come before it.
func TestApiTokenThatIsNotCreatedYetComesLast(t *testing.T) {
	c := newCrowd(t, 2, 0, nil)
	from, token := c.sources()
	token.CreationTimestamp = metav1.Time{}
	shared, err := from.Shared(t.Context(), token, &account.Facts{Capabilities: provider.Capabilities{MaxLive: 5}})
	if err != nil || len(shared.Ahead) != 2 {
		t.Errorf("ahead are %v, %v; want both others", shared.Ahead, err)
	}
}
