package apifake

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
)

// The kinds that a Server supports.
const (
	KindApiToken             = "ApiToken"
	KindTokenProvider        = "TokenProvider"
	KindClusterTokenProvider = "ClusterTokenProvider"
	KindSecret               = "Secret"
	KindNamespace            = "Namespace"
)

// kind describes a kind of object to the server.
type kind struct {
	gvk        schema.GroupVersionKind
	resource   schema.GroupResource
	namespaced bool
	// custom kinds have a generation, a status subresource and no unconditional update.
	custom bool

	blank    func() client.Object
	shallow  func(client.Object) client.Object
	copyInto func(src, dst client.Object)
	// tidy changes an object as a JSON round trip does.
	tidy func(client.Object)
	// defaults sets the defaults of the schema.
	defaults func(client.Object)
	// sameBody compares everything but metadata and, in custom kinds, status.
	sameBody   func(a, b client.Object) bool
	sameStatus func(a, b client.Object) bool
	// setStatus shares the status of src with dst.
	setStatus func(dst, src client.Object)
	// ownStatus copies an object for a status update: a deep copy of the status, as after a
	// JSON round trip. The rest is shared.
	ownStatus func(client.Object) client.Object
}

// object is a pointer to an API type.
type object[T any] interface {
	*T
	client.Object
	DeepCopyInto(out *T)
}

func newKind[T any, P object[T]](gvk schema.GroupVersionKind, plural string, defaults func(P), same func(a, b P) bool) kind {
	tidy := tidier(reflect.TypeFor[T]())
	return kind{
		gvk:        gvk,
		resource:   schema.GroupResource{Group: gvk.Group, Resource: plural},
		namespaced: true,
		blank:      func() client.Object { return P(new(T)) },
		shallow:    func(o client.Object) client.Object { c := *o.(P); return P(&c) },
		copyInto:   func(src, dst client.Object) { src.(P).DeepCopyInto(dst.(P)) },
		tidy:       func(o client.Object) { tidy(reflect.ValueOf(o.(P)).Elem()) },
		defaults:   func(o client.Object) { defaults(o.(P)) },
		sameBody:   func(a, b client.Object) bool { return same(a.(P), b.(P)) },
	}
}

// part is a pointer to the spec or the status of an API type.
type part[T any] interface {
	*T
	DeepCopyInto(out *T)
}

func newCustomKind[T, S, U any, P object[T], Q part[U]](name, plural string, defaults func(P), spec func(P) *S, status func(P) Q) kind {
	sameSpec, sameStatus := equality(reflect.TypeFor[S]()), equality(reflect.TypeFor[U]())
	tidyStatus := tidier(reflect.TypeFor[U]())
	k := newKind(v1alpha1.GroupVersion.WithKind(name), plural, defaults, func(a, b P) bool {
		return sameSpec(reflect.ValueOf(spec(a)).Elem(), reflect.ValueOf(spec(b)).Elem())
	})
	k.custom = true
	k.sameStatus = func(a, b client.Object) bool {
		return sameStatus(reflect.ValueOf(status(a.(P))).Elem(), reflect.ValueOf(status(b.(P))).Elem())
	}
	k.setStatus = func(dst, src client.Object) { *status(dst.(P)) = *status(src.(P)) }
	k.ownStatus = func(o client.Object) client.Object {
		own := P(new(T))
		*own = *o.(P)
		status(o.(P)).DeepCopyInto(status(own))
		tidyStatus(reflect.ValueOf(status(own)).Elem())
		return own
	}
	return k
}

type registry struct {
	kinds  map[string]*kind
	scheme *runtime.Scheme
	mapper meta.RESTMapper
}

// shared is built once: it is the same for every server.
var shared = sync.OnceValue(func() *registry {
	r := &registry{kinds: make(map[string]*kind), scheme: runtime.NewScheme()}
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(r.scheme); err != nil {
			panic(err) // two Go types for one kind: a bug
		}
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, k := range allKinds() {
		r.kinds[k.gvk.Kind] = &k
		scope := meta.RESTScope(meta.RESTScopeNamespace)
		if !k.namespaced {
			scope = meta.RESTScopeRoot
		}
		plural := k.gvk.GroupVersion().WithResource(k.resource.Resource)
		mapper.AddSpecific(k.gvk, plural, k.gvk.GroupVersion().WithResource(strings.ToLower(k.gvk.Kind)), scope)
	}
	r.mapper = mapper
	return r
})

func allKinds() []kind {
	token := newCustomKind(KindApiToken, "apitokens", defaultToken,
		func(t *v1alpha1.ApiToken) *v1alpha1.ApiTokenSpec { return &t.Spec },
		func(t *v1alpha1.ApiToken) *v1alpha1.ApiTokenStatus { return &t.Status })
	provider := newCustomKind(KindTokenProvider, "tokenproviders",
		func(p *v1alpha1.TokenProvider) { defaultProvider(&p.Spec) },
		func(p *v1alpha1.TokenProvider) *v1alpha1.ProviderSpec { return &p.Spec },
		func(p *v1alpha1.TokenProvider) *v1alpha1.ProviderStatus { return &p.Status })
	cluster := newCustomKind(KindClusterTokenProvider, "clustertokenproviders",
		func(p *v1alpha1.ClusterTokenProvider) { defaultProvider(&p.Spec.ProviderSpec) },
		func(p *v1alpha1.ClusterTokenProvider) *v1alpha1.ClusterProviderSpec { return &p.Spec },
		func(p *v1alpha1.ClusterTokenProvider) *v1alpha1.ProviderStatus { return &p.Status })
	cluster.namespaced = false
	secret := newKind(corev1.SchemeGroupVersion.WithKind(KindSecret), "secrets", defaultSecret, sameSecret)
	namespace := newKind(corev1.SchemeGroupVersion.WithKind(KindNamespace), "namespaces", defaultNamespace,
		func(a, b *corev1.Namespace) bool {
			return reflect.DeepEqual(&a.Spec, &b.Spec) && reflect.DeepEqual(&a.Status, &b.Status)
		})
	namespace.namespaced = false
	return []kind{token, provider, cluster, secret, namespace}
}

// kindOf returns the kind of an object, and whether it is only the object's metadata.
func kindOf(obj runtime.Object) (k *kind, partial bool, err error) {
	kinds := shared().kinds
	switch o := obj.(type) {
	case *v1alpha1.ApiToken, *v1alpha1.ApiTokenList:
		return kinds[KindApiToken], false, nil
	case *corev1.Secret, *corev1.SecretList:
		return kinds[KindSecret], false, nil
	case *v1alpha1.TokenProvider, *v1alpha1.TokenProviderList:
		return kinds[KindTokenProvider], false, nil
	case *v1alpha1.ClusterTokenProvider, *v1alpha1.ClusterTokenProviderList:
		return kinds[KindClusterTokenProvider], false, nil
	case *corev1.Namespace, *corev1.NamespaceList:
		return kinds[KindNamespace], false, nil
	case *metav1.PartialObjectMetadata:
		k, err := kindFor(o.GroupVersionKind())
		return k, true, err
	case *metav1.PartialObjectMetadataList:
		gvk := o.GroupVersionKind()
		gvk.Kind = strings.TrimSuffix(gvk.Kind, "List")
		k, err := kindFor(gvk)
		return k, true, err
	}
	return nil, false, fmt.Errorf("apifake: %T is not a kind that this server keeps", obj)
}

func kindFor(gvk schema.GroupVersionKind) (*kind, error) {
	if k := shared().kinds[gvk.Kind]; k != nil && k.gvk == gvk {
		return k, nil
	}
	return nil, &meta.NoKindMatchError{GroupKind: gvk.GroupKind(), SearchedVersions: []string{gvk.Version}}
}

func (k *kind) key(namespace, name string) Key {
	if !k.namespaced {
		namespace = ""
	}
	return Key{Kind: k.gvk.Kind, Namespace: namespace, Name: name}
}

// compareKeys sorts the objects of a kind as the real server lists them.
func compareKeys(a, b Key) int {
	return cmp.Or(
		cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name),
	)
}

func sortObjects(objects []client.Object) {
	slices.SortFunc(objects, func(a, b client.Object) int {
		return cmp.Compare(a.GetNamespace()+"/"+a.GetName(), b.GetNamespace()+"/"+b.GetName())
	})
}

// metaOf is the metadata of a stored object.
func metaOf(stored client.Object) *metav1.ObjectMeta {
	return stored.(metav1.ObjectMetaAccessor).GetObjectMeta().(*metav1.ObjectMeta)
}
