// Package session is what all commands share: the environment of the process, the flags that
// choose a cluster, and the reads of that cluster.
package session

import (
	"context"
	"strings"

	"apitoken.dev/operator/internal/quiet"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/cli/exit"
	"apitoken.dev/operator/internal/cli/reading"
)

// Metadata reads the metadata of one object.
func (s *Session) Metadata(ctx context.Context, kind schema.GroupVersionKind, key client.ObjectKey) reading.Of[*metav1.PartialObjectMetadata] {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(kind)
	return reading.Object(m, s.Client.Get(ctx, key, m))
}

// Chunk is how many objects a page of a list has, as with kubectl.
const Chunk = 500

// Session is one command's access to a cluster.
type Session struct {
	*App
	Client     client.Client
	Watcher    client.WithWatch
	RESTConfig *rest.Config
	Namespace  string
}

// Open reads the kubeconfig. It sends nothing.
func (a *App) Open() (*Session, error) {
	if a.noCluster() {
		return nil, errNoKubeconfig
	}
	cfg, err := a.Config.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	namespace, _, err := a.Config.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, err
	}
	mapper, err := a.Config.ToRESTMapper()
	if err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(cfg, client.Options{Scheme: Scheme(), Mapper: mapper})
	if err != nil {
		return nil, err
	}
	return &Session{App: a, Client: c, Watcher: c, RESTConfig: cfg, Namespace: namespace}, nil
}

// kindPrefixes are what people put before the name of an ApiToken.
var kindPrefixes = []string{"apitoken/", "apitokens/", "at/", "apitoken.apitoken.dev/", "apitokens.apitoken.dev/"}

// TokenName accepts NAME and what kubectl prints with -o name.
func TokenName(arg string) string {
	for _, prefix := range kindPrefixes {
		if name, ok := strings.CutPrefix(arg, prefix); ok {
			return name
		}
	}
	return arg
}

// Token reads an ApiToken of the namespace.
func (s *Session) Token(ctx context.Context, arg string) (*v1alpha1.ApiToken, error) {
	t := &v1alpha1.ApiToken{}
	if strings.Contains(TokenName(arg), "/") {
		return nil, exit.Usagef("%q is not an ApiToken: write NAME or apitoken/NAME", arg)
	}
	r := reading.Object(t, s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: TokenName(arg)}, t))
	return t, whenAbsent(r, func() error {
		return exit.Errorf(exit.NotFound, "there is no ApiToken %q in namespace %q. To see all: %s",
			TokenName(arg), s.Namespace, s.PluginCommand(s.Namespace, "list"))
	})
}

// whenAbsent is the error of a command that cannot continue without an object.
func whenAbsent[T any](r reading.Of[T], absent func() error) error {
	return reading.Match(r, func(T) error { return nil }, absent, func(err error) error { return err })
}

// Tokens reads the ApiTokens of a namespace, or of all when it is empty, page by page.
func (s *Session) Tokens(ctx context.Context, namespace string, opts ...client.ListOption) ([]v1alpha1.ApiToken, error) {
	var out []v1alpha1.ApiToken
	next := ""
	for {
		var page v1alpha1.ApiTokenList
		all := append([]client.ListOption{client.InNamespace(namespace), client.Limit(Chunk), client.Continue(next)}, opts...)
		if err := s.Client.List(ctx, &page, all...); err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
		if next = page.Continue; next == "" {
			return out, nil
		}
	}
}

// Secret reads a Secret with its values.
func (s *Session) Secret(ctx context.Context, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	r := reading.Object(secret, s.Client.Get(quiet.Context(ctx), client.ObjectKey{Namespace: s.Namespace, Name: name}, secret))
	return secret, whenAbsent(r, func() error {
		return exit.Errorf(exit.NotFound, "there is no Secret %q in namespace %q", name, s.Namespace)
	})
}
