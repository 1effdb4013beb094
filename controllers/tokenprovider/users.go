package tokenprovider

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
)

const (
	// pageSize of live lists. Each object can be more than a megabyte long.
	pageSize = 50
	// namedUsers is how many ApiTokens a condition names.
	namedUsers = 5
)

// user is an ApiToken that refers to a provider.
type user struct {
	name string
	// credentials in its ledger.
	credentials int
	// needs: it has, or can get, a credential that only this provider can revoke.
	needs bool
}

func userOf(token *v1alpha1.ApiToken) user {
	n := len(token.Status.Credentials)
	return user{name: token.Namespace + "/" + token.Name, credentials: n,
		needs: n > 0 || controllerutil.ContainsFinalizer(token, v1alpha1.Finalizer)}
}

func usersOf(tokens []v1alpha1.ApiToken) []user {
	out := make([]user, 0, len(tokens))
	for i := range tokens {
		out = append(out, userOf(&tokens[i]))
	}
	return out
}

// liveUsers reads the users of a provider live.
func (r *Reconciler) liveUsers(ctx context.Context, key account.Key) ([]user, error) {
	var out []user
	err := r.eachLive(ctx, key, func(t *v1alpha1.ApiToken) { out = append(out, userOf(t)) })
	return out, err
}

// eachLive reads the ApiTokens that use a provider from the API server, page by page.
func (r *Reconciler) eachLive(ctx context.Context, key account.Key, each func(*v1alpha1.ApiToken)) error {
	page := client.ListOptions{Namespace: key.Namespace, Limit: pageSize}
	for {
		var tokens v1alpha1.ApiTokenList
		if err := notServed(r.Live.List(ctx, &tokens, &page)); err != nil {
			return fmt.Errorf("listing the ApiTokens of %s live: %w", key, err)
		}
		for i := range tokens.Items {
			if account.KeyFor(&tokens.Items[i]) == key {
				each(&tokens.Items[i])
			}
		}
		if page.Continue = tokens.Continue; page.Continue == "" {
			return nil
		}
	}
}

// notServed ignores the error of a list whose kind is not served: its CRD was deleted,
// which deleted every object first. The API server does not return this error before it has
// read its CRDs.
func notServed(err error) error { return client.IgnoreNotFound(err) }

// inUse returns the sorted names of the ApiTokens that need the provider.
func inUse(users []user) []string {
	var out []string
	for _, u := range users {
		if u.needs {
			out = append(out, u.name)
		}
	}
	slices.Sort(out)
	return out
}

func liveCredentials(users []user) int {
	n := 0
	for _, u := range users {
		n += u.credentials
	}
	return n
}

// inUseMessage names the ApiTokens that a provider's deletion waits for.
func inUseMessage(names []string) string {
	listed := strings.Join(names[:min(len(names), namedUsers)], ", ")
	if more := len(names) - namedUsers; more > 0 {
		listed += fmt.Sprintf(" and %d more", more)
	}
	return "The provider is being deleted, but ApiTokens still need it to revoke their credentials: " + listed +
		". Delete them, or set their deletionPolicy to Retain and delete them."
}
