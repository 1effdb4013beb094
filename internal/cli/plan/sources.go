package plan

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/hint"
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/cli/session"
	"apitoken.dev/operator/internal/cli/tokenstate"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
	"apitoken.dev/operator/internal/secretstore"
)

// sources are where the facts of a plan come from: the files, then the API server. What
// the user may not read is assumed to be no obstacle, and noted.
type sources struct {
	*planner
	sit    *situation
	out    *planned
	reader *overlay
	pool   connections.Recorded
	store  *secretstore.Store
	// secret is the metadata of the published Secret.
	secret publishedMeta
	// unread is why the provider could not be read, unlisted why the ApiTokens of its
	// account could not all be listed; nil: they were.
	unread, unlisted error
	// assumedReady: the provider is in the files and has not been checked.
	assumedReady bool
	// tokens are the ApiTokens that were listed, by namespace.
	tokens map[string][]v1alpha1.ApiToken
}

var (
	_ observe.Objects   = (*sources)(nil)
	_ observe.Providers = (*sources)(nil)
	_ observe.Secrets   = (*sources)(nil)
)

func (p *planner) sources(sit *situation, secret publishedMeta, out *planned) *sources {
	reader := &overlay{Reader: p.Client, fromFile: p.fromFile, namespace: sit.token.Namespace}
	return &sources{
		planner: p, sit: sit, out: out, reader: reader, secret: secret, tokens: map[string][]v1alpha1.ApiToken{},
		pool:  connections.Recorded{Pool: p.Pool(reader, sit.cluster)},
		store: &secretstore.Store{Client: p.Client, Live: p.Client, Cluster: sit.cluster, Clock: p.Clock},
	}
}

// note names an assumption.
func (s *sources) note(e *observe.Evidence) {
	if s.assumedReady {
		s.out.Notes = append(s.out.Notes, "assumed: the credentials of the provider in the files work")
	}
	if e.Facts.Capabilities.MaxLive == 0 {
		return
	}
	if err := s.reader.unlisted; err != nil {
		a := hint.Access{Verb: "list", Group: v1alpha1.GroupVersion.Group, Resource: s.reader.kind}
		s.out.Notes = append(s.out.Notes, fmt.Sprintf("assumed: no other provider has the account of %s, which has room for few credentials: could not read it, because %s",
			e.Key, hint.Unreadable(a, err)))
	}
	if s.unlisted != nil {
		a := hint.Access{Verb: "list", Group: v1alpha1.GroupVersion.Group, Resource: "apitokens", Namespace: e.Key.Namespace}
		s.out.Notes = append(s.out.Notes, fmt.Sprintf("assumed: no ApiToken of another namespace comes before this one at %s, which has room for few credentials: could not read it, because %s",
			e.Key, hint.Unreadable(a, s.unlisted)))
	}
}

// NamespaceEnding implements observe.Objects.
func (s *sources) NamespaceEnding(ctx context.Context, name string) (bool, error) {
	ending, err := observe.NamespaceEnding(ctx, s.Client, name)
	if reading.Forbidden(err) {
		return false, nil
	}
	return ending, err
}

// Referencing implements observe.Objects.
func (s *sources) Referencing(ctx context.Context, key account.Key) ([]v1alpha1.ApiToken, error) {
	return s.list(ctx, key, func(*v1alpha1.ApiToken) bool { return true })
}

// Unfinished implements observe.Objects.
func (s *sources) Unfinished(ctx context.Context, key account.Key) ([]v1alpha1.ApiToken, error) {
	return s.list(ctx, key, account.IsUnfinished)
}

// list returns the ApiTokens of a provider that fit.
func (s *sources) list(ctx context.Context, key account.Key, fits func(*v1alpha1.ApiToken) bool) ([]v1alpha1.ApiToken, error) {
	all, known := s.tokens[key.Namespace]
	if !known {
		var err error
		if all, err = s.readable(ctx, key.Namespace); err != nil {
			return nil, err
		}
		s.tokens[key.Namespace] = all
	}
	var out []v1alpha1.ApiToken
	for i := range all {
		if t := &all[i]; account.KeyFor(t) == key && fits(t) {
			out = append(out, *t)
		}
	}
	return out, nil
}

// readable lists the ApiTokens of a namespace, or of all when it is empty, as far as the
// user may: at least those of the namespace of the plan.
func (s *sources) readable(ctx context.Context, namespace string) ([]v1alpha1.ApiToken, error) {
	all, err := s.Tokens(ctx, namespace)
	if !reading.Forbidden(err) {
		return all, err
	}
	s.unlisted = err
	if own := s.sit.token.Namespace; namespace != own {
		if all, err = s.Tokens(ctx, own); !reading.Forbidden(err) {
			return all, err
		}
	}
	return nil, nil
}

// Facts implements observe.Providers.
func (s *sources) Facts(ctx context.Context, key account.Key, namespace string, grant provider.Grant) (account.Facts, error) {
	f, err := s.pool.Facts(ctx, key, namespace, grant)
	own := key == account.KeyFor(s.sit.token) && namespace == s.sit.token.Namespace
	switch {
	case reading.Forbidden(err) && own:
		s.unread = err
		return grantsAll(s.sit.token), nil
	case reading.Forbidden(err):
		return account.Facts{Found: true, Admitted: true}, nil // another ApiToken of the account counts
	case err != nil:
		return f, err
	}
	if _, ok := s.fromFile[key]; ok && own && !f.Ready {
		f.Ready, s.assumedReady = true, true
	}
	return f, nil
}

// Sharing implements observe.Providers.
func (s *sources) Sharing(ctx context.Context, key account.Key) (same []account.Key, settled bool, err error) {
	return s.pool.Sharing(ctx, key)
}

// Cached implements observe.Secrets. A Secret that the user may not read is taken to hold
// the credential in use, as the operator wrote it.
func (s *sources) Cached(ctx context.Context, t secretstore.Target) (seen secretstore.Snapshot, pending bool, err error) {
	if s.secret.Err() == nil {
		return s.store.Cached(ctx, t)
	}
	v := plan.Secret{Name: t.Token.SecretName(), MetadataCurrent: true, SettingsCurrent: true, DeclarationCurrent: true}
	if e := tokenstate.Active(t.Token); e != nil {
		v.Exists, v.Credential = true, e.Name
	}
	return secretstore.Snapshot{View: v}, false, nil
}

// HandoverVersion implements observe.Secrets.
func (s *sources) HandoverVersion(ctx context.Context, t secretstore.Target) (string, error) {
	version, err := s.store.HandoverVersion(ctx, t)
	if reading.Forbidden(err) {
		s.out.Notes = append(s.out.Notes, fmt.Sprintf("assumed: no credential was submitted in Secret %s: could not read it, because %s",
			t.HandoverName(), hint.Unreadable(session.SecretAccess(t.Token), err)))
		return "", nil
	}
	return version, err
}

// overlay reads providers as they would be after the apply: from the files first.
type overlay struct {
	client.Reader
	fromFile map[account.Key]account.Object
	// namespace is that of the plan.
	namespace string
	// unlisted is why not all providers of a kind could be listed; nil: they were.
	unlisted error
	kind     string
}

// Get implements client.Reader.
func (r *overlay) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if asked := account.Of(obj); asked.Raw != nil && r.fill(account.Key{Kind: asked.Kind, Namespace: key.Namespace, Name: key.Name}, obj) {
		return nil
	}
	return r.Reader.Get(ctx, key, obj, opts...)
}

// List implements client.Reader for providers. It lists what the user may list: at least
// the TokenProviders of the namespace of the plan.
func (r *overlay) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	err := r.Reader.List(ctx, list, opts...)
	if reading.Forbidden(err) {
		r.unlisted, r.kind = err, "clustertokenproviders"
		if _, namespaced := list.(*v1alpha1.TokenProviderList); namespaced {
			r.kind = "tokenproviders"
			err = r.Reader.List(ctx, list, append(opts, client.InNamespace(r.namespace))...)
		}
	}
	if reading.Forbidden(err) {
		return nil
	} else if err != nil {
		return err
	}
	switch l := list.(type) {
	case *v1alpha1.TokenProviderList:
		for i := range l.Items {
			r.fill(account.Of(&l.Items[i]).Key(), &l.Items[i])
		}
	case *v1alpha1.ClusterTokenProviderList:
		for i := range l.Items {
			r.fill(account.Of(&l.Items[i]).Key(), &l.Items[i])
		}
	}
	return nil
}

// fill fills an object from the files. It reports false if it is not in them.
func (r *overlay) fill(key account.Key, obj client.Object) bool {
	found := r.fromFile[key]
	switch into := obj.(type) {
	case *v1alpha1.TokenProvider:
		if from, ok := found.Raw.(*v1alpha1.TokenProvider); ok {
			from.DeepCopyInto(into)
			return true
		}
	case *v1alpha1.ClusterTokenProvider:
		if from, ok := found.Raw.(*v1alpha1.ClusterTokenProvider); ok {
			from.DeepCopyInto(into)
			return true
		}
	}
	return false
}
