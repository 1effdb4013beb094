package apifake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"apitoken.dev/operator/api/v1alpha1"
)

// fix changes one addressable value in place.
type fix func(reflect.Value)

var (
	timeType     = reflect.TypeFor[metav1.Time]()
	durationType = reflect.TypeFor[metav1.Duration]()
	marshaler    = reflect.TypeFor[json.Marshaler]()
)

// tidier returns a function that changes a value of an API type as a JSON round trip does:
// times are cut to whole seconds, and an empty slice or map becomes nil if its field is
// omitted when empty. It inspects the type once, so the function itself is fast.
func tidier(t reflect.Type) fix {
	if f := fixFor(t); f != nil {
		return f
	}
	return func(reflect.Value) {}
}

// fixFor returns nil if values of the type never change.
func fixFor(t reflect.Type) fix {
	switch {
	case t == timeType:
		return fixTime
	case t == durationType:
		return nil
	case t == reflect.PointerTo(timeType):
		return fixTimePointer
	case t.Kind() == reflect.Pointer:
		return fixPointer(fixFor(t.Elem()))
	case t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler):
		panic(fmt.Sprintf("apifake: %s has a JSON form of its own; teach fixFor how it comes back", t))
	}
	switch t.Kind() {
	case reflect.Struct:
		return fixStruct(t)
	case reflect.Slice:
		return fixElements(fixFor(t.Elem()))
	case reflect.Map:
		if t.Elem().Kind() != reflect.Slice && fixFor(t.Elem()) != nil {
			panic(fmt.Sprintf("apifake: %s: the values of a map cannot be changed in place; teach fixFor", t))
		}
	}
	return nil
}

func fixTime(v reflect.Value) {
	if t := v.Addr().Interface().(*metav1.Time); !t.IsZero() {
		t.Time = time.Unix(t.Unix(), 0)
	}
}

// fixTimePointer removes a pointer to the zero time, which is encoded as null.
func fixTimePointer(v reflect.Value) {
	switch {
	case v.IsNil():
	case v.Interface().(*metav1.Time).IsZero():
		v.SetZero()
	default:
		fixTime(v.Elem())
	}
}

func fixPointer(elem fix) fix {
	if elem == nil {
		return nil
	}
	return func(v reflect.Value) {
		if !v.IsNil() {
			elem(v.Elem())
		}
	}
}

func fixElements(elem fix) fix {
	if elem == nil {
		return nil
	}
	return func(v reflect.Value) {
		for i := range v.Len() {
			elem(v.Index(i))
		}
	}
}

func fixStruct(t reflect.Type) fix {
	type step struct {
		field int
		fix   fix
	}
	var steps []step
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "ManagedFields" {
			steps = append(steps, step{i, reflect.Value.SetZero})
			continue
		}
		if inner := fixFor(f.Type); inner != nil {
			steps = append(steps, step{i, inner})
		}
		if k := f.Type.Kind(); (k == reflect.Slice || k == reflect.Map) && leftOutWhenEmpty(f) {
			steps = append(steps, step{i, fixEmpty})
		}
	}
	if steps == nil {
		return nil
	}
	return func(v reflect.Value) {
		for _, s := range steps {
			s.fix(v.Field(s.field))
		}
	}
}

func leftOutWhenEmpty(f reflect.StructField) bool {
	_, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	return strings.Contains(options, "omitempty")
}

func fixEmpty(v reflect.Value) {
	if v.Len() == 0 {
		v.SetZero()
	}
}

// defaultToken sets the defaults of the ApiToken's schema. As in the schema, a default inside
// an optional block is set only if the block exists.
func defaultToken(t *v1alpha1.ApiToken) {
	if t.Spec.ProviderRef.Kind == "" {
		t.Spec.ProviderRef.Kind = v1alpha1.KindTokenProvider
	}
	if t.Spec.DeletionPolicy == "" {
		t.Spec.DeletionPolicy = v1alpha1.DeletionRevoke
	}
	if t.Spec.Rotation != (v1alpha1.Rotation{}) && t.Spec.Rotation.Strategy == "" {
		t.Spec.Rotation.Strategy = v1alpha1.MakeBeforeBreak
	}
}

func defaultProvider(p *v1alpha1.ProviderSpec) {
	if p.AWS != nil && p.AWS.Region == "" {
		p.AWS.Region = "us-east-1"
	}
}

func defaultSecret(s *corev1.Secret) {
	if s.Type == "" {
		s.Type = corev1.SecretTypeOpaque
	}
	if len(s.StringData) > 0 && s.Data == nil {
		s.Data = make(map[string][]byte, len(s.StringData))
	}
	for name, value := range s.StringData {
		s.Data[name] = []byte(value)
	}
	s.StringData = nil
	for name, value := range s.Data {
		if value == nil {
			s.Data[name] = []byte{}
		}
	}
}

func defaultNamespace(n *corev1.Namespace) {
	if len(n.Spec.Finalizers) == 0 {
		n.Spec.Finalizers = []corev1.FinalizerName{corev1.FinalizerKubernetes}
	}
	if n.Status.Phase == "" {
		n.Status.Phase = corev1.NamespaceActive
	}
}

func sameSecret(a, b *corev1.Secret) bool {
	return a.Type == b.Type && reflect.DeepEqual(a.Immutable, b.Immutable) && maps.EqualFunc(a.Data, b.Data, bytes.Equal)
}
