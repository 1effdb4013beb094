package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/cli/reading"
	"apitoken.dev/operator/internal/quiet"
)

// chunk is how many objects a page of a list has, as with kubectl.
const chunk = 500

// session is one command's access to a cluster.
type session struct {
	*app
	client    client.Client
	watcher   client.WithWatch
	cfg       *rest.Config
	namespace string
}

// scheme has the kinds of Kubernetes and those of apitoken.dev.
func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(v1alpha1.AddToScheme(s))
	return s
}

// errNoKubeconfig says that nothing names a cluster. The client library would try
// localhost:8080 instead.
var errNoKubeconfig = errors.New("there is no kubeconfig, or it names no cluster: set KUBECONFIG, or use --kubeconfig or --server")

// noCluster reports whether neither the flags, a kubeconfig nor a pod's service account
// name a cluster.
func (a *app) noCluster() bool {
	if a.config.APIServer != nil && *a.config.APIServer != "" {
		return false
	}
	raw, err := a.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil || len(raw.Clusters) > 0 {
		return false // the error is reported when the file is used
	}
	_, err = rest.InClusterConfig()
	return err != nil
}

// open reads the kubeconfig. It sends nothing.
func (a *app) open() (*session, error) {
	if a.noCluster() {
		return nil, errNoKubeconfig
	}
	cfg, err := a.config.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	namespace, _, err := a.config.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, err
	}
	mapper, err := a.config.ToRESTMapper()
	if err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(cfg, client.Options{Scheme: scheme(), Mapper: mapper})
	if err != nil {
		return nil, err
	}
	return &session{app: a, client: c, watcher: c, cfg: cfg, namespace: namespace}, nil
}

// run makes the function that cobra calls for a command: the checks of the flags pass, then
// the kubeconfig is read, then the command runs.
func (a *app) run(do func(ctx context.Context, s *session, args []string) error, checks ...func() error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		for _, check := range checks {
			if err := check(); err != nil {
				return err
			}
		}
		s, err := a.open()
		if err != nil {
			return err
		}
		return do(cmd.Context(), s, args)
	}
}

// kindPrefixes are what people put before the name of an ApiToken.
var kindPrefixes = []string{"apitoken/", "apitokens/", "at/", "apitoken.apitoken.dev/", "apitokens.apitoken.dev/"}

// tokenName accepts NAME and what kubectl prints with -o name.
func tokenName(arg string) string {
	for _, prefix := range kindPrefixes {
		if name, ok := strings.CutPrefix(arg, prefix); ok {
			return name
		}
	}
	return arg
}

// token reads an ApiToken of the namespace.
func (s *session) token(ctx context.Context, arg string) (*v1alpha1.ApiToken, error) {
	t := &v1alpha1.ApiToken{}
	r := reading.Object(t, s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: tokenName(arg)}, t))
	return t, whenAbsent(r, func() error {
		return errorf(NotFound, "there is no ApiToken %q in namespace %q. To see all: %s",
			tokenName(arg), s.namespace, s.pluginCommand(s.namespace, "list"))
	})
}

// whenAbsent is the error of a command that cannot go on without an object.
func whenAbsent[T any](r reading.Of[T], absent func() error) error {
	return reading.Match(r, func(T) error { return nil }, absent, func(err error) error { return err })
}

// tokens reads the ApiTokens of a namespace, or of all when it is empty, page by page.
func (s *session) tokens(ctx context.Context, namespace string, opts ...client.ListOption) ([]v1alpha1.ApiToken, error) {
	var out []v1alpha1.ApiToken
	next := ""
	for {
		var page v1alpha1.ApiTokenList
		all := append([]client.ListOption{client.InNamespace(namespace), client.Limit(chunk), client.Continue(next)}, opts...)
		if err := s.client.List(ctx, &page, all...); err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
		if next = page.Continue; next == "" {
			return out, nil
		}
	}
}

// provider reads the provider of an ApiToken.
func (s *session) provider(ctx context.Context, t *v1alpha1.ApiToken) reading.Of[account.Object] {
	return reading.Object(account.Get(ctx, s.client, account.KeyFor(t)))
}

// providerAccess is the right to read the provider of an ApiToken.
func providerAccess(t *v1alpha1.ApiToken) access {
	r := access{verb: "get", group: v1alpha1.GroupVersion.Group, resource: "tokenproviders", namespace: t.Namespace}
	if t.Spec.ProviderRef.Kind == v1alpha1.KindClusterTokenProvider {
		r.resource, r.namespace = "clustertokenproviders", ""
	}
	return r
}

// allProviders are the providers that a namespace can name. Each kind has rights of its own.
type allProviders struct {
	cluster, own             reading.Of[[]account.Object]
	clusterAccess, ownAccess access
}

// providers lists the providers of a namespace (all when empty) and of the cluster.
func (s *session) providers(ctx context.Context, namespace string) allProviders {
	group := v1alpha1.GroupVersion.Group
	out := allProviders{
		clusterAccess: access{verb: "list", group: group, resource: "clustertokenproviders"},
		ownAccess:     access{verb: "list", group: group, resource: "tokenproviders", namespace: namespace},
	}
	cluster, own := &v1alpha1.ClusterTokenProviderList{}, &v1alpha1.TokenProviderList{}
	err := s.client.List(ctx, cluster)
	var objects []account.Object
	for i := range cluster.Items {
		objects = append(objects, account.Of(&cluster.Items[i]))
	}
	out.cluster = reading.List(objects, err)
	objects, err = nil, s.client.List(ctx, own, client.InNamespace(namespace))
	for i := range own.Items {
		objects = append(objects, account.Of(&own.Items[i]))
	}
	out.own = reading.List(objects, err)
	return out
}

// secret reads a Secret with its values.
func (s *session) secret(ctx context.Context, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	r := reading.Object(secret, s.client.Get(quiet.Context(ctx), client.ObjectKey{Namespace: s.namespace, Name: name}, secret))
	return secret, whenAbsent(r, func() error {
		return errorf(NotFound, "there is no Secret %q in namespace %q", name, s.namespace)
	})
}
