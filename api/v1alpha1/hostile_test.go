package v1alpha1_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/test/support/repofile"
	"apitoken.dev/operator/test/support/testenv"
)

// One object that a client cannot decode ends every list and watch of its kind. So each
// value that the API server accepts, for any field of any kind, must decode, and must be
// accepted when the decoded object is written back.

// otherKinds has a value of each JSON type.
var otherKinds = []any{nil, true, "x", 1.5, []any{nil}, map[string]any{"a": nil}}

// numbers are at the edges of the types of Go and of JSON.
var numbers = []any{
	json.RawMessage("-0"), json.RawMessage("1.0"), json.RawMessage("1e3"), json.RawMessage("1e21"), json.RawMessage("1e308"), json.RawMessage("-1e21"),
	int64(1)<<31 - 1, int64(1) << 31, -(int64(1) << 31) - 1, int64(1) << 32, int64(1)<<53 + 1, json.RawMessage("9223372036854775807"),
	json.RawMessage("9223372036854775808"), json.RawMessage("-9223372036854775808"), json.RawMessage("18446744073709551616"), "1",
}

// durations are texts that at least one parser reads as a duration.
var durations = []string{
	"0", "1d", "1h ", " 1h", "-1h", "+1h", "1H", "1.5h", ".5s", "1.s", "1e3s", "1h1h", "1h1h1h1h", "2562047h", "2562048h", "99999999999h", "1ns", "1µs", "1us",
	"24h", "1h0m0s", "1h0m0.000000001s", "P1D", "١h", "1h\n", "infinity",
}

// hostile are the values that are sent for a field of a type.
func hostile(typ reflect.Type) []any {
	values := slices.Clone(otherKinds)
	switch {
	case typ.Kind() == reflect.Int32 || typ.Kind() == reflect.Int64:
		return append(values, numbers...)
	case special(typ):
		for _, text := range texts(typ) {
			values = append(values, text)
		}
		return append(values, numbers...)
	}
	return values
}

// texts returns the texts that a type might decode: times, durations, or both.
func texts(typ reflect.Type) []string {
	times := slices.Concat(unreadableTimes, readableTimes)
	switch typ {
	case reflect.TypeFor[metav1.Time](), reflect.TypeFor[v1alpha1.Timestamp]():
		return append(times, durations[0])
	case reflect.TypeFor[metav1.Duration]():
		return append(slices.Clone(durations), times[0])
	}
	return append(times, durations...)
}

// special reports whether a type decodes some texts and not others.
func special(typ reflect.Type) bool {
	return reflect.PointerTo(typ).Implements(reflect.TypeFor[json.Unmarshaler]()) || typ == reflect.TypeFor[v1alpha1.Timestamp]()
}

// place is one field of an object: its path, of names and indexes, and its Go type.
type place struct {
	path []any
	typ  reflect.Type
}

func (p place) String() string {
	parts := make([]string, len(p.path))
	for i, part := range p.path {
		parts[i] = fmt.Sprint(part)
	}
	return strings.Join(parts, ".")
}

// places lists the fields that a value has, by the Go type that it decodes to.
func places(path []any, value any, typ reflect.Type) []place {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	inside := func(key, value any, typ reflect.Type) []place {
		at := append(slices.Clone(path), key)
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		return append([]place{{at, typ}}, places(at, value, typ)...)
	}
	var out []place
	switch v := value.(type) {
	case []any:
		if len(v) > 0 && typ.Kind() == reflect.Slice {
			out = append(out, inside(0, v[0], typ.Elem())...)
		}
	case map[string]any:
		if typ.Kind() == reflect.Map {
			for _, key := range slices.Sorted(maps.Keys(v))[:min(len(v), 1)] {
				out = append(out, inside(key, v[key], typ.Elem())...)
			}
		}
		if typ.Kind() != reflect.Struct || special(typ) {
			return out
		}
		for field := range typ.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.Anonymous && name == "" {
				out = append(out, places(path, value, field.Type)...)
			} else if inner, ok := v[name]; ok {
				out = append(out, inside(name, inner, field.Type)...)
			}
		}
	}
	return out
}

// put replaces the value at a path.
func put(in any, path []any, value any) any {
	if len(path) == 0 {
		return value
	}
	switch key := path[0].(type) {
	case string:
		m, _ := in.(map[string]any)
		m[key] = put(m[key], path[1:], value)
	case int:
		l, _ := in.([]any)
		l[key] = put(l[key], path[1:], value)
	}
	return in
}

// hostileWorld sends objects and decodes what comes back, as a typed client does.
type hostileWorld struct {
	*testing.T
	raw, typed client.Client
	decoder    runtime.Decoder
	sent       int
}

func newHostileWorld(t *testing.T) *hostileWorld {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	env := testenv.Start(t)
	return &hostileWorld{T: t, raw: env.Client(nil), typed: env.Client(scheme), decoder: serializer.NewCodecFactory(scheme).UniversalDeserializer()}
}

// TestWhatIsAcceptedIsDecoded walks every field of every kind.
func TestWhatIsAcceptedIsDecoded(t *testing.T) {
	w := newHostileWorld(t)
	seen := map[reflect.Type]bool{}
	drivers := sameDriverBlocks(t)
	for _, name := range slices.Sorted(mapKeys(wholeObjects())) {
		t.Run(name, func(t *testing.T) {
			w.T = t
			object := wholeObjects()[name]
			kind := reflect.TypeOf(object)
			if driver, ok := strings.CutPrefix(name, "cluster provider "); ok && seen[kind] && drivers[driver] {
				return // its block is walked in a TokenProvider, under the same schema
			}
			w.walk(object, !seen[kind], len(seen) == 0)
			seen[kind] = true
		})
	}
	t.Logf("%d values were sent", w.sent)
}

// walk sends hostile values for the fields of one object: those of its spec, its status
// if it is the first of its kind, and its metadata, which is the same for all kinds, if
// it is the first of all.
func (w *hostileWorld) walk(object client.Object, ofKind, first bool) {
	w.Helper()
	gvk, err := w.typed.GroupVersionKindFor(object)
	if err != nil {
		w.Fatal(err)
	}
	object.GetObjectKind().SetGroupVersionKind(gvk)
	object.SetName("hostile")
	object.SetLabels(map[string]string{"a": "b"})
	object.SetAnnotations(map[string]string{"a": "b"})
	object.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "c", UID: "u", Controller: new(bool)}})
	object.SetCreationTimestamp(*at(0))
	object.SetManagedFields([]metav1.ManagedFieldsEntry{{
		Manager: "m", Operation: metav1.ManagedFieldsOperationApply, APIVersion: gvk.GroupVersion().String(), Time: at(0),
		FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{}}`),
	}})
	for _, place := range places(nil, w.json(object), reflect.TypeOf(object)) {
		switch place.path[0] {
		case "apiVersion", "kind", "status":
			continue
		case "metadata":
			// The path of a request has the name and the namespace.
			if !first || slices.Contains([]string{"metadata", "metadata.name", "metadata.namespace"}, place.String()) {
				continue
			}
		}
		for _, value := range hostile(place.typ) {
			w.create(object, place, value)
		}
	}
	if ofKind {
		w.walkStatus(object)
	}
}

// walkStatus sends hostile values for the fields of the status, which has its own endpoint.
func (w *hostileWorld) walkStatus(object client.Object) {
	w.Helper()
	stored := &unstructured.Unstructured{Object: w.json(object)}
	if err := w.raw.Create(w.Context(), stored); err != nil {
		w.Fatal(err)
	}
	defer w.remove(stored)
	whole := &unstructured.Unstructured{Object: w.json(object)}
	whole.SetResourceVersion(stored.GetResourceVersion())
	if err := w.raw.Status().Update(w.Context(), whole, client.DryRunAll); err != nil {
		w.Fatal(err)
	}
	for _, place := range places(nil, w.json(object), reflect.TypeOf(object)) {
		if place.path[0] != "status" {
			continue
		}
		for _, value := range hostile(place.typ) {
			changed := w.with(object, place, value)
			changed.SetResourceVersion(stored.GetResourceVersion())
			w.sent++
			err := w.raw.Status().Update(w.Context(), changed, client.DryRunAll)
			if !w.accepted(place, value, err) {
				continue
			}
			back := w.decode(object, place, value, changed)
			if back == nil || !special(place.typ) {
				continue
			}
			if err := w.typed.Status().Update(w.Context(), back, client.DryRunAll); err != nil {
				w.Errorf("%s: %v is accepted, and refused when it is written back: %v", place, value, err)
			}
		}
	}
}

// create sends an object. If it is accepted, it must decode. If the type of the field decodes
// only some texts, the object is also stored, and a list must decode it.
func (w *hostileWorld) create(object client.Object, place place, value any) {
	w.Helper()
	w.sent++
	sent := w.with(object, place, value)
	answer := sent.DeepCopy()
	if !w.accepted(place, value, w.raw.Create(w.Context(), answer, client.DryRunAll)) {
		return
	}
	back := w.decode(object, place, value, answer)
	if back == nil || !special(place.typ) {
		return
	}
	back.SetResourceVersion("")
	back.SetUID("")
	if err := w.typed.Create(w.Context(), back, client.DryRunAll); err != nil {
		w.Errorf("%s: %v is accepted, and refused when it is written back: %v", place, value, err)
	}
	if err := w.raw.Create(w.Context(), sent); err != nil {
		w.Fatal(err)
	}
	defer w.remove(sent)
	for _, list := range []client.ObjectList{&v1alpha1.ApiTokenList{}, &v1alpha1.TokenProviderList{}, &v1alpha1.ClusterTokenProviderList{}} {
		if err := w.typed.List(w.Context(), list); err != nil {
			w.Errorf("%s: %v ends a %T: %v", place, value, list, err)
		}
	}
}

// accepted reports whether the API server accepted a value. It must reject others with a client
// error.
func (w *hostileWorld) accepted(place place, value any, err error) bool {
	w.Helper()
	if err != nil && !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) &&
		!strings.Contains(err.Error(), "unmarshal") {
		w.Errorf("%s: %v is answered with %v", place, value, err)
	}
	return err == nil
}

// decode reads what the API server answered as a typed client does.
func (w *hostileWorld) decode(object client.Object, place place, value any, answer *unstructured.Unstructured) client.Object {
	w.Helper()
	content, err := json.Marshal(answer.Object)
	if err != nil {
		w.Fatal(err)
	}
	into, _ := reflect.New(reflect.TypeOf(object).Elem()).Interface().(client.Object)
	if _, _, err := w.decoder.Decode(content, nil, into); err != nil {
		w.Errorf("%s: %v is accepted and cannot be decoded: %v", place, value, err)
		return nil
	}
	return into
}

func (w *hostileWorld) remove(o *unstructured.Unstructured) {
	w.Helper()
	if err := w.raw.Delete(context.WithoutCancel(w.Context()), o); client.IgnoreNotFound(err) != nil {
		w.Error(err)
	}
}

// with returns the object with another value at a place.
func (w *hostileWorld) with(object client.Object, place place, value any) *unstructured.Unstructured {
	w.Helper()
	content, err := json.Marshal(put(w.json(object), place.path, value))
	if err != nil {
		w.Fatal(err)
	}
	out := &unstructured.Unstructured{}
	if err := out.UnmarshalJSON(content); err != nil { // which keeps integers
		w.Fatal(err)
	}
	return out
}

func (w *hostileWorld) json(object client.Object) map[string]any {
	w.Helper()
	content, err := json.Marshal(object)
	if err != nil {
		w.Fatal(err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(content, &out); err != nil {
		w.Fatal(err)
	}
	return out
}

// sameDriverBlocks are the driver blocks that have one schema in both kinds of provider.
func sameDriverBlocks(t *testing.T) map[string]bool {
	t.Helper()
	blocks := func(kind string) map[string]any {
		crd := repofile.Objects(t, "config/crd/bases/apitoken.dev_"+kind+".yaml")[0]
		versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := unstructured.NestedMap(versions[0].(map[string]any), "schema", "openAPIV3Schema", "properties", "spec", "properties")
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	own, shared, same := blocks("tokenproviders"), blocks("clustertokenproviders"), map[string]bool{}
	for name, schema := range own {
		same[name] = reflect.DeepEqual(schema, shared[name])
	}
	return same
}
