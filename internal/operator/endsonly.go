package operator

import (
	"context"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/trim"
)

// An operator with Options.EndsOnly also works while its CRDs are being deleted. A CRD
// without objects is removed at once, and the others wait for their objects. Such an
// operator therefore treats a kind without a CRD as a kind without objects. An ordinary
// operator must not do that: with an empty list, every credential would be an orphan.

// ownKinds are the operator's kinds, with their plurals.
var ownKinds = map[schema.GroupVersionKind]struct {
	plural string
	scope  meta.RESTScope
	list   func() client.ObjectList
}{
	v1alpha1.GroupVersion.WithKind("ApiToken"): {"apitokens", meta.RESTScopeNamespace,
		func() client.ObjectList { return &v1alpha1.ApiTokenList{} }},
	v1alpha1.GroupVersion.WithKind(string(v1alpha1.KindTokenProvider)): {"tokenproviders", meta.RESTScopeNamespace,
		func() client.ObjectList { return &v1alpha1.TokenProviderList{} }},
	v1alpha1.GroupVersion.WithKind(string(v1alpha1.KindClusterTokenProvider)): {"clustertokenproviders", meta.RESTScopeRoot,
		func() client.ObjectList { return &v1alpha1.ClusterTokenProviderList{} }},
}

// ownMapper maps the operator's kinds, even if they are not served, and looks up all others
// at the API server.
func ownMapper(cfg *rest.Config, hc *http.Client) (meta.RESTMapper, error) {
	served, err := apiutil.NewDynamicRESTMapper(cfg, hc)
	if err != nil {
		return nil, err
	}
	own := meta.NewDefaultRESTMapper([]schema.GroupVersion{v1alpha1.GroupVersion})
	for kind, o := range ownKinds {
		plural := kind.GroupVersion().WithResource(o.plural)
		own.AddSpecific(kind, plural, plural, o.scope)
	}
	return meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{own, served}}, nil
}

// absentCRD reports whether a kind belongs to the operator and its CRD does not exist. "Not
// found" in answer to a list does not prove that: the API server may serve another version.
func absentCRD(ctx context.Context, live client.Reader, kind schema.GroupVersionKind) bool {
	o, own := ownKinds[kind]
	if !own {
		return false
	}
	crd := &metav1.PartialObjectMetadata{}
	crd.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	return apierrors.IsNotFound(live.Get(ctx, client.ObjectKey{Name: o.plural + "." + kind.Group}, crd))
}

// servedClient returns an empty list for a kind whose CRD does not exist.
type servedClient struct{ client.Client }

// List implements client.Reader.
func (c servedClient) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	err := c.Client.List(ctx, list, opts...)
	if !apierrors.IsNotFound(err) {
		return err
	}
	for kind, o := range ownKinds {
		if fmt.Sprintf("%T", o.list()) == fmt.Sprintf("%T", list) && absentCRD(ctx, c.Client, kind) {
			return nil
		}
	}
	return err
}

// LiveClient returns a client without a cache. It works while the operator's CRDs are being
// deleted: a kind without a CRD has no objects.
func LiveClient(cfg *rest.Config, o Options) (client.Client, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	cfg = restConfig(cfg, o)
	hc, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, err
	}
	mapper, err := ownMapper(cfg, hc)
	if err != nil {
		return nil, err
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme, Mapper: mapper, HTTPClient: hc})
	if err != nil {
		return nil, err
	}
	return servedClient{c}, nil
}

// servedInformers returns a factory of informers. They hold no objects of a kind whose CRD
// does not exist, even if it is deleted while they run.
func servedInformers(live client.Reader) func(toolscache.ListerWatcher, runtime.Object, time.Duration, toolscache.Indexers) toolscache.SharedIndexInformer {
	return func(lw toolscache.ListerWatcher, o runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
		inner := toolscache.ToListerWatcherWithContext(lw)
		return trim.NewInformer(&toolscache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
				list, err := inner.ListWithContext(ctx, opts)
				if kind, own := kindOf(o); own && apierrors.IsNotFound(err) && absentCRD(ctx, live, kind) {
					return ownKinds[kind].list(), nil
				}
				return list, err
			},
			WatchFuncWithContext: func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
				return inner.WatchWithContext(ctx, opts)
			},
		}, o, resync, indexers)
	}
}

// kindOf returns the kind of an object if it is one of the operator's.
func kindOf(o runtime.Object) (schema.GroupVersionKind, bool) {
	var kind string
	switch o.(type) {
	case *v1alpha1.ApiToken:
		kind = "ApiToken"
	case *v1alpha1.TokenProvider:
		kind = string(v1alpha1.KindTokenProvider)
	case *v1alpha1.ClusterTokenProvider:
		kind = string(v1alpha1.KindClusterTokenProvider)
	}
	return v1alpha1.GroupVersion.WithKind(kind), kind != ""
}
